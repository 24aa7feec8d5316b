"""Initialisations of the masked family (official.md 2.5)."""

from __future__ import annotations

from torch import nn


def _reset(module: nn.Module) -> None:
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def xavier_(root: nn.Module) -> None:
    """Pre-training: Xavier-uniform Linear weights (a fused qkv counts as one matrix); convolutions keep torch's own."""
    for module in root.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        _reset(module)


def truncated_(root: nn.Module, std: float = 0.02) -> None:
    """Fine-tuning from scratch: Linear weights ~ N(0, std) cut at +-2 (absolute)."""
    for module in root.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std, a=-2, b=2)
        _reset(module)
