"""Parameters and FLOPs, counted as the papers count them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def _layer_norm_flop(input_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    # fvcore counts 5 per element; the counter below counts a multiply-add as 2, hence the factor.
    return 2 * 5 * torch.Size(input_shape).numel()


def count_flops(call: Callable[[], Any]) -> int:
    """FLOPs of one call with a multiply-add as one: matrix products (attention's too), convolutions and 5 per element of a
    LayerNorm; no softmax, GELU or additions (fvcore's rules, official.md 7). Run it on the meta device: nothing is computed.
    """
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.native_layer_norm: _layer_norm_flop})
    with counter, torch.no_grad(), nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        call()
    return counter.get_total_flops() // 2


def count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def meta_clip(size: int, num_frames: int = 16, channels: int = 3) -> Tensor:
    """One clip without storage."""
    return torch.zeros(1, channels, num_frames, size, size, device="meta")
