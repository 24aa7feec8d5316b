"""What convolutional encoders share: a map per frame as tokens, stages as layers, frozen stages."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mien.encoders._api import EncoderOutput
from mien.types import require

NUM_STAGES = 4
STRIDE = 32  # pixels from one place of the last map to the next
SMALLEST = 32
WIDE = 64


def check_conv(width: int, channels: int, frozen_stages: int) -> None:
    """Raises UserError for values that no convolutional encoder can have."""
    require(width >= 1, f"encoder width {width}: give 1 or more")
    require(channels in (1, 3), f"{channels} channels: give 3, or 1 for grey")
    require(
        -1 <= frozen_stages <= NUM_STAGES,
        f"{frozen_stages} frozen stages: give -1 for none, 0 for the stem alone, or up to {NUM_STAGES} stages besides it",
    )


def check_frames(num_frames: int, size: int) -> None:
    """Raises UserError for clips without a frame, or too small for the strides."""
    require(num_frames >= 1, f"{num_frames} frames: give 1 or more")
    require(size >= SMALLEST, f"size {size} px: give {SMALLEST} or more")


def map_side(size: int) -> int:
    """Side of the last map: five strides of two, each rounded up."""
    return -(-size // STRIDE)


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


def freeze_(parts: Iterable[nn.Module]) -> None:
    """Gradients off; BatchNorm keeps its running statistics (official.md 8.2). To be called after every ``train()``, which
    would switch BatchNorm back."""
    for part in parts:
        part.eval().requires_grad_(False)


def refuse_masks(keep: Tensor | None) -> None:
    if keep is not None:
        raise ValueError("a convolution sees every pixel: this encoder has no masked tubes, call it without `keep`")
