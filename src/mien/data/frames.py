"""Single frames of clips as training items: which of them an epoch sees, and how often (decisions: one-frame-in-ten).

A `FrameSet` stands where a `ClipSet` does; its items are the annotated frames. Millions of frames are a few index arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mien.data.dataset import ClipSet
from mien.data.select import item_of
from mien.data.shards import Clip
from mien.errors import require
from mien.rng import generator

KEPT = ("clip_id", "frames", "times_s")


@dataclass(frozen=True)
class FrameSampling:
    """Which frames an epoch has, and how often: the rules of the ABAW5 solution."""

    one_in: int = 10
    """One frame in so many of each video: those whose number leaves the remainder that was drawn for the video, 1 to one less
    (the released code never draws 0). 1 takes all."""
    redraw: bool = True
    """Draw the remainders anew for every epoch, as the paper says; else once, as the released code does."""
    oversample: float = 0.15
    """Frames of a class with a smaller share than this are listed ceil(sqrt(oversample / share)) times; 0 lists each once."""

    def __post_init__(self) -> None:
        require(self.one_in >= 1, f"--one-in {self.one_in}: give 1 (all frames) or more")
        require(0 <= self.oversample <= 1, f"--oversample {self.oversample:g}: give a number from 0 to 1")


class FrameSet:
    """The annotated frames of clips, with the interface of `ClipSet`, and which of them an epoch sees.

    The frames of an epoch are shuffled, then cut to, or filled up by repeating their beginning to, the number that epoch 0
    has: redrawn remainders give a few more or less each time.

    Args:
        clips: rows with per-frame targets.
        targets: names; a frame counts where all are there (not NaN). One name is a class index, which oversampling is by.
        num_classes: 0 for targets that are no classes.

    Raises:
        UserError: a target that the shards lack; no annotated frame.
    """

    def __init__(
        self, clips: ClipSet, targets: Sequence[str], sampling: FrameSampling, seed: int, num_classes: int = 0
    ):
        self.clips, self.sampling, self.seed, self.num_classes = clips, sampling, seed, num_classes
        self.height, self.width = clips.height, clips.width
        self._columns = (*KEPT, *targets)
        parts = [_annotated(clips[row], targets, num_classes > 0) for row in range(len(clips))]
        sizes = [len(p[0]) for p in parts]
        videos = {item: k for k, item in enumerate(dict.fromkeys(map(item_of, clips.clip_ids)))}
        self._num_videos = len(videos)
        self._rows = np.repeat(np.arange(len(clips), dtype=np.int32), sizes)
        self._video = np.repeat(np.array([videos[item_of(c)] for c in clips.clip_ids], np.int32), sizes)
        self._at, self._number, self.labels = (np.concatenate([p[k] for p in parts]) for k in range(3))
        require(len(self._rows) > 0, f"no frame of the training rows is annotated with {' and '.join(targets)}")
        self.clip_ids = _Names(self)
        self._repeats = self._repeats_of(self._everything() if sampling.redraw else self._kept(0))
        self._length = len(self._listed(0))

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, index: int) -> tuple[int, int]:
        """(row of `clips`, frame in it)."""
        return int(self._rows[index]), int(self._at[index])

    def __getitem__(self, index: int) -> Clip:
        row, k = self.where(index)
        return one_frame(self.clips[row], k, self._columns)

    def read(self, index: int, clip: Clip, positions: np.ndarray, out: np.ndarray, strict: bool) -> int:
        """As `ClipSet.read`, of a clip of one frame."""
        return self.clips.read(self.where(index)[0], clip, positions, out, strict)

    def order(self, epoch: int) -> np.ndarray:
        """int64 items of an epoch, shuffled; the same number in every epoch."""
        listed = self._listed(epoch)
        return np.resize(generator("frame order", self.seed, epoch).permutation(listed), self._length)

    def _listed(self, epoch: int) -> np.ndarray:
        kept = self._kept(epoch)
        return np.repeat(kept, self._repeats[self.labels[kept]]) if self.num_classes else kept

    def _everything(self) -> np.ndarray:
        return np.arange(len(self._rows))

    def _kept(self, epoch: int) -> np.ndarray:
        every = self.sampling.one_in
        if every == 1:
            return self._everything()
        rng = generator("remainders", self.seed, epoch if self.sampling.redraw else 0)
        remainders = rng.integers(1, every, self._num_videos)
        kept = np.flatnonzero(self._number % every == remainders[self._video])
        return kept if len(kept) else self._everything()  # videos of a few frames

    def _repeats_of(self, frames: np.ndarray) -> np.ndarray:
        """How often a frame of each class is listed: by its share of the frames of a fixed choice, or, where they are redrawn, of
        all, which does not change from epoch to epoch."""
        counts = np.bincount(self.labels[frames], minlength=self.num_classes) if self.num_classes else np.zeros(0, int)
        return repeats(counts, self.sampling.oversample)


def class_counts(clips: ClipSet, target: str, num_classes: int) -> np.ndarray:
    """[K] annotated frames of each class. Raises UserError where the shards lack the target."""
    labels = [_annotated(clips[row], (target,), True)[2] for row in range(len(clips))]
    return np.bincount(np.concatenate(labels), minlength=num_classes)


def repeats(counts: np.ndarray, threshold: float) -> np.ndarray:
    """[K] int64: ceil(max(1, sqrt(threshold / share of the class))); 1 for a class without frames."""
    share = counts / max(1, counts.sum())
    return np.ceil(np.sqrt(np.maximum(1, threshold / np.where(counts > 0, share, 1)))).astype(np.int64)


def one_frame(clip: Clip, k: int, columns: Sequence[str]) -> Clip:
    """Frame k as a clip of its own; its bytes stay where they are in the mapped file."""
    arrays = [clip.batch.column("clip_id")]
    for name in columns[1:]:
        column = clip.batch.column(name)
        arrays.append(pa.ListArray.from_arrays(_ONE, column.values.slice(column.offsets[0].as_py() + k, 1)))
    return Clip(pa.record_batch(arrays, names=list(columns)))


_ONE = pa.array([0, 1], pa.int32())


def _annotated(clip: Clip, targets: Sequence[str], classes: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions int16, frame numbers within the video int32 and classes int16 of the annotated frames of a row."""
    values = np.stack([clip.target(name) for name in targets], axis=1)
    at = np.flatnonzero(np.isfinite(values).all(axis=1) & ((values[:, 0] >= 0) | (not classes)))
    return at.astype(np.int16), frame_numbers(clip)[at], values[at, 0].astype(np.int16)


def frame_numbers(clip: Clip) -> np.ndarray:
    """int32 [T] numbers within the video, from the times: frames without a face count too, as in the annotation files."""
    times_s = clip.numbers("times_s")
    if len(times_s) < 2:
        return np.zeros(len(times_s), np.int32)
    return np.rint(times_s / max(float(np.median(np.diff(times_s))), 1e-9)).astype(np.int32)


class _Names:
    """Names of frames, made when asked for."""

    def __init__(self, frames: FrameSet):
        self._frames = frames

    def __getitem__(self, index: int, /) -> str:
        row, k = self._frames.where(index)
        return f"{self._frames.clips.clip_ids[row]}, frame {k}"
