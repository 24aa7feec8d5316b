"""Fixed sine-cosine position tables."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=32)
def _table(num: int, dim: int) -> Tensor:
    position = torch.arange(num, dtype=torch.float64)[:, None]
    channel = torch.arange(dim, dtype=torch.float64)
    angle = position / 10000 ** (2 * torch.floor(channel / 2) / dim)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()


def positions(tokens: Tensor, dtype: torch.dtype) -> Tensor:
    """The table for tokens ``[B, N, D]``. `dtype` is that of the weights: under autocast the tokens are bfloat16 already, and
    only a float32 table keeps the residual stream in float32."""
    return sinusoid(tokens.shape[1], tokens.shape[2], tokens.device).to(dtype)


def sinusoid(num: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """[num, dim] table over the flattened (t, h, w) index, as VideoMAE, SVFAP and MAE-DFER add it (decisions: position-table).

    Computed in float64 and kept in float32, so that it equals the published models' table to the last bit.
    """
    return _table(num, dim).to(device)
