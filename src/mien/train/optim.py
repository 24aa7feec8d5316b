"""Optimizers of the papers, with the parameter groups of each learner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from mien.errors import require
from mien.train.lars import LARS
from mien.train.schedule import warmup_cosine


@dataclass(frozen=True)
class OptimConfig:
    """Learning rates are per 256 clips and scale linearly with the global batch (SVFAP 4.1.2)."""

    kind: Literal["adamw", "sgd", "lars"] = "adamw"
    """AdamW for Transformers; SGD and LARS with momentum for the ResNets of the contrastive papers."""
    lr: float = 3e-4
    """Highest learning rate, of 256 clips a step; more clips a step raise it in proportion."""
    min_lr: float = 1e-5
    """Learning rate at the end of the cosine, of 256 clips a step."""
    warmup_from: float = 0.0
    """The warm-up begins with this share of the learning rate."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Of the two running averages of AdamW."""
    momentum: float = 0.9
    """Of SGD and LARS."""
    weight_decay: float = 0.05
    """Of all weights but biases, norms and what a model names."""
    final_weight_decay: float | None = None
    """The weight decay goes there along half a cosine (DINO); none keeps it."""
    layer_decay: float | None = None
    """Factor per encoder layer below the head at fine-tuning; 0.75 in the published recipe."""
    clip_norm: float | None = None
    """Largest norm of the gradient of a step; none does not clip."""

    def __post_init__(self) -> None:
        for name in ("lr", "min_lr", "weight_decay", "final_weight_decay"):
            value = getattr(self, name)
            require(value is None or value >= 0, f"--optim.{name.replace('_', '-')} {value}: give 0 or more")
        for name in ("warmup_from", "momentum"):
            value = getattr(self, name)
            require(0 <= value < 1, f"--optim.{name.replace('_', '-')} {value:g}: give a number from 0 to below 1")
        require(all(0 <= b < 1 for b in self.betas), f"--optim.betas {self.betas}: give two numbers from 0 to below 1")
        decay, norm = self.layer_decay, self.clip_norm
        require(decay is None or 0 < decay <= 1, f"--optim.layer-decay {decay}: give a number above 0 and up to 1")
        require(norm is None or norm > 0, f"--optim.clip-norm {norm}: give a number above 0")


def layer_scales(learner: Any, layer_decay: float | None) -> dict[str, float]:
    """Learning-rate factor of each parameter: ``decay^(L + 1 - layer)``, 1 outside the encoder (decisions: layer-decay)."""
    if layer_decay is None:
        return {name: 1.0 for name, _ in learner.named_parameters()}
    encoder, scales = learner.encoder, {}
    for name, _ in learner.named_parameters():
        layer = (
            encoder.layer_of(name.removeprefix("encoder.")) if name.startswith("encoder.") else encoder.num_layers + 1
        )
        scales[name] = layer_decay ** (encoder.num_layers + 1 - layer)
    return scales


def build_optimizer(learner: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """One group per (learning-rate factor, decayed or not, scheduled or not). Not decayed are 1-D tensors and what the
    learner names in `undecayed` (decisions: weight-decay); what it names in `constant_lr` keeps the peak rate (SimSiam's).
    """
    scales = layer_scales(learner, config.layer_decay)
    undecayed: frozenset[str] = getattr(learner, "undecayed", frozenset())
    constant: tuple[str, ...] = getattr(learner, "constant_lr", ())
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in learner.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim > 1 and name not in undecayed
            groups.setdefault((scales[name], decayed, name.startswith(constant or "\0")), []).append(parameter)
    settings = [
        {
            "params": params,
            "scale": scale,
            "decayed": decayed,
            "constant": fixed,
            "weight_decay": config.weight_decay * decayed,
        }
        for (scale, decayed, fixed), params in groups.items()
    ]
    if config.kind == "adamw":
        return torch.optim.AdamW(settings, lr=0.0, betas=config.betas, fused=True)
    if config.kind == "sgd":
        return torch.optim.SGD(settings, lr=0.0, momentum=config.momentum)
    return LARS(settings, momentum=config.momentum)


@dataclass(frozen=True)
class Rates:
    """What the schedule says for one step."""

    lr: float
    peak_lr: float
    weight_decay: float


def rates(config: OptimConfig, step: int, total: int, warmup: int, scale: float) -> Rates:
    """Of a step; `scale` is the global batch over 256. The weight decay runs over the whole schedule, warm-up included."""
    peak = config.lr * scale
    lr = warmup_cosine(step, total, warmup, peak, config.min_lr * scale, config.warmup_from)
    decay, final = config.weight_decay, config.final_weight_decay
    if final is not None:
        decay = final + 0.5 * (decay - final) * (1 + math.cos(math.pi * step / max(1, total)))
    return Rates(lr, peak, decay)


def set_rates(optimizer: torch.optim.Optimizer, now: Rates) -> None:
    for group in optimizer.param_groups:
        group["lr"] = (now.peak_lr if group["constant"] else now.lr) * group["scale"]
        group["weight_decay"] = now.weight_decay * group["decayed"]
