"""AdamW with the parameter groups of the masked family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mien.types import require


@dataclass(frozen=True)
class OptimConfig:
    """Learning rates are per 256 clips and scale linearly with the global batch (SVFAP 4.1.2)."""

    lr: float = 3e-4
    min_lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    layer_decay: float | None = None
    """Factor per encoder layer below the head at fine-tuning; 0.75 in the published recipe."""
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("lr", "min_lr", "weight_decay"):
            require(
                getattr(self, name) >= 0, f"--optim.{name.replace('_', '-')} {getattr(self, name):g}: give 0 or more"
            )
        require(all(0 <= b < 1 for b in self.betas), f"--optim.betas {self.betas}: give two numbers from 0 to below 1")
        decay, norm = self.layer_decay, self.clip_norm
        require(decay is None or 0 < decay <= 1, f"--optim.layer-decay {decay}: give a number above 0 and up to 1")
        require(norm is None or norm > 0, f"--optim.clip-norm {norm}: give a number above 0")


def layer_scales(learner: Any, layer_decay: float | None) -> dict[str, float]:
    """Learning-rate factor of each parameter: ``decay^(L + 1 - layer)``, 1 outside the encoder (official.md 4.1)."""
    if layer_decay is None:
        return {name: 1.0 for name, _ in learner.named_parameters()}
    encoder, scales = learner.encoder, {}
    for name, _ in learner.named_parameters():
        layer = (
            encoder.layer_of(name.removeprefix("encoder.")) if name.startswith("encoder.") else encoder.num_layers + 1
        )
        scales[name] = layer_decay ** (encoder.num_layers + 1 - layer)
    return scales


def build_optimizer(learner: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """One group per (learning-rate factor, decayed or not). Not decayed are 1-D tensors and what the learner names in
    `undecayed` (official.md 4.1)."""
    scales = layer_scales(learner, config.layer_decay)
    undecayed: frozenset[str] = getattr(learner, "undecayed", frozenset())
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in learner.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim > 1 and name not in undecayed
            groups.setdefault((scales[name], decayed), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": params, "scale": scale, "weight_decay": config.weight_decay if decayed else 0.0}
            for (scale, decayed), params in groups.items()
        ],
        lr=0.0,
        betas=config.betas,
        fused=True,
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]
