"""Which tubes are visible. The one convention: ``keep [K]`` holds the sorted spatial indices of the visible tubes.

A tube runs through all frames of the clip, so one set of K positions holds for every temporal slice (SVFAP 3.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TubeMask:
    """Uniformly random tubes.

    Args:
        height, width: spatial grid.
        ratio: share of masked positions; int(ratio * positions) of them are masked, as the published code counts.
    """

    height: int
    width: int
    ratio: float = 0.9

    @property
    def num_visible(self) -> int:
        return self.height * self.width - int(self.ratio * self.height * self.width)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """[K] int64, sorted."""
        order = rng.permutation(self.height * self.width)
        return np.sort(order[: self.num_visible]).astype(np.int64)


def complement(keep: Tensor, num: int) -> Tensor:
    """``[B, K]`` visible positions of `num` to the ``[B, num - K]`` masked ones, sorted."""
    masked = torch.ones(keep.shape[0], num, dtype=torch.bool, device=keep.device)
    masked.scatter_(1, keep, False)
    return masked.nonzero()[:, 1].reshape(keep.shape[0], num - keep.shape[1])


def tube_tokens(positions: Tensor, num_slices: int, num_spatial: int) -> Tensor:
    """Spatial positions ``[B, K]`` to the flattened (t, h, w) token indices ``[B, num_slices * K]``, raster order."""
    offset = torch.arange(num_slices, device=positions.device)[:, None] * num_spatial
    return (positions[:, None, :] + offset).flatten(1)


def select(tokens: Tensor, index: Tensor) -> Tensor:
    """``tokens [B, N, D]`` at ``index [B, M]``: ``[B, M, D]``."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))
