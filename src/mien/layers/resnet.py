"""Residual blocks of convolutions (He et al. 2016), with torchvision's parameter names."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Activation = Literal["relu", "swish", "prelu"]
Depth = Literal[18, 50]
LAYOUTS: dict[int, tuple[int, int, int, int]] = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Blocks of the four stages."""


def activation_of(name: Activation, dim: int) -> nn.Module:
    if name == "prelu":
        return nn.PReLU(dim)
    return nn.ReLU(inplace=True) if name == "relu" else nn.SiLU()


def _shortcut(dim: int, out: int, stride: int) -> nn.Module | None:
    if stride == 1 and dim == out:
        return None
    return nn.Sequential(nn.Conv2d(dim, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; an activation after the first and one after the addition."""

    expansion = 1

    def __init__(self, dim: int, width: int, stride: int = 1, activation: Activation = "relu"):
        super().__init__()
        self.conv1 = nn.Conv2d(dim, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = activation_of(activation, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = activation_of(activation, width)
        self.downsample = _shortcut(dim, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, dim, H, W]`` to ``[B, width, H/stride, W/stride]``, rounded up."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the stride in the middle one as in torchvision's checkpoints."""

    expansion = 4

    def __init__(self, dim: int, width: int, stride: int = 1, activation: Activation = "relu"):
        super().__init__()
        out = width * self.expansion
        self.conv1 = nn.Conv2d(dim, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = activation_of(activation, width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = activation_of(activation, width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu3 = activation_of(activation, out)
        self.downsample = _shortcut(dim, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, dim, H, W]`` to ``[B, 4*width, H/stride, W/stride]``, rounded up."""
        y = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(y))
        return self.relu3(y + (x if self.downsample is None else self.downsample(x)))


def block_of(depth: Depth) -> type[BasicBlock] | type[Bottleneck]:
    return BasicBlock if depth == 18 else Bottleneck


def stages(depth: Depth, width: int, activation: Activation = "relu") -> dict[str, nn.Sequential]:
    """``layer1`` to ``layer4``: `width` channels to ``8 * width`` (times 4 at depth 50), and an eighth of the side."""
    block, dim = block_of(depth), width
    found: dict[str, nn.Sequential] = {}
    for i, number in enumerate(LAYOUTS[depth]):
        wide = width * 2**i
        blocks = [block(dim, wide, 1 if i == 0 else 2, activation)]
        dim = wide * block.expansion
        blocks += [block(dim, wide, 1, activation) for _ in range(number - 1)]
        found[f"layer{i + 1}"] = nn.Sequential(*blocks)
    return found


class Trunk(nn.Module):
    """A ResNet without stem: ``[B, width, H, W]`` to ``[B, 8*width, H/8, W/8]``, rounded up (times 4 at depth 50)."""

    def __init__(self, depth: Depth, width: int, activation: Activation = "relu"):
        super().__init__()
        for name, stage in stages(depth, width, activation).items():
            self.add_module(name, stage)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.children():
            x = stage(x)
        return x


def kaiming_(root: nn.Module) -> None:
    """Convolutions ~ N(0, 2 / (kernel size x output channels)), BatchNorm 1 and 0: torchvision's rule, that of the published
    SRP and that of the lip-reading front ends alike (decisions: convolution-initialisation)."""
    for module in root.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) and module.affine:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
