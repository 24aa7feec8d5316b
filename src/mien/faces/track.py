"""Faces joined over time: detections every few frames become tracks with a box and points on every frame between."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from mien.faces.detect import Detections, iou

# A face moves less than this, in sides of its box, from one detection to the next (0.15 s, or a gap of 0.5 s).
REACH = 0.75
MAX_SIZE_RATIO = 1.8
# Neighbouring looks further apart than the rarest `every_s` allowed: the recording paused, who is there is unknown.
STANDSTILL_S = 2.0
# One lone detection is a face only when the detector is this sure; weaker ones need a second within the gap.
SURE = 0.75
# Smoothing moves a coordinate by at most this fraction of the face's side: it takes the detector's jitter (1 to 2 % of
# the side at stride 4) and leaves fast movements alone.
SMOOTH_LIMIT = 0.03


@dataclass(eq=False)
class Knot:
    """A detection on a track. `shape` [4 + 2 P]: box and points in one vector."""

    index: int
    time_s: float
    shape: np.ndarray
    score: float

    @property
    def side(self) -> float:
        return float(max(self.shape[2] - self.shape[0], self.shape[3] - self.shape[1]))


@dataclass(eq=False)
class Track:
    given: int | None
    knots: list[Knot]
    number: int = -1
    """Assigned when its first sample leaves: faces that turn out to be none use up no number."""
    start: int = 0
    """Knots before this one were dropped."""
    total: int = 1

    @property
    def last(self) -> Knot:
        return self.knots[-1]

    @property
    def real(self) -> bool:
        return self.total > 1 or self.given is not None or self.last.score >= SURE

    def smoothed(self, k: int) -> np.ndarray:
        """Knot k with its neighbours at weights 1 2 1 by time (straight movement stays), within `SMOOTH_LIMIT`."""
        knot = self.knots[k]
        if not 0 < k < len(self.knots) - 1:
            return knot.shape
        before, after = self.knots[k - 1], self.knots[k + 1]
        weight = (knot.time_s - before.time_s) / (after.time_s - before.time_s)
        line = before.shape + (after.shape - before.shape) * weight
        limit = SMOOTH_LIMIT * knot.side
        return knot.shape + np.clip((line - knot.shape) / 2, -limit, limit)

    def at(self, index: int, time_s: float) -> tuple[np.ndarray, float, bool] | None:
        """(shape, score, detected here) on a frame of the track, None outside it. The score is the earlier knot's."""
        for k, knot in enumerate(self.knots):
            if knot.index == index:
                return self.smoothed(k), knot.score, True
            if knot.index > index:
                if k == 0:
                    return None
                before = self.knots[k - 1]
                weight = (time_s - before.time_s) / (knot.time_s - before.time_s)
                a, b = self.smoothed(k - 1), self.smoothed(k)
                return a + (b - a) * weight, before.score, False
        return None

    def forget(self, index: int) -> None:
        """Drops knots that no frame from `index` on needs: two before it stay, for smoothing."""
        while len(self.knots) > 3 and self.knots[2].index < index:
            del self.knots[0]


@dataclass(frozen=True)
class TrackPoint:
    """One face on one frame."""

    track: int
    box: np.ndarray
    points: np.ndarray
    score: float
    detected: bool


@dataclass
class Tracker:
    """Joins detections; says up to which frame its answers are final.

    A track ends when its face is not found for `gap_s`, at a scene cut, and at the end. Numbers are given in order of
    first appearance and never used again.
    """

    gap_s: float = 0.5
    live: list[Track] = field(default_factory=list)
    ended: list[Track] = field(default_factory=list)
    _next: int = 0
    _looked: int = -1

    def update(self, index: int, time_s: float, found: Detections) -> None:
        """Takes the detections of frame `index`."""
        self._expire_before(index, time_s)
        places = found.points.reshape(len(found), math.prod(found.points.shape[1:]))
        shapes = np.concatenate([found.boxes, places], 1).astype(np.float64)
        knots = [Knot(index, time_s, shape, float(s)) for shape, s in zip(shapes, found.scores, strict=True)]
        taken = set()
        for k, track in self._pairs(knots, found.ids):
            track.knots.append(knots[k])
            track.total += 1
            taken.add(k)
        for k, knot in enumerate(knots):
            if k not in taken:
                self.live.append(Track(None if found.ids is None else int(found.ids[k]), [knot]))

    def _pairs(self, knots: list[Knot], ids: np.ndarray | None) -> Iterator[tuple[int, Track]]:
        if ids is not None:
            known = {t.given: t for t in self.live}
            yield from ((k, known[int(i)]) for k, i in enumerate(ids) if int(i) in known)
            return
        if not knots or not self.live:
            return
        tracks = list(self.live)
        old, new = (np.stack([k.shape[:4] for k in ks]) for ks in ([t.last for t in tracks], knots))
        cost = pair_cost(old, new)
        for i, k in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, k] < IMPOSSIBLE:
                yield int(k), tracks[i]

    def _expire_before(self, index: int, time_s: float) -> None:
        """A face found at the last look is not lost, however rarely one looks, unless the video itself stood still."""
        lost = [t for t in self.live if t.last.index != self._looked or time_s - t.last.time_s > STANDSTILL_S]
        self._end([t for t in lost if time_s - t.last.time_s > self.gap_s + 1e-3])
        self._looked = index

    def expire(self, time_s: float) -> None:
        """Ends the tracks last seen more than `gap_s` before; for detectors that say when a face is there."""
        # 1 ms: see CenterFace.due.
        self._end([t for t in self.live if time_s - t.last.time_s > self.gap_s + 1e-3])

    def end_lost(self, index: int) -> None:
        """Ends the tracks not seen on frame `index`."""
        self._end([t for t in self.live if t.last.index != index])

    def end_all(self) -> None:
        self._end(list(self.live))

    def _end(self, tracks: list[Track]) -> None:
        for track in tracks:
            self.live.remove(track)
            if track.real:
                self.ended.append(track)

    @property
    def horizon(self) -> float:
        """Frames with a smaller index are final: later detections cannot change them."""
        return min((t.knots[-2].index + 1 if t.total > 1 else t.last.index for t in self.live), default=float("inf"))

    def at(self, index: int, time_s: float) -> list[TrackPoint]:
        """The faces on a final frame, by track number. Frames are asked for in order."""
        points = []
        self.ended = [t for t in self.ended if t.last.index >= index]
        for track in self.ended + self.live:
            track.forget(index)
            here = track.at(index, time_s)
            if here is not None:
                points.append((track, here))
        points.sort(key=lambda p: (p[0].number < 0, p[0].number, p[0].knots[0].index, p[0].knots[0].shape[0]))
        for track, _ in points:
            if track.number < 0:
                track.number = self._next if track.given is None else track.given
                self._next = max(self._next, track.number) + 1
        return [
            TrackPoint(t.number, shape[:4], shape[4:].reshape(-1, 2), score, detected)
            for t, (shape, score, detected) in points
        ]


IMPOSSIBLE = 1e6


def pair_cost(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """[N, 4] and [M, 4] boxes -> [N, M]: distance of centres in sides, less overlap; `IMPOSSIBLE` beyond reach."""
    sides = [np.maximum(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]) for b in (old, new)]
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (old, new)]
    side = np.maximum(sides[0][:, None], sides[1][None])
    distance = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2) / np.maximum(side, 1e-9)
    ratio = side / np.maximum(np.minimum(sides[0][:, None], sides[1][None]), 1e-9)
    return np.where((distance > REACH) | (ratio > MAX_SIZE_RATIO), IMPOSSIBLE, distance + 1 - iou(old, new))
