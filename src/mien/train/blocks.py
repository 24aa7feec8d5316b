"""What training does to the blocks of a learner: less memory, or fewer and larger kernels. Keys and values stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def blocks_of(learner: nn.Module) -> Iterator[nn.Module]:
    """The members of every `ModuleList` called ``blocks``: the Transformer blocks of encoders and decoders."""
    for name, module in learner.named_modules():
        if isinstance(module, nn.ModuleList) and name.rpartition(".")[2] == "blocks":
            yield from module


def recompute_activations(learner: nn.Module) -> None:
    """Keeps only the input of each block for the backward pass, which computes the rest once more (gradient checkpointing).

    Random numbers are drawn again as they were, so losses and gradients are those of a run without it, to the bit on a CPU.
    """
    for block in blocks_of(learner):
        _recompute(block)


def _recompute(block: nn.Module) -> None:
    forward = block.forward

    def call(*args: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args)
        return checkpoint(forward, *args, use_reentrant=False)

    # On the instance, not as a wrapping module: the names of the weights stay what checkpoints hold.
    block.forward = call


def compile_blocks(learner: nn.Module) -> None:
    """`torch.compile` for each block by itself: blocks of one kind and shape share their code, which whole models do not."""
    for block in blocks_of(learner):
        block.compile()
