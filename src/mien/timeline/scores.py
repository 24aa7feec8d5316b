"""Windows to scored rows in order of time, in batches across tracks."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mien.faces.faces import FaceSample
from mien.timeline.forward import BatchRunner
from mien.timeline.windows import Moment, Windower


@dataclass(frozen=True)
class Scored:
    """A moment and the probabilities or values [K] of each model."""

    moment: Moment
    values: dict[str, np.ndarray]

    @property
    def place(self) -> tuple[float, int]:
        return self.moment.time_s, self.moment.track

    def __lt__(self, other: Scored) -> bool:
        return self.place < other.place


class Known:
    """Rows that every model has a value of; counts the others."""

    def __init__(self, rows: Iterable[Scored]):
        self._rows, self.left_out = rows, 0

    def __iter__(self) -> Iterator[Scored]:
        for row in self._rows:
            if all(np.isfinite(v).all() for v in row.values.values()):
                yield row
            else:
                self.left_out += 1


def score_stream(
    frames: Iterable[list[FaceSample]], windower: Windower, runner: BatchRunner, batch_size: int
) -> Iterator[Scored]:
    """Rows in order of (time, track), each as soon as no earlier one can follow."""
    waiting: list[Moment] = []
    ready: list[Scored] = []
    for faces in frames:
        runner.see(faces)
        waiting += windower.push(faces)
        if len(waiting) >= batch_size:
            _score(waiting, ready, runner, batch_size)
            runner.forget(windower.floor_s)
            while ready and ready[0].moment.time_s < windower.floor_s:
                yield heapq.heappop(ready)
    waiting += windower.finish()
    _score(waiting, ready, runner, batch_size)
    yield from sorted(ready)


def _score(waiting: list[Moment], ready: list[Scored], runner: BatchRunner, batch_size: int) -> None:
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        for moment, values in zip(batch, runner(batch), strict=True):
            heapq.heappush(ready, Scored(replace(moment, clips=()), values))  # the frames are no longer needed
    waiting.clear()
