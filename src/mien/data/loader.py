"""Batches as pure functions of (seed, step): uint8 frames and parameters, decoded by threads of the training process.

simplejpeg lets go of the interpreter lock while it decodes, so threads use every core and the pixels are written once,
into the batch itself: no other process, no copy, nothing that outlives the trainer.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.data.dataset import FrameError, Items, Reader, Sample
from mien.data.view import View
from mien.errors import UserError
from mien.rng import generator

Batch = dict[str, Any]

# What a view brings besides its frames and the parameters of its transform.
EXTRAS = {"keep", "sound", "heard"}
# Batches under way while one is being trained on: enough that no worker waits for the slowest sample of a batch.
AHEAD = 2


class ClipLoader:
    """Training batches. Batch `step` is fixed by the seed, whatever ran before and however many workers there are.

    The *global* batch of a step is a stretch of the epoch's permutation, and each rank takes its slice: two ranks with
    B/2 see exactly the samples of one rank with B. The rest of an epoch that does not fill a global batch is dropped;
    data smaller than one global batch is seen as the chained permutations of successive epochs.

    Args:
        clips: what to read.
        views: by name, what a learner asks for (`learner.views()`).
        batch_size: per rank and micro-batch.
        accumulate: micro-batches of one global batch; step counts micro-batches.
        workers: decoding threads; 0 decodes in the caller's.
        targets: by name, arrays whose first axis runs over the rows of `clips`.
        weights: [rows] how often a row is drawn, with replacement; None takes every row once an epoch.
        order: the rows of an epoch in place of a permutation of all, as many in each; not with `weights`.
        pin: page-locked frames, for training on a GPU.
    """

    def __init__(
        self,
        clips: Items,
        views: Mapping[str, View],
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
        workers: int = 2,
        targets: Mapping[str, np.ndarray] | None = None,
        weights: np.ndarray | None = None,
        order: Callable[[int], np.ndarray] | None = None,
        pin: bool = False,
    ):
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self._weights = None if weights is None else weights / weights.sum()
        self.num_clips, self.clip_ids, self.accumulate = len(clips), clips.clip_ids, accumulate
        self._batches = _Batches(Reader(clips, dict(views), seed, strict=False), workers, targets or {}, pin)
        self._order = lru_cache(maxsize=4)(order or self._permutation)
        self.epoch_clips = len(self._order(0)) if order else len(clips)

    def _permutation(self, epoch: int) -> np.ndarray:
        rng = generator("order", self.seed, epoch)
        if self._weights is None:
            return rng.permutation(self.num_clips)
        return rng.choice(self.num_clips, self.num_clips, p=self._weights)

    def samples(self, step: int) -> list[Sample]:
        """This rank's samples of one step."""
        total = self.batch_size * self.world
        whole = total * self.accumulate
        used = self.epoch_clips // whole * whole or self.epoch_clips  # what of a permutation is seen
        first = step * total + self.rank * self.batch_size
        places = (divmod(p, used) for p in range(first, first + self.batch_size))
        return [Sample(epoch, int(self._order(epoch)[place])) for epoch, place in places]

    def batches(self, start_step: int = 0, num_steps: int | None = None) -> Generator[Batch, None, None]:
        """The batches of steps start_step, start_step + 1, ... (without end when `num_steps` is None).

        Each is ``{view name: {"frames": uint8 [B, T, H, W, C], parameters...}, "index": int64 [B] rows,
        "replaced": int64 [B] frames that could not be decoded, targets...}``, on the CPU; see `prepare_batch`.

        Raises:
            UserError: no clip at all can be decoded.
        """
        steps = _count(start_step, num_steps)
        return self._batches.run(self.samples(step) for step in steps)


class EvalLoader:
    """Every row and every view of it once, in order: ``for row: for view_idx``. A broken frame is an error.

    Batches are those of `ClipLoader`, plus "view_idx" and "row" int64 [B] (the row that was asked for, where another stands in
    for it); the last may be smaller. With several ranks the items
    are dealt in turn (rank r takes r, r + world, ...). Views may use any policy; what they draw depends on
    (seed, row, view_idx).

    Args:
        num_views: clips per row (two for the test policy of the papers), or one number for each row.
        strict: a broken frame is an error; else its neighbour takes its place, as in training.
    """

    def __init__(
        self,
        clips: Items,
        views: Mapping[str, View],
        batch_size: int,
        seed: int = 0,
        *,
        num_views: int | Sequence[int] = 1,
        strict: bool = True,
        rank: int = 0,
        world: int = 1,
        workers: int = 2,
        targets: Mapping[str, np.ndarray] | None = None,
        pin: bool = False,
    ):
        self.batch_size = batch_size
        counts = [num_views] * len(clips) if isinstance(num_views, int) else list(num_views)
        items = [Sample(-1, i, v, counts[i]) for i in range(len(clips)) for v in range(counts[i])]
        self.items = items[rank::world]
        self._batches = _Batches(Reader(clips, dict(views), seed, strict=strict), workers, targets or {}, pin)

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(len(self.items) / self.batch_size)

    def __iter__(self) -> Generator[Batch, None, None]:
        """Raises UserError when a frame cannot be decoded."""
        plans = [self.items[k : k + self.batch_size] for k in range(0, len(self.items), self.batch_size)]
        try:
            for plan, batch in zip(plans, self._batches.run(iter(plans)), strict=True):
                asked = {"view_idx": [s.view_idx for s in plan], "row": [s.index for s in plan]}
                yield batch | {name: torch.tensor(values) for name, values in asked.items()}
        except FrameError as error:
            raise UserError(
                f"{error}; numbers over the rest would not be comparable: prepare its video again"
            ) from error


def prepare_batch(batch: Batch, views: Mapping[str, View], device: torch.device | str) -> Batch:
    """Moves a batch to the device and augments it there.

    Returns:
        ``{view name: float32 [B, C, T, size, size] (a transform with several results gives each its own name), "keep": int64
        [B, K] where the view "clip" has a mask, "sound": int16 [B, S] or [B, T, S] and "heard": bool [B, T] where it hears
        (for other views "keep_<name>" and so on), "values": float32 [B, T, K] where a view has
        per-frame targets, everything else as it was, on the device}``.
    """
    ready: Batch = {}
    for key, value in batch.items():
        if key not in views:
            ready[key] = value.to(device, non_blocking=True)
            continue
        params = dict(value)
        if "frame_targets" in params:
            ready["values"] = params.pop("frame_targets").to(device, non_blocking=True)
        made = views[key].apply(params.pop("frames").to(device, non_blocking=True), params)
        ready |= made if isinstance(made, dict) else {key: made}
        for extra in EXTRAS & params.keys():
            name = extra if key == "clip" else f"{extra}_{key}"
            ready[name] = params[extra].to(device, non_blocking=True)
    return ready


def _count(start: int, number: int | None) -> Iterator[int]:
    step = start
    while number is None or step < start + number:
        yield step
        step += 1


class _Batches:
    """Turns lists of samples into batches, some of them ahead of time."""

    def __init__(self, reader: Reader, workers: int, targets: Mapping[str, np.ndarray], pin: bool):
        self.reader, self.workers, self.pin = reader, workers, pin
        for name, values in targets.items():
            if len(values) != len(reader.clips):
                have = f"{len(values)} values for target {name!r}"
                raise UserError(f"received {have}; allowed: one for each of {len(reader.clips)} clips")
            assert name not in reader.views, f"target {name!r} has the name of a view"
        self.targets = {name: torch.as_tensor(values) for name, values in targets.items()}

    def run(self, plans: Iterator[Sequence[Sample]]) -> Generator[Batch, None, None]:
        if self.workers == 0:
            for plan in plans:
                frames = self.reader.buffers(len(plan), self.pin)
                yield self._collate(frames, [self._fill(frames, b, s) for b, s in enumerate(plan)])
            return
        pool = ThreadPoolExecutor(self.workers, "mien-decode")
        under_way: deque[tuple[dict[str, Tensor], list[Future]]] = deque()
        try:
            for plan in plans:
                frames = self.reader.buffers(len(plan), self.pin)
                under_way.append((frames, [pool.submit(self._fill, frames, b, s) for b, s in enumerate(plan)]))
                if len(under_way) > AHEAD:
                    yield self._finish(*under_way.popleft())
            while under_way:
                yield self._finish(*under_way.popleft())
        finally:  # also when the consumer stops early: no thread stays behind
            pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, frames: dict[str, Tensor], futures: list[Future]) -> Batch:
        return self._collate(frames, [f.result() for f in futures])

    def _fill(self, frames: dict[str, Tensor], b: int, sample: Sample) -> tuple:
        return self.reader.fill(sample, {name: batch[b].numpy() for name, batch in frames.items()})

    def _collate(self, frames: dict[str, Tensor], filled: list[tuple]) -> Batch:
        rows, replaced, params = zip(*filled, strict=True)
        index = torch.tensor(rows)
        batch: Batch = {
            name: {"frames": frames[name], **{k: _stack([p[name][k] for p in params]) for k in params[0][name]}}
            for name in frames
        }
        batch |= {"index": index, "replaced": torch.tensor(replaced)}
        return batch | {name: values[index] for name, values in self.targets.items()}


def _stack(values: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(values))
