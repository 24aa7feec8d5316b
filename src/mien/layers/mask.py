"""Which tubes are visible. The one convention: ``keep [K]`` holds the sorted spatial indices of the visible tubes.

A tube runs through all frames of the clip, so one set of K positions holds for every temporal slice (SVFAP 3.1.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.errors import require


@dataclass(frozen=True)
class TubeMask:
    """Random tubes, uniform over the slice or over each window of it.

    Args:
        height, width: spatial grid.
        ratio: share of masked positions.
        window: (height, width) of equal parts with equally many visible tubes each (MAE-DFER: the spatial side of its
            regions); None for the whole slice. int(ratio * positions) are masked in each, as the published code counts.

    Raises:
        UserError: windows that do not divide the grid, or a ratio that leaves nothing to see or nothing to guess.
    """

    height: int
    width: int
    ratio: float = 0.9
    window: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        h, w = self._window
        grid = f"{self.height}x{self.width}"
        require(min(self.height, self.width, h, w) >= 1, f"a {grid} grid in windows of {h}x{w}: give 1 or more")
        require(math.isfinite(self.ratio), f"mask ratio {self.ratio:g}: give a number above 0 and below 1")
        require(self.height % h == 0 and self.width % w == 0, f"regions of {h}x{w} tubes do not divide a {grid} grid")
        sees = self._sees
        share = f"mask ratio {self.ratio:g} shows {sees} of {h * w} tubes"
        require(0 < sees < h * w, f"{share}: give a ratio above 0 and below 1 that leaves one to see and one to guess")

    @property
    def _window(self) -> tuple[int, int]:
        return self.window or (self.height, self.width)

    @property
    def _sees(self) -> int:
        """Visible tubes of a window. The product of its sides comes first: 0.29 * 10 * 10 is 29, 0.29 * 100 below it."""
        positions = math.prod(self._window)
        return positions - int(self.ratio * positions)

    @property
    def num_visible(self) -> int:
        h, w = self._window
        return (self.height * self.width // (h * w)) * self._sees

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """[K] int64, sorted."""
        h, w = self._window
        positions = np.arange(self.height * self.width).reshape(self.height // h, h, self.width // w, w)
        windows = positions.transpose(0, 2, 1, 3).reshape(-1, h * w)
        return np.sort(np.concatenate([rng.permutation(part)[: self._sees] for part in windows])).astype(np.int64)


def complement(keep: Tensor, num: int) -> Tensor:
    """``[B, K]`` visible positions of `num` to the ``[B, num - K]`` masked ones, sorted."""
    masked = torch.ones(keep.shape[0], num, dtype=torch.bool, device=keep.device)
    masked.scatter_(1, keep, False)
    # A stable sort puts the masked first, in order; unlike `nonzero` it makes a GPU wait for nothing.
    return masked.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, : num - keep.shape[1]]


def tube_tokens(positions: Tensor, num_slices: int, num_spatial: int) -> Tensor:
    """Spatial positions ``[B, K]`` to the flattened (t, h, w) token indices ``[B, num_slices * K]``, raster order."""
    offset = torch.arange(num_slices, device=positions.device)[:, None] * num_spatial
    return (positions[:, None, :] + offset).flatten(1)


def select(tokens: Tensor, index: Tensor) -> Tensor:
    """``tokens [B, N, D]`` at ``index [B, M]``: ``[B, M, D]``."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))
