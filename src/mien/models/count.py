"""Parameters, FLOPs and seconds of a module, counted as the papers count them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def _layer_norm_flop(input_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    # fvcore counts 5 per element; the counter below counts a multiply-add as 2, hence the factor.
    return 2 * 5 * torch.Size(input_shape).numel()


def _batch_norm_flop(input_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * 2 * torch.Size(input_shape).numel()  # fvcore's 2 per element in evaluation mode


NORMS = {
    torch.ops.aten.native_layer_norm: _layer_norm_flop,
    torch.ops.aten.native_batch_norm: _batch_norm_flop,
    torch.ops.aten.native_batch_norm.default: _batch_norm_flop,  # or the counter takes it apart into what it does not count
}


def count_flops(call: Callable[[], Any]) -> int:
    """FLOPs of one call with a multiply-add as one: matrix products (attention's too), convolutions, 5 per element of a LayerNorm
    and 2 of a BatchNorm; no softmax, activations or additions (fvcore's rules, decisions: flop-counting). Run it on the meta
    device: nothing is computed.
    """
    counter = FlopCounterMode(display=False, custom_mapping=NORMS)
    with counter, torch.no_grad(), nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        call()
    return counter.get_total_flops() // 2


def count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def meta_clip(size: int, num_frames: int = 16, channels: int = 3) -> Tensor:
    """One clip without storage."""
    return torch.zeros(1, channels, num_frames, size, size, device="meta")


def forward_seconds(model: nn.Module, shape: tuple[int, ...], repeats: int = 3) -> float:
    """Best of a few forward passes of one clip, on a GPU if there is one; in float32."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, clip = model.eval().to(device), torch.zeros(shape, device=device)

    def once() -> float:
        start = time.perf_counter()
        model(clip)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    with torch.inference_mode():
        once()
        return min(once() for _ in range(repeats))
