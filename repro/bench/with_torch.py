"""What `repro.bench` times on PyTorch."""

from collections.abc import Iterator

import torch
from torch.nn import functional

from repro import catalog
from repro.backends import torch as torch_backend
from repro.bench import subject, torch_models
from repro.bench.contenders import Network
from repro.bench.timing import Clock
from repro.machine import cores

LOSS_WEIGHTS = (1.0, 0.3, 0.3)  # of the network's own loss, and of those of auxiliary heads


def train(
    seconds: float,
    network: Network,
    precision: str,
    channels_last: bool = False,
    compiled: bool = False,
) -> dict:
    """Training on arrays in memory, a new order in each pass; a sample (see `contenders`)."""
    torch.set_num_threads(cores())
    torch_backend.configure(network.batch)  # float32 in full precision, also on a GPU
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    layout = torch.channels_last if channels_last else torch.contiguous_format

    images, labels = (torch.from_numpy(part) for part in subject.arrays(network))
    images = images.permute(0, 3, 1, 2).to(device).contiguous(memory_format=layout)
    labels = labels.long().to(device)

    model = torch_models.MODELS[network.model]()
    multiply_adds = torch_models.multiply_adds(model, images.shape[1:])
    subject.check(network, sum(p.numel() for p in model.parameters()), multiply_adds)
    model = model.to(device).to(memory_format=layout)
    optimizer = method(network, model)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    forward = torch.compile(model) if compiled else model

    def update(index) -> None:
        batch = images[index].contiguous(memory_format=layout)
        optimizer.zero_grad()
        with autocast:
            outputs = forward(batch)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            losses = [functional.cross_entropy(logits, labels[index]) for logits in outputs]
            loss = sum(w * one for w, one in zip(LOSS_WEIGHTS, losses, strict=False))
        loss.backward()
        optimizer.step()

    def batches() -> Iterator[torch.Tensor]:
        while True:
            yield from torch.randperm(len(images), device=device).split(network.batch)

    order = batches()

    def updates(count: int) -> int:
        for _ in range(count):
            update(next(order))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return count * network.batch

    subject.warm_up(lambda: updates(1))
    clock = Clock(seconds)
    while clock.lap(updates(clock.updates), clock.updates):
        pass
    return clock.sample(device=next(iter(torch_backend.gpus()), "CPU"))


def method(network: Network, model: torch.nn.Module) -> torch.optim.SGD:
    """The recipe's optimizer, with one rate and one weight decay for all weights."""
    recipe = catalog.experiment(network.experiment).recipe.optimizer
    decay = max([recipe.weight_decay, *(group.weight_decay for group in recipe.groups)])
    terms = {"momentum": recipe.momentum, "nesterov": recipe.nesterov, "weight_decay": decay}
    return torch.optim.SGD(model.parameters(), recipe.rate, **terms)
