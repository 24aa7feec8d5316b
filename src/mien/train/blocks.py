"""What training does to the blocks of a learner: less memory, or fewer and larger kernels. Keys and values stay the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
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
        # On the instance, not as a wrapping module: the names of the weights stay what checkpoints hold.
        block.forward = partial(_recomputed, block.forward)


def _recomputed(forward: Callable[..., Any], *args: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args)
    return checkpoint(forward, *args, use_reentrant=False)


def compile_blocks(learner: nn.Module, backend: str = "inductor") -> None:
    """`torch.compile` for each block by itself, under the recomputation if there is one (before or after this call).

    Blocks differ in their rate of dropped paths, so each needs its own code, and torch gives up compiling a function after
    the eighth: every block gets a copy of its function.
    """
    for number, block in enumerate(blocks_of(learner)):
        forward = block.forward
        recomputed = isinstance(forward, partial)
        compiled = torch.compile(_own_copy(type(block), block, number), dynamic=False, backend=backend)
        block.forward = partial(_recomputed, compiled) if recomputed else compiled


def _own_copy(kind: Any, block: nn.Module, number: int) -> MethodType:
    """The block's method on code that no other block has: torch counts by code object."""
    plain: FunctionType = kind.forward
    code = plain.__code__.replace(co_name=f"{plain.__code__.co_name}_{number}")
    copy = FunctionType(code, plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__)
    return MethodType(copy, block)
