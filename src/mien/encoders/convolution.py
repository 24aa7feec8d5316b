"""What convolutional encoders share: a map per frame as tokens, stages as layers, frozen stages."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from mien.encoders.output import EncoderOutput, Pool
from mien.errors import require
from mien.layers.patch import Grid

NUM_STAGES = 4
STRIDE = 32  # pixels from one place of the last map to the next
SMALLEST = 32
WIDE = 64


class ConvConfig:
    """What the configs of convolutional encoders say alike; those add their fields, and how far a token sees over time."""

    supports_mask: ClassVar[bool] = False
    tube: ClassVar[Grid] = (1, STRIDE, STRIDE)
    """Frames and pixels from one token to the next. A token sees more than that."""

    @property
    def window(self) -> None:
        """There are no masks."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """What a classifier may average."""
        return ("tokens",)

    def spatial(self, size: int) -> tuple[int, int]:
        """Rows and columns of the tokens of a frame: five strides of two, each rounded up."""
        side = -(-size // STRIDE)
        return side, side

    def check_clip(self, num_frames: int, size: int) -> None:
        """Raises UserError for clips without a frame, or too small for the strides."""
        require(num_frames >= 1, f"{num_frames} frames: give 1 or more")
        require(size >= SMALLEST, f"size {size} px: give {SMALLEST} or more")


class ConvEncoder(nn.Module):
    """What convolutional encoders do alike: stages are layers, and those that are frozen stay so."""

    supports_mask = False
    num_layers = NUM_STAGES

    def __init__(self, dim: int, frozen_stages: int):
        super().__init__()
        self.dim, self.frozen_stages = dim, frozen_stages

    def train(self, mode: bool = True) -> Self:
        """Frozen parts get no gradients, and their BatchNorm keeps its running statistics (decisions: frozen-stages)."""
        super().train(mode)
        for part in frozen_parts(self, self.frozen_stages):
            part.eval().requires_grad_(False)
        return self

    def layer_of(self, name: str) -> int:
        return layer_of(name)

    def unused_by(self, pool: str) -> set[str]:
        return set()


def check_conv(width: int, channels: int, frozen_stages: int) -> None:
    """Raises UserError for values that no convolutional encoder can have."""
    require(width >= 1, f"encoder width {width}: give 1 or more")
    require(channels in (1, 3), f"{channels} channels: give 3, or 1 for grey")
    require(
        -1 <= frozen_stages <= NUM_STAGES,
        f"{frozen_stages} frozen stages: give -1 for none, 0 for the stem alone, or up to {NUM_STAGES} stages besides it",
    )


def layer_of(name: str) -> int:
    """0 for the stem, i for stage i (``layer{i}.``, wherever it stands in the name)."""
    stage = next((part for part in name.split(".") if part.startswith("layer")), "layer0")
    return int(stage.removeprefix("layer"))


def as_frames(clip: Tensor, width: int) -> Tensor:
    """``[B, C, T, H, W]`` to ``[B*T, C, H, W]``, in the memory order that is the faster one for trunks of this width.

    On a CPU, channels last takes 5 % off a training step and 25 % off a forward pass at widths 16 and 32, and at width 64 adds
    3 to 25 % to a step (one thread, 64 to 224 pixels; weights stay as they are). On GPUs, where it was not measured here, it is
    what the kernels for 16-bit numbers are written for.
    """
    frames = clip.transpose(1, 2).flatten(0, 1)
    plain = clip.device.type == "cpu" and width >= WIDE
    return frames.contiguous(memory_format=torch.contiguous_format if plain else torch.channels_last)


def as_tokens(maps: Tensor, num_clips: int) -> EncoderOutput:
    """Maps ``[B*T, D, h, w]`` to tokens ``[B, T*h*w, D]``, time outermost."""
    BT, D, h, w = maps.shape
    tokens = maps.flatten(2).transpose(1, 2).reshape(num_clips, -1, D)
    return EncoderOutput(tokens, (BT // num_clips, h, w), (tokens,))


def frozen_parts(encoder: nn.Module, frozen_stages: int) -> list[nn.Module]:
    """Of the modules that hold parameters directly or are stages, those up to stage `frozen_stages` (-1: none)."""
    return [
        module
        for name, module in encoder.named_modules()
        if name and name != "trunk" and layer_of(name) <= frozen_stages
    ]


def refuse_masks(keep: Tensor | None) -> None:
    if keep is not None:
        raise ValueError("a convolution sees every pixel: this encoder has no masked tubes, call it without `keep`")
