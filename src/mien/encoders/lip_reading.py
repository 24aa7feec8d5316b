"""The lip-reading front end: a 3-D convolution, then a ResNet-18 on every frame (SS-VAERR III).

Sizes and names as published (decisions: lip-reading-front-end).

Keys are those of the lip-reading checkpoints: ``frontend3D.*``, ``trunk.*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

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
from mien.layers.resnet import Activation, Trunk, activation_of, kaiming_


@dataclass(frozen=True)
class LipReadingConfig(ConvConfig):
    """Defaults: 11,182,784 parameters."""

    activation: Activation = "relu"
    """SS-VAERR does not say which; the later lip-reading models have "swish", the older "prelu" or "relu"."""
    width: int = 64
    """Channels of the first layer."""
    channels: int = 1
    """3 for colour, 1 for grey."""
    frozen_stages: int = -1
    """0 freezes the 3-D convolution ("frozen" in SS-VAERR), n the stages 1 to n of the trunk too; -1 nothing."""

    reach: ClassVar[int] = 2
    """Frames before and after its own that a token depends on."""

    def __post_init__(self) -> None:
        allowed = get_args(Activation)
        require(self.activation in allowed, f"activation {self.activation}: give {', '.join(allowed)}")
        check_conv(self.width, self.channels, self.frozen_stages)

    @property
    def dim(self) -> int:
        return 8 * self.width

    def build(self) -> LipReading:
        return LipReading(self)


class LipReading(ConvEncoder):
    """See the module's docstring."""

    def __init__(self, config: LipReadingConfig):
        super().__init__(config.dim, config.frozen_stages)
        self.config = config
        self.frontend3D = nn.Sequential(
            nn.Conv3d(config.channels, config.width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(config.width),
            activation_of(config.activation, config.width),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = Trunk(18, config.width, config.activation)
        kaiming_(self)
        self.train()

    def forward(self, clip: Tensor, keep: Tensor | None = None) -> EncoderOutput:
        """``clip [B, C, T, H, W]`` to the last map of each frame, ``[B, T*h*w, D]``; h and w are the sides / 32, rounded up.

        Raises:
            ValueError: masked tubes.
        """
        refuse_masks(keep)
        x = self.trunk(as_frames(self.frontend3D(clip), self.config.width))
        return as_tokens(x.to(self.frontend3D[1].weight.dtype), len(clip))  # under autocast the map is bfloat16


def lip_reading() -> LipReadingConfig:
    """11,182,784 parameters, as with Swish; 11,186,688 with PReLU."""
    return LipReadingConfig()


def lip_reading_micro() -> LipReadingConfig:
    """Ours: for two CPU cores at 64 pixels. A quarter of the width."""
    return LipReadingConfig(width=16)
