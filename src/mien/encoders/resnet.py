"""ResNet-18 and -50 (He et al. 2016), frame by frame, with torchvision's parameter names and no classifier.

The backbones of ContraWarping (ABAW5, decisions: resnet-backbones). A clip is its frames; an image is a clip of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from mien.encoders.convolution import (
    ConvConfig,
    ConvEncoder,
    as_frames,
    as_tokens,
    check_conv,
    refuse_masks,
)
from mien.encoders.output import EncoderOutput
from mien.errors import require
from mien.layers.resnet import LAYOUTS, Depth, block_of, kaiming_, stages


@dataclass(frozen=True)
class ResNetConfig(ConvConfig):
    """Defaults: ResNet-18, 11,176,512 parameters."""

    depth: Depth = 18
    """Blocks, or layers of a ResNet."""
    width: int = 64
    """Channels of the stem; the last map has 8 times as many, at depth 50 32 times."""
    channels: int = 3
    """3 for colour, 1 for grey."""
    frozen_stages: int = -1
    """0 freezes the stem, n the stages 1 to n too, with the statistics of their BatchNorm; -1 nothing."""

    reach: ClassVar[int] = 0
    """Frames before and after its own that a token depends on."""

    def __post_init__(self) -> None:
        require(self.depth in LAYOUTS, f"ResNet depth {self.depth}: give {' or '.join(map(str, LAYOUTS))}")
        check_conv(self.width, self.channels, self.frozen_stages)

    @property
    def dim(self) -> int:
        return 8 * self.width * block_of(self.depth).expansion

    def build(self) -> ResNet:
        return ResNet(self)


class ResNet(ConvEncoder):
    """See the module's docstring."""

    def __init__(self, config: ResNetConfig):
        super().__init__(config.dim, config.frozen_stages)
        self.config = config
        self.conv1 = nn.Conv2d(config.channels, config.width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(config.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for name, stage in stages(config.depth, config.width).items():
            self.add_module(name, stage)
        kaiming_(self)
        self.train()

    def forward(self, clip: Tensor, keep: Tensor | None = None) -> EncoderOutput:
        """``clip [B, C, T, H, W]`` to the last map of each frame, ``[B, T*h*w, D]``; h and w are the sides / 32, rounded up.

        Raises:
            ValueError: masked tubes.
        """
        refuse_masks(keep)
        x = as_frames(clip, self.config.width)
        for module in self.children():
            x = module(x)
        return as_tokens(x.to(self.conv1.weight.dtype), len(clip))  # under autocast the map is bfloat16


def resnet18() -> ResNetConfig:
    """11,176,512 parameters."""
    return ResNetConfig()


def resnet50() -> ResNetConfig:
    """23,508,032 parameters."""
    return ResNetConfig(depth=50)


def resnet_micro() -> ResNetConfig:
    """Ours: for two CPU cores at 64 pixels. A quarter of ResNet-18's width."""
    return ResNetConfig(width=16)
