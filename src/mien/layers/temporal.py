"""Halving and restoring the time axis of tokens in (t, spatial) order."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


class TemporalDownsample(nn.Conv1d):
    """Strided convolution over time at every spatial position: ``[B, T*S, D]`` to ``[B, T/2*S, D]`` (SVFAP Eq. 4)."""

    def __init__(self, dim: int):
        super().__init__(dim, dim, kernel_size=2, stride=2)

    def forward(self, x: Tensor, num_slices: int) -> Tensor:  # type: ignore[override]
        B, N, D = x.shape
        pairs = x.reshape(B, num_slices // 2, 2, N // num_slices, D).transpose(2, 3).flatten(3)
        # As a matrix product over pairs of slices: the same sum as the convolution without its transposed copies, and in a
        # third of its time forward and backward on a CPU (docs/speed.md).
        out = nn.functional.linear(pairs, self.weight.transpose(1, 2).flatten(1), self.bias)
        # Under autocast the product is bfloat16, and the residual stream of the stages after it would stay that coarse:
        # 8 bits for tokens whose common part is ten times what tells clips apart (docs/lab.md).
        return out.flatten(1, 2).to(x.dtype)


class TemporalPool(nn.Module):
    """Mean or maximum of neighbouring slices, the same shapes as `TemporalDownsample` (SVFAP Table 6)."""

    def __init__(self, kind: Literal["average", "max"]):
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor, num_slices: int) -> Tensor:
        B, _, D = x.shape
        pairs = x.reshape(B, num_slices // 2, 2, -1, D)
        return (pairs.mean(dim=2) if self.kind == "average" else pairs.amax(dim=2)).flatten(1, 2)


def temporal_downsample(kind: Literal["conv", "average", "max"], dim: int) -> nn.Module:
    return TemporalDownsample(dim) if kind == "conv" else TemporalPool(kind)


def upsample_nearest(x: Tensor, num_slices: int, factor: int) -> Tensor:
    """``[B, T*S, D]`` to ``[B, factor*T*S, D]``: every slice is repeated (SVFAP Eq. 9)."""
    B, N, D = x.shape
    return x.reshape(B, num_slices, N // num_slices, D).repeat_interleave(factor, dim=1).flatten(1, 2)
