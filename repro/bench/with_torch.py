"""What `repro.bench` times on PyTorch: ResNet-20 as one would write it there."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from repro import catalog
from repro.backends import torch as torch_backend
from repro.bench.contenders import BATCH, EXPERIMENT, PARAMETERS
from repro.bench.timing import Clock
from repro.data import datasets, preprocessing
from repro.machine import cores

WARM_UP, SEGMENT = 10, 10  # updates


def convolution(maps_in: int, maps: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(maps_in, maps, 3, stride, padding=1, bias=False), nn.BatchNorm2d(maps)
    )


class Block(nn.Module):
    """Two 3x3 layers and a shortcut without parameters (He et al. 2015, option A)."""

    def __init__(self, maps_in: int, maps: int):
        super().__init__()
        self.wider = maps - maps_in
        self.first = convolution(maps_in, maps, 2 if self.wider else 1)
        self.second = convolution(maps, maps)

    def forward(self, x):
        y = self.second(functional.relu(self.first(x), inplace=True))
        if self.wider:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.wider))
        return functional.relu(x + y, inplace=True)


class ResNet20(nn.Module):
    """He et al. 2015, section 4.2 with n = 3: images [B, 3, 32, 32] to logits [B, 10]."""

    def __init__(self):
        super().__init__()
        self.stem = convolution(3, 16)
        maps = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.Sequential(*map(Block, maps, maps[1:]))
        self.classify = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images):
        x = self.blocks(functional.relu(self.stem(images), inplace=True))
        return self.classify(x.mean((2, 3)))


def train(seconds: float, precision: str, channels_last: bool) -> dict:
    """Training on arrays in memory, a new order in each pass; a sample (see `contenders`)."""
    torch.set_num_threads(cores())
    torch_backend.configure(BATCH)  # float32 in full precision, also on a GPU
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    layout = torch.channels_last if channels_last else torch.contiguous_format

    recipe = catalog.experiment(EXPERIMENT).recipe
    data = datasets.load(recipe.data.dataset, recipe.data.train)
    fitted = preprocessing.fit(recipe.preprocessing, data.images)
    images = torch.from_numpy(preprocessing.apply(fitted, data.images)).permute(0, 3, 1, 2)
    images = images.to(device).contiguous(memory_format=layout)
    labels = torch.from_numpy(np.array(data.labels, np.int64)).to(device)

    model = ResNet20().to(device).to(memory_format=layout)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS
    method = recipe.optimizer
    terms = {"momentum": method.momentum, "weight_decay": method.weight_decay}
    optimizer = torch.optim.SGD(model.parameters(), method.rate, **terms)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")

    def update(index) -> None:
        batch = images[index].contiguous(memory_format=layout)
        optimizer.zero_grad()
        with autocast:
            loss = functional.cross_entropy(model(batch), labels[index])
        loss.backward()
        optimizer.step()

    def synchronise() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    clock, updates, more = Clock(seconds), 0, True
    while more:
        for index in torch.randperm(len(images), device=device).split(BATCH):
            if len(index) < BATCH:  # as fast per image or slower: not in the figure
                break
            update(index)
            updates += 1
            if updates < WARM_UP or (updates - WARM_UP) % SEGMENT:
                continue
            synchronise()
            if updates == WARM_UP:
                clock.start()
            elif not clock.lap(SEGMENT * BATCH):
                more = False
                break
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return clock.sample(device=name)
