"""Projectors and predictors of the contrastive family, with statistics over all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def num_processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _MeanOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value / num_processes()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _MeanOverProcesses.forward(ctx, grads[0])


def mean_over_processes(value: Tensor) -> Tensor:
    """The average, with gradients, over all processes of a run; the value itself where there is one."""
    if num_processes() == 1:
        return value
    mean = _MeanOverProcesses.apply(value)
    assert isinstance(mean, Tensor)
    return mean


class SyncBatchNorm1d(nn.BatchNorm1d):
    """Batch statistics over all processes: the papers' batches of 4,096 are spread over many, and with those of each by itself
    a small share decides. torch's own SyncBatchNorm refuses to run on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or num_processes() == 1:
            return super().forward(input)
        x = input.float()
        mean, square = mean_over_processes(torch.stack([x.mean(0), x.square().mean(0)]))
        variance = (square - mean.square()).clamp(min=0)
        with torch.no_grad():
            count = len(x) * num_processes()
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        return (x if self.weight is None else x * self.weight + self.bias).to(input.dtype)


def mlp(
    widths: tuple[int, ...], hidden_bias: bool, out_bias: bool, out_norm: bool = False, batch_norm: bool = True
) -> nn.Sequential:
    """Linear layers between the widths, BatchNorm and ReLU after each but the last; `out_norm` puts a BatchNorm without weights
    after that."""
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        last = number == len(widths) - 2
        layers.append(nn.Linear(before, after, bias=out_bias if last else hidden_bias))
        if not last:
            layers += [SyncBatchNorm1d(after)] * batch_norm + [nn.ReLU(inplace=True)]
    if out_norm:
        layers.append(SyncBatchNorm1d(widths[-1], affine=False))
    return nn.Sequential(*layers)


class PrototypeHead(nn.Module):
    """DINO's head: three layers with GELU, a projection onto the sphere, a weight-normalised layer with the gain 1
    (decisions: dino-settings). `live` 0 keeps the last layer's gradient at zero."""

    live: Tensor

    def __init__(self, dim: int, hidden: int, bottleneck: int, num_prototypes: int):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.last = nn.Linear(bottleneck, num_prototypes, bias=False)
        self.register_buffer("live", torch.ones(()))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[n, dim] to scores [n, num_prototypes]: cosines with the prototypes."""
        x = self.mlp(x)
        with torch.autocast(x.device.type, enabled=False):  # cosines in full precision
            x = nn.functional.normalize(x.float(), dim=-1)
            # The direction of a normalised weight is all that counts: a zero gradient freezes it, whatever its decay does.
            held = self.last.weight.detach()
            weight = held + self.live * (self.last.weight - held)
            return x @ nn.functional.normalize(weight.float(), dim=-1).T
