"""Spatial reserve pooling (ABAW5): two small convolutions in place of an average, so that where a feature is in the face stays
known. After the published neck (decisions: spatial-reserve-pooling)."""

from __future__ import annotations

from torch import Tensor, nn

from mien.layers.resnet import kaiming_

WIDTH = 256
SMALLEST = 3  # rows and columns that two 2x2 convolutions, the second with a stride of 2, leave something of


class ConvNorm(nn.Module):
    """2x2 convolution without padding, BatchNorm, ReLU."""

    def __init__(self, dim: int, out: int, stride: int):
        super().__init__()
        self.conv = nn.Conv2d(dim, out, 2, stride, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.bn(self.conv(x)))


class SpatialReserve(nn.Module):
    """``[B, h*w, D]``, tokens of one moment in raster order, to ``[B, dim]``.

    Args:
        dim: D.
        grid: (h, w), at least 3 each.
    """

    def __init__(self, dim: int, grid: tuple[int, int]):
        super().__init__()
        assert min(grid) >= SMALLEST, grid
        self.grid = grid
        self.conv1 = ConvNorm(dim, WIDTH, 1)
        self.conv2 = ConvNorm(WIDTH, WIDTH, 2)
        kaiming_(self)

    @property
    def dim(self) -> int:
        """Values per moment: 2304 for the 7x7 map of a ResNet at 224 pixels."""
        h, w = self.grid
        return WIDTH * ((h - 1) // 2) * ((w - 1) // 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = tokens.transpose(1, 2).unflatten(2, self.grid)
        return self.conv2(self.conv1(x)).flatten(1)
