"""Options that mean the same in several commands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from mien.errors import require

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class OnDevice:
    device: Device = "auto"
    """Where the model runs; auto is the GPU where there is one."""


@dataclass(frozen=True, kw_only=True)
class Batched:
    batch_size: int = 16
    """Clips, or windows of a video, that the model sees at once."""

    def __post_init__(self) -> None:
        require(1 <= self.batch_size <= 4096, f"--batch-size {self.batch_size}: give 1 to 4096")


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    allow_contract_mismatch: bool = False
    """Go on although the model was trained on faces that were cropped in another way; it is then written beside the numbers."""


@dataclass(frozen=True, kw_only=True)
class Personality:
    allow_personality: bool = False
    """Needed for personality traits: they are impressions of strangers, and must not be used to choose, rank or judge people."""


@dataclass(frozen=True, kw_only=True)
class Seeded:
    seed: int = 0
    """Of everything random: the same seed gives the same result."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    workers: int | None = None
    """Processes that work side by side; one for each core by default."""

    @property
    def processes(self) -> int:
        return usable_cores() if self.workers is None else self.workers


def usable_cores() -> int:
    """Cores this process may use: fewer than the machine has in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
