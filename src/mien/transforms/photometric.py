"""What happens to the value of a pixel where it is: Pillow's ImageOps and ImageEnhance, batched, to the same integers.

Frames are uint8 ``[B, T, H, W, C]`` with C = 3 or 1. An operation that looks at one value at a time is a table
``[B, T, C, 256]``, because its statistics are those of each frame by itself; `value` is its strength, ``[B]``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Pillow's convert("L"), ITU-R 601-2, in 16-bit fixed point.
LUMA = (19595, 38470, 7471)
SOLARIZE_ADD_BELOW = 128


def to_grey(frames: Tensor) -> Tensor:
    """uint8 [..., 3] to its luma [..., 1]; one channel stays as it is."""
    if frames.shape[-1] == 1:
        return frames
    red, green, blue = (channel.int() for channel in frames.unbind(-1))
    total = red.mul_(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    return (total.add_(0x8000) >> 16).to(torch.uint8).unsqueeze(-1)


def blend(degenerate: Tensor, image: Tensor, factor: Tensor) -> Tensor:
    """Pillow's Image.blend: from `degenerate` (factor 0) to `image` (1) and beyond, cut off, as uint8."""
    low = degenerate.float()
    return (image - low).mul_(factor).add_(low).clamp_(0, 255).to(torch.uint8)


def look_up(frames: Tensor, tables: Tensor) -> Tensor:
    """Replaces every value by its entry of the frame's and channel's table."""
    return tables.flatten().index_select(0, _flat_index(frames).flatten()).reshape(frames.shape)


def _flat_index(frames: Tensor) -> Tensor:
    """int32: position of each pixel's value in flattened [B, T, C, 256] tables."""
    B, T, _, _, C = frames.shape
    plane = torch.arange(B * T * C, dtype=torch.int32, device=frames.device).reshape(B, T, 1, 1, C)
    return frames + plane * 256


def _identity(frames: Tensor) -> Tensor:
    """int64 [B, T, C, 256]."""
    B, T, _, _, C = frames.shape
    return torch.arange(256, device=frames.device).expand(B, T, C, 256)


def _per_clip(value: Tensor) -> Tensor:
    return value.reshape(-1, 1, 1, 1)


def auto_contrast(frames: Tensor, value: Tensor) -> Tensor:
    low, high = (m.unsqueeze(-1).double() for m in (frames.amin((2, 3)), frames.amax((2, 3))))
    ramp, scale = _identity(frames), 255 / (high - low).clamp(min=1)  # double: Pillow computes in Python floats
    stretched = (ramp * scale - low * scale).trunc().clamp_(0, 255).long()
    return torch.where(high > low, stretched, ramp).to(torch.uint8)


def equalize(frames: Tensor, value: Tensor) -> Tensor:
    ramp, index = _identity(frames), _flat_index(frames).flatten().long()
    counts = torch.zeros(ramp.numel(), dtype=torch.int64, device=frames.device)
    counts = counts.scatter_add_(0, index, torch.ones_like(index)).reshape(ramp.shape)
    last = counts.gather(-1, torch.where(counts > 0, ramp, 0).amax(-1, keepdim=True))
    step = (counts.sum(-1, keepdim=True) - last) // 255
    below = counts.cumsum(-1) - counts
    table = (step // 2 + below) // step.clamp(min=1)
    return torch.where(step > 0, table.clamp(max=255), ramp).to(torch.uint8)


def invert(frames: Tensor, value: Tensor) -> Tensor:
    return (255 - _identity(frames)).to(torch.uint8)


def posterize(frames: Tensor, value: Tensor) -> Tensor:
    """value: bits that are kept, 0 to 8."""
    step = 2 ** (8 - _per_clip(value.long()))
    ramp = _identity(frames)
    return (ramp - ramp % step).to(torch.uint8)


def solarize(frames: Tensor, value: Tensor) -> Tensor:
    """value: from this level on, values are inverted."""
    ramp = _identity(frames)
    return torch.where(ramp < _per_clip(value), ramp, 255 - ramp).to(torch.uint8)


def solarize_add(frames: Tensor, value: Tensor) -> Tensor:
    """value: is added to the darker half."""
    ramp = _identity(frames)
    brighter = (ramp + _per_clip(value.long())).clamp(max=255)
    return torch.where(ramp < SOLARIZE_ADD_BELOW, brighter, ramp).to(torch.uint8)


def contrast(frames: Tensor, value: Tensor) -> Tensor:
    """value: 0 is the mean grey of each frame, 1 the frame itself."""
    grey = to_grey(frames).flatten(2).long()
    mean = (2 * grey.sum(-1) + grey.shape[-1]) // (2 * grey.shape[-1])  # rounded half up
    return blend(mean[..., None, None], _identity(frames), _per_clip(value))


def brightness(frames: Tensor, value: Tensor) -> Tensor:
    """value: 0 is black, 1 the frame itself."""
    ramp = _identity(frames)
    return blend(torch.zeros_like(ramp), ramp, _per_clip(value))


def color(frames: Tensor, value: Tensor) -> Tensor:
    """Frames to frames. value: 0 is grey, 1 the frame itself."""
    return blend(to_grey(frames), frames, _per_clip(value)[..., None])


def sharpness(frames: Tensor, value: Tensor) -> Tensor:
    """Frames to frames. value: 0 is smoothed by (1 1 1, 1 5 1, 1 1 1) / 13 inside the border, 1 the frame itself."""
    wide = frames.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    box = rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :] + 4 * wide[:, :, 1:-1, 1:-1]
    smooth = frames.clone()
    smooth[:, :, 1:-1, 1:-1] = ((2 * box + 13) // 26).to(torch.uint8)
    return blend(smooth, frames, _per_clip(value)[..., None])


TABLES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Invert": invert,
    "Posterize": posterize,
    "Solarize": solarize,
    "SolarizeAdd": solarize_add,
    "Contrast": contrast,
    "Brightness": brightness,
}
"""Operations of one value at a time: (frames, value [B]) to uint8 tables [B, T, C, 256]."""

FILTERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"Color": color, "Sharpness": sharpness}
"""Operations of several values at a time: (frames, value [B]) to frames."""
