"""Sliding windows over face tracks, in constant memory: which rows a track gives and which frames each row's clip has.

A track is cut into *stretches*: runs of samples with no gap longer than `MAX_GAP_S`. A stretch gives a row at every multiple of
the step between its first and last frame, so that all people and all models share one time grid; a stretch too short
to hold one gives a single row at its middle. The clip of a row is centred on the row's time and sampled by time; what it
would need from beyond an end of the stretch is the frame at that end, repeated, as `sampling` does for short videos.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.data.sampling import MAX_GAP_S, indices_at
from mien.faces.faces import FaceSample
from mien.transforms.clip import ClipSpec

# A wanted frame counts as seen when a stored one is this near: half the frame period of a 5 fps video.
SEEN_WITHIN_S = 0.1
_EPS = 1e-6


@dataclass(frozen=True)
class WindowShape:
    """The clip one model wants: `num_frames` frames, `period_s` seconds apart."""

    num_frames: int
    period_s: float

    @classmethod
    def of(cls, clip: ClipSpec) -> WindowShape:
        return cls(clip.num_frames, clip.step_s)

    @property
    def half_s(self) -> float:
        """Seconds from the centre to the last frame."""
        return (self.num_frames - 1) / 2 * self.period_s

    def wanted_s(self, centre_s: float) -> np.ndarray:
        """[num_frames] times of the clip centred there."""
        return centre_s - self.half_s + self.period_s * np.arange(self.num_frames)


@dataclass(frozen=True)
class Moment:
    """One row to be: a face at a time, and the frames of each model's clip around it.

    Args:
        centre: the sample nearest to `time_s`.
        clips: per window shape, its samples in time order.
        seen: per window shape, the share of its frames that were really there (less at the ends of a stretch).
        stretch_s: when its stretch began.
    """

    time_s: float
    track: int
    centre: FaceSample
    clips: tuple[list[FaceSample], ...]
    seen: tuple[float, ...]
    stretch_s: float = 0.0


@dataclass
class _Stretch:
    track: int
    start_s: float
    step_s: float
    shapes: Sequence[WindowShape]
    samples: list[FaceSample] = field(default_factory=list)
    num_rows: int = 0

    def __post_init__(self) -> None:
        self._next = math.ceil(self.start_s / self.step_s - _EPS)

    @property
    def last_s(self) -> float:
        return self.samples[-1].time_s

    @property
    def _grid_s(self) -> float:
        return round(self._next * self.step_s, 6)

    @property
    def floor_s(self) -> float:
        """No row to come is earlier than this."""
        return self._grid_s if self.num_rows else self.start_s

    def ready(self, closed: bool) -> Iterator[Moment]:
        """Rows whose frames are all known; `closed` when no sample will follow."""
        reach = 0.0 if closed else max(s.half_s for s in self.shapes)
        while self._grid_s + reach <= self.last_s + _EPS:
            yield self._moment(self._grid_s)
            self._next += 1
            self._forget()
        if closed and not self.num_rows:
            yield self._moment(round((self.start_s + self.last_s) / 2, 6))

    def _moment(self, time_s: float) -> Moment:
        self.num_rows += 1
        times = np.array([s.time_s for s in self.samples])
        clips, seen = [], []
        for shape in self.shapes:
            wanted = shape.wanted_s(time_s)
            index = indices_at(times, wanted[0], shape.num_frames, shape.period_s)
            clips.append([self.samples[i] for i in index])
            seen.append(float(np.mean(np.abs(times[index] - wanted) <= SEEN_WITHIN_S + _EPS)))
        centre = self.samples[int(np.abs(times - time_s).argmin())]
        return Moment(time_s, self.track, centre, tuple(clips), tuple(seen), self.start_s)

    def _forget(self) -> None:
        """Drops the samples that no later row can ask for: all before the last one that is at or before the next window."""
        earliest = self._grid_s - max(s.half_s for s in self.shapes)
        before = sum(s.time_s <= earliest for s in self.samples)
        del self.samples[: max(before - 1, 0)]


class Windower:
    """Feed it the faces of each frame in time order; it gives rows as soon as their frames are known.

    Args:
        shapes: the clips the models want.
        step_s: seconds between rows.
    """

    def __init__(self, shapes: Sequence[WindowShape], step_s: float):
        self.shapes, self.step_s = tuple(shapes), step_s
        self._open: dict[int, _Stretch] = {}
        self._now_s = -math.inf

    @property
    def floor_s(self) -> float:
        """No row to come is earlier than this; rows before it can be written in their final order."""
        return min([self._now_s, *(s.floor_s for s in self._open.values())])

    def push(self, faces: Sequence[FaceSample]) -> list[Moment]:
        """The faces of the next frame; [] where there is none."""
        if not faces:
            return []
        self._now_s = faces[0].time_s
        moments = [m for s in self._gone() for m in s.ready(closed=True)]
        for face in faces:
            stretch = self._open.get(face.track)
            if stretch is None:
                stretch = _Stretch(face.track, face.time_s, self.step_s, self.shapes)
                self._open[face.track] = stretch
            stretch.samples.append(face)
            moments.extend(stretch.ready(closed=False))
        return moments

    def _gone(self) -> list[_Stretch]:
        gone = [t for t, s in self._open.items() if self._now_s - s.last_s > MAX_GAP_S + _EPS]
        return [self._open.pop(t) for t in gone]

    def finish(self) -> list[Moment]:
        """The rows still owed at the end of the video."""
        stretches = list(self._open.values())
        self._open.clear()
        self._now_s = math.inf
        return [m for s in stretches for m in s.ready(closed=True)]
