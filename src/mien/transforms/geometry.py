"""Where the pixels of a frame go: resize, crop boxes, flips and affine maps, batched.

Frames are planes ``[B, P, H, W]``: the P = C * T planes of one clip share one geometry, so the sampling grid is
computed once per clip. Pixel centres lie at k + 0.5 (Pillow's and ``align_corners=False``'s convention).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MAX_TRIES = 10


def random_resized_box(
    rng: np.random.Generator, size: int, area: tuple[float, float], aspect: tuple[float, float]
) -> tuple[int, int, int, int]:
    """(x, y, w, h) inside a square of `size`: area uniform, aspect log-uniform, ten tries, then the whole square."""
    for _ in range(MAX_TRIES):
        target = rng.uniform(*area) * size * size
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= size and 0 < h <= size:
            return int(rng.integers(size - w + 1)), int(rng.integers(size - h + 1)), w, h
    return 0, 0, size, size


def multi_scale_box(rng: np.random.Generator, size: int, scales: tuple[float, ...]) -> tuple[int, int, int, int]:
    """(x, y, w, h): a pair of sides whose scales are neighbours at most, then one of 13 fixed offsets."""
    sides = [int(size * s) for s in scales]
    pairs = [(i, j) for i in range(len(sides)) for j in range(len(sides)) if abs(i - j) <= 1]
    i, j = pairs[rng.integers(len(pairs))]
    w, h = sides[i], sides[j]
    # In quarters of the free space: corners, centre, edge centres, quarter points.
    quarters = [(x, y) for x in (0, 2, 4) for y in (0, 2, 4)] + [(x, y) for x in (1, 3) for y in (1, 3)]
    x, y = quarters[rng.integers(len(quarters))]
    return x * ((size - w) // 4), y * ((size - h) // 4), w, h


def resize(frames: Tensor, size: int) -> Tensor:
    """uint8 [B, T, H, W, C] to [B, T, size, size, C], bilinear, antialiased when shrinking, as Pillow's BILINEAR."""
    B, T, H, W, C = frames.shape
    if H == W == size:
        return frames
    images = frames.reshape(B * T, H, W, C).permute(0, 3, 1, 2)
    if frames.device.type == "cpu":  # torch has an integer kernel here, ten times as fast as the float one
        out = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    else:
        out = resize_float(images, size)
    return out.permute(0, 2, 3, 1).reshape(B, T, size, size, C)


def resize_float(images: Tensor, size: int) -> Tensor:
    """uint8 [N, C, H, W] to [N, C, size, size] by way of float, for devices without an integer kernel."""
    out = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return out.add_(0.5).clamp_(0, 255).to(torch.uint8)


def _line(start: Tensor, length: Tensor, size: int, full: int) -> Tensor:
    """Sampling positions [B, size] in grid_sample's -1..1 for a crop of `length` pixels from `start` on."""
    centre = (torch.arange(size, device=start.device) + 0.5) / size
    at = start[:, None] + centre * length[:, None]
    # A crop is cut before it is enlarged: nothing beyond its own outermost pixel centres may leak in.
    at = torch.minimum(torch.maximum(at, start[:, None] + 0.5), (start + length)[:, None] - 0.5)
    return at * (2 / full) - 1


def crop_flip(planes: Tensor, box: Tensor, flip: Tensor, size: int) -> Tensor:
    """Cuts a box out of each clip, enlarges it to `size` and mirrors it where asked, in one bilinear sampling.

    Args:
        planes: [B, P, H, W] float.
        box: [B, 4] float (x, y, w, h) in pixels.
        flip: [B] bool.

    Returns:
        [B, P, size, size].
    """
    H, W = planes.shape[-2:]
    x, y, w, h = box.unbind(1)
    across = _line(x, w, size, W)
    across = torch.where(flip[:, None], across.flip(1), across)
    down = _line(y, h, size, H)
    grid = torch.stack([across[:, None, :].expand(-1, size, -1), down[:, :, None].expand(-1, -1, size)], dim=-1)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)


def rotation(degrees: float, size: int) -> np.ndarray:
    """[2, 3] map from output to input pixels that turns the picture counter-clockwise about its centre."""
    c, s, m = math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), size / 2
    return np.array([[c, -s, m - c * m + s * m], [s, c, m - s * m - c * m]])


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The output-to-input map of applying `first`, then `second`: both [2, 3]."""
    linear = first[:, :2] @ second[:, :2]
    return np.concatenate([linear, first[:, :2] @ second[:, 2:] + first[:, 2:]], axis=1)


def affine(planes: Tensor, matrix: Tensor, fill: float) -> Tensor:
    """Bicubic sampling of float planes [B, P, H, W] through output-to-input pixel maps [B, 2, 3].

    Pixels whose source lies outside the picture get `fill`; inside, the border is replicated under the kernel, as in
    Pillow. The cubic is torch's (a = -0.75), Pillow's has a = -0.5: up to a few grey levels on sharp edges.
    """
    B, _, H, W = planes.shape
    x = (torch.arange(W, device=planes.device) + 0.5).expand(H, W)
    y = (torch.arange(H, device=planes.device) + 0.5)[:, None].expand(H, W)
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(1, H * W, 3)
    at = (points @ matrix.to(planes.dtype).transpose(1, 2)).reshape(B, H, W, 2)
    extent = at.new_tensor([W, H])
    inside = ((at >= 0) & (at < extent)).all(-1)
    out = F.grid_sample(planes, at * 2 / extent - 1, mode="bicubic", padding_mode="border", align_corners=False)
    return out.masked_fill_(~inside[:, None], fill)
