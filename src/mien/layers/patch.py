"""Clips to tubes (2 x 16 x 16 pixels by default) and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Tubes along time, height and width."""


def grid_of(shape: tuple[int, ...], tube: Grid) -> Grid:
    """Grid of a clip ``[..., T, H, W]``.

    Raises:
        ValueError: a side that the tube does not divide.
    """
    sides = shape[-3:]
    if any(s % p for s, p in zip(sides, tube, strict=True)):
        raise ValueError(f"clip of {sides[0]} frames, {sides[1]}x{sides[2]} px: tubes of {tube} must divide each side")
    t, h, w = (s // p for s, p in zip(sides, tube, strict=True))
    return t, h, w


def patchify(clip: Tensor, tube: Grid) -> Tensor:
    """``[B, C, T, H, W]`` to ``[B, N, P, C]``: N tubes in (t, h, w) order, P pixels in (frame, row, column) order."""
    B, C = clip.shape[:2]
    (t, h, w), (pt, ph, pw) = grid_of(tuple(clip.shape), tube), tube
    x = clip.reshape(B, C, t, pt, h, ph, w, pw).permute(0, 2, 4, 6, 3, 5, 7, 1)
    return x.reshape(B, t * h * w, pt * ph * pw, C)


def unpatchify(tubes: Tensor, grid: Grid, tube: Grid) -> Tensor:
    """The inverse of `patchify`."""
    B, C = tubes.shape[0], tubes.shape[-1]
    (t, h, w), (pt, ph, pw) = grid, tube
    x = tubes.reshape(B, t, h, w, pt, ph, pw, C).permute(0, 7, 1, 4, 2, 5, 3, 6)
    return x.reshape(B, C, t * pt, h * ph, w * pw)


class TubeEmbed(nn.Module):
    """3-D convolution whose kernel equals its stride: ``[B, C, T, H, W]`` to ``[B, N, D]`` in (t, h, w) order."""

    def __init__(self, dim: int, channels: int = 3, tube: Grid = (2, 16, 16)):
        super().__init__()
        self.tube = tube
        self.proj = nn.Conv3d(channels, dim, tube, tube)

    def forward(self, clip: Tensor) -> Tensor:
        # As a matrix product over rearranged pixels: the same sum as the convolution, and several times faster on CPUs,
        # where Conv3d with a kernel equal to its stride falls back to a slow path (docs/lab.md).
        tubes = patchify(clip, self.tube)
        weight = self.proj.weight.flatten(2).transpose(1, 2).flatten(1)  # [D, P*C], pixels before channels
        return torch.nn.functional.linear(tubes.flatten(2), weight, self.proj.bias)
