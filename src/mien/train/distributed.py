"""One process, or several started by torchrun: the only place that knows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from mien.errors import UserError

# A command may train several times (folds). Each group needs keys of its own: in those of an earlier one its processes would
# find addresses where nobody listens any more, and wait for ever.
_GROUPS = count()
# The others wait for process 0, which alone scores and writes.
PATIENCE = timedelta(hours=6)


def is_main() -> bool:
    """Whether this process speaks and writes for all, also before there is a process group."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class World:
    """Where this process stands."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """Average over the processes."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
            value = value / self.size
        return value

    def any(self, flag: bool) -> bool:
        """True when the flag is set in any process."""
        if self.size == 1:
            return flag
        vote = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(vote, dist.ReduceOp.MAX)
        return bool(vote.item())

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises:
        UserError: cuda asked for and not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no usable GPU here (see `mien doctor`); use --device cpu")
    return torch.device("cuda", local_rank) if name == "cuda" else torch.device(name)


@cache
def _rendezvous() -> Store:
    """Where the processes of torchrun find each other, once for all groups of the command."""
    return next(iter(rendezvous("env://")))[0]


@contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """The process group torchrun asked for (gloo on CPU, nccl on GPU), or a world of one."""
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    where = pick_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    if size == 1:
        yield World(device=where)
        return
    if where.type == "cuda":
        torch.cuda.set_device(where)
    store = PrefixStore(f"group {next(_GROUPS)}", _rendezvous())
    backend = "nccl" if where.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield World(rank, size, where)
    finally:
        dist.destroy_process_group()


def distribute(learner: nn.Module, world: World) -> nn.Module:
    """The learner, wrapped for gradient averaging where there are several processes. On GPUs BatchNorm counts the batch of all
    (decisions: synchronised-batchnorm); torch's works on no other device."""
    if world.size == 1:
        return learner
    if world.device.type != "cuda":
        return DistributedDataParallel(learner)
    nn.SyncBatchNorm.convert_sync_batchnorm(learner)
    return DistributedDataParallel(learner, device_ids=[world.device])


def unsynchronised(learner: nn.Module, last: bool) -> Any:
    """Context for micro-batches: gradients are averaged with the last one only."""
    if last or not isinstance(learner, DistributedDataParallel):
        return nullcontext()
    return learner.no_sync()
