"""Initialisations of the masked family (decisions: masked-initialisation)."""

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


PUBLISHED_WIDTH = 384  # the narrowest model of the papers but MAE-DFER-T, whose initialisation is not known


def fresh_(root: nn.Module, dim: int) -> None:
    """Before fine-tuning from scratch, or before weights are loaded: the published rule, and Xavier for encoders narrower than
    the papers'. At width 128 a standard deviation of 0.02 passes on a quarter of the signal in each layer, and such a model
    stays on the plateau of its first steps where one that starts as at pre-training leaves it (docs/lab.md)."""
    truncated_(root) if dim >= PUBLISHED_WIDTH else xavier_(root)
