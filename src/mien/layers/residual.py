"""Sums of the residual stream without extra passes over memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def add_linear(x: Tensor, branch: Tensor, linear: nn.Linear) -> Tensor:
    """``x [..., D] + linear(branch [..., E])``, the last step of every residual branch.

    On a CPU a Linear first writes its bias into the whole result, and the sum reads that result again: here the matrix
    product adds itself onto ``x + bias`` (docs/speed.md). Elsewhere the bias is fused already; under autocast the product
    would pull the float32 residual stream down to bfloat16.
    """
    if x.device.type != "cpu" or x.dtype != branch.dtype or torch.is_autocast_enabled("cpu"):
        return x + linear(branch)
    total = x.flatten(0, -2) + linear.bias
    return total.addmm_(branch.flatten(0, -2), linear.weight.t()).view(x.shape)
