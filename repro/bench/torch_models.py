"""The networks as one would write them in PyTorch: images [B, C, H, W] in, logits out.

Each takes no arguments. Weights are drawn as PyTorch does it: that has no part in the speed.
"""

import torch
from torch import nn
from torch.nn import functional

from repro.bench.inception import INCEPTION


def relu(x):
    return functional.relu(x, inplace=True)


def normalised_convolution(maps_in: int, maps: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(maps_in, maps, 3, stride, padding=1, bias=False), nn.BatchNorm2d(maps)
    )


class Residual(nn.Module):
    """Two 3x3 layers and a shortcut without parameters (He et al. 2015, option A)."""

    def __init__(self, maps_in: int, maps: int):
        super().__init__()
        self.wider = maps - maps_in
        self.first = normalised_convolution(maps_in, maps, 2 if self.wider else 1)
        self.second = normalised_convolution(maps, maps)

    def forward(self, x):
        y = self.second(relu(self.first(x)))
        if self.wider:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.wider))
        return relu(x + y)


class ResNet20(nn.Module):
    """He et al. 2015, section 4.2 with n = 3."""

    def __init__(self):
        super().__init__()
        self.stem = normalised_convolution(3, 16)
        maps = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.Sequential(*map(Residual, maps, maps[1:]))
        self.classify = nn.Linear(64, 10)

    def forward(self, images):
        return self.classify(self.blocks(relu(self.stem(images))).mean((2, 3)))


def convolution(maps_in: int, maps: int, side: int, stride: int = 1) -> nn.Sequential:
    """With a bias and relu."""
    layer = nn.Conv2d(maps_in, maps, side, stride, padding=side // 2)
    return nn.Sequential(layer, nn.ReLU(inplace=True))


class NiN(nn.Sequential):
    """Lin et al. 2013, by the authors' layer file for CIFAR-10."""

    def __init__(self):
        pieces, maps_in = [], 3
        mlpconvs = ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, 10))
        for number, (side, *maps) in enumerate(mlpconvs, start=1):
            for size, count in zip((side, 1, 1), maps, strict=True):
                pieces.append(convolution(maps_in, count, size))
                maps_in = count
            if number < len(mlpconvs):
                pieces += [nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5)]
        super().__init__(*pieces, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Composite(nn.Sequential):
    """Batch normalisation, relu, convolution."""

    def __init__(self, maps_in: int, maps: int, side: int):
        layer = nn.Conv2d(maps_in, maps, side, padding=side // 2, bias=False)
        super().__init__(nn.BatchNorm2d(maps_in), nn.ReLU(inplace=True), layer)


class Dense(Composite):
    """A 3x3 layer whose 12 maps stand beside what it takes."""

    def __init__(self, maps_in: int):
        super().__init__(maps_in, 12, 3)

    def forward(self, x):
        return torch.cat([x, super().forward(x)], 1)


class DenseNet40(nn.Sequential):
    """Huang et al. 2016: 40 layers, growth rate 12, without bottlenecks and compression."""

    def __init__(self):
        pieces, maps = [nn.Conv2d(3, 16, 3, padding=1, bias=False)], 16
        for block in (1, 2, 3):
            for _ in range(12):
                pieces.append(Dense(maps))
                maps += 12
            if block < 3:
                pieces += [Composite(maps, maps, 1), nn.AvgPool2d(2)]
        pieces += [nn.BatchNorm2d(maps), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)]
        super().__init__(*pieces, nn.Flatten(), nn.Linear(maps, 10))


class LocallyConnected(nn.Module):
    """3x3 with zeros around; each position has weights of its own."""

    def __init__(self, maps_in: int, maps: int, side: int):
        super().__init__()
        self.maps, self.side = maps, side
        self.weight = nn.Parameter(0.04 * torch.randn(side * side, 9 * maps_in, maps))
        self.bias = nn.Parameter(torch.zeros(side * side, maps))

    def forward(self, x):
        patches = functional.unfold(x, 3, padding=1)  # [B, 9 maps, positions]
        y = torch.einsum("bip,pio->bop", patches, self.weight)
        y = y + self.bias.T.to(y.dtype)
        return y.reshape(-1, self.maps, self.side, self.side)


class AlexNetLocal(nn.Sequential):
    """Krizhevsky et al. 2012, section 3.3: cuda-convnet's layers-conv-local-13pct, 24x24 pixels."""

    def __init__(self):
        pieces = []
        for maps_in in (3, 64):
            pieces += [convolution(maps_in, 64, 5), nn.MaxPool2d(3, 2, ceil_mode=True)]
        for maps_in in (64, 32):
            pieces += [LocallyConnected(maps_in, 32, 6), nn.ReLU(inplace=True)]
        super().__init__(*pieces, nn.Flatten(), nn.Linear(32 * 6 * 6, 10))


class Inception(nn.Module):
    """Szegedy et al. 2014, Figure 2b; `name` is a row of Table 1."""

    def __init__(self, maps_in: int, name: str):
        super().__init__()
        one, three_reduce, three, five_reduce, five, projection = INCEPTION[name]
        self.maps = one + three + five + projection
        branches = (
            [convolution(maps_in, one, 1)],
            [convolution(maps_in, three_reduce, 1), convolution(three_reduce, three, 3)],
            [convolution(maps_in, five_reduce, 1), convolution(five_reduce, five, 5)],
            [nn.MaxPool2d(3, 1, padding=1), convolution(maps_in, projection, 1)],
        )
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(nn.Module):
    """Szegedy et al. 2014 for ten classes: logits of the network and of both auxiliary heads."""

    def __init__(self):
        super().__init__()

        def pooling():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def normalisation():  # PyTorch divides alpha by the size
            return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

        def modules(maps: int, *names: str) -> tuple[list[Inception], int]:
            made = []
            for name in names:
                made.append(Inception(maps, name))
                maps = made[-1].maps
            return made, maps

        stem = [convolution(3, 64, 7, 2), pooling(), normalisation()]
        stem += [convolution(64, 64, 1), convolution(64, 192, 3), normalisation(), pooling()]
        third, maps = modules(192, "3a", "3b")
        to_4a, maps_4a = modules(maps, "4a")
        to_4d, maps_4d = modules(maps_4a, "4b", "4c", "4d")
        fourth, maps = modules(maps_4d, "4e")
        fifth, maps = modules(maps, "5a", "5b")
        self.to_4a = nn.Sequential(*stem, *third, pooling(), *to_4a)
        self.to_4d = nn.Sequential(*to_4d)
        self.to_5b = nn.Sequential(*fourth, pooling(), *fifth)
        ending = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(maps, 10)]
        self.own = nn.Sequential(*ending)
        self.after_4a, self.after_4d = self.auxiliary(maps_4a), self.auxiliary(maps_4d)

    @staticmethod
    def auxiliary(maps: int) -> nn.Sequential:
        pieces = [nn.AvgPool2d(5, 3), convolution(maps, 128, 1), nn.Flatten()]
        pieces += [nn.Linear(128 * 4 * 4, 1024), nn.ReLU(inplace=True), nn.Dropout(0.7)]
        return nn.Sequential(*pieces, nn.Linear(1024, 10))

    def forward(self, images):
        after_4a = self.to_4a(images)
        after_4d = self.to_4d(after_4a)
        logits = self.own(self.to_5b(after_4d))
        return logits, self.after_4a(after_4a), self.after_4d(after_4d)


MODELS = {
    "resnet20": ResNet20,
    "nin": NiN,
    "densenet40": DenseNet40,
    "alexnet_local": AlexNetLocal,
    "googlenet": GoogLeNet,
}


def multiply_adds(model: nn.Module, image: tuple[int, int, int]) -> int:
    """Those of one image [C, H, W], forwards, without biases: seen while one passes through."""
    counted = []

    def count(layer, inputs, output):
        positions = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        counted.append(positions * layer.weight.numel())

    kinds = (nn.Conv2d, nn.Linear, LocallyConnected)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, *image, device=next(model.parameters()).device))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return sum(counted)
