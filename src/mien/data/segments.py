"""Rows of one face track joined again, so that sequence tasks see long stretches: rows hold 512 frames at most.

A stretch is what has no gap longer than `MAX_GAP_S`; nothing is joined across one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.data.dataset import ClipSet, FrameError
from mien.data.manifest import Manifest
from mien.data.sampling import MAX_GAP_S, nearest_indices
from mien.data.select import item_of
from mien.data.shards import Clip, Shards
from mien.data.view import View
from mien.rng import generator


def stretches(rows: Manifest) -> list[list[int]]:
    """Row numbers of each stretch, in order of time; stretches in order of their first row."""
    tracks: dict[tuple[str, int], list[int]] = defaultdict(list)
    table = rows.rows()
    for i, row in enumerate(table):
        tracks[item_of(row["clip_id"]), row["track"]].append(i)
    found = []
    for members in tracks.values():
        members.sort(key=lambda i: table[i]["segment"])
        found.append(members[:1])
        for before, i in zip(members, members[1:], strict=False):
            if table[i]["start_s"] - table[before]["end_s"] > MAX_GAP_S:
                found.append([])
            found[-1].append(i)
    return sorted(found)


class Joined(Clip):
    """Several rows as one clip."""

    def __init__(self, parts: Sequence[Clip]):
        self.parts = list(parts)
        self.starts = np.cumsum([0, *(len(p) for p in self.parts)]).tolist()

    def __len__(self) -> int:
        return self.starts[-1]

    def jpeg(self, k: int) -> memoryview:
        part = bisect_right(self.starts, k) - 1
        return self.parts[part].jpeg(k - self.starts[part])

    def target(self, name: str) -> np.ndarray:
        return np.concatenate([p.target(name) for p in self.parts])

    def numbers(self, column: str) -> np.ndarray:
        return np.concatenate([p.numbers(column) for p in self.parts])


class StretchSet(ClipSet):
    """Whole stretches by number, in the order of `stretches`."""

    def __init__(self, shards: Shards, rows: Manifest):
        self.members = [[i] for i in range(len(rows))]  # for the check of sizes, which looks at single rows
        super().__init__(shards, rows)
        self.members = stretches(rows)
        ids = rows.column("clip_id")
        self.clip_ids = [ids[m[0]] for m in self.members]

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Clip:
        return Joined([super(StretchSet, self).__getitem__(i) for i in self.members[index]])


class SegmentSet(StretchSet):
    """Training segments: a stretch is there once for every `length_s` that it lasts, or has begun to, so that an epoch has as
    many frames as the data. Which part of it is seen is drawn by the view."""

    def __init__(self, shards: Shards, rows: Manifest, length_s: float):
        super().__init__(shards, rows)
        starts, ends = rows.column("start_s"), rows.column("end_s")
        lasts = [ends[m[-1]] - starts[m[0]] for m in self.members]
        counts = [max(1, int(np.ceil(s / length_s - 1e-6))) for s in lasts]
        self.members = [m for m, n in zip(self.members, counts, strict=True) for _ in range(n)]
        self.clip_ids = [i for i, n in zip(self.clip_ids, counts, strict=True) for _ in range(n)]


@dataclass(frozen=True)
class SegmentView(View):
    """A view whose targets are late by `delay_s`, and unknown where the stretch was too short and its last frame is repeated."""

    delay_s: float = 0.0
    """Raters need time: what they say of a frame stands so much later in the annotation."""

    def targets(self, clip: Clip, positions: np.ndarray) -> np.ndarray:
        values = targets_at(clip, self.frame_targets, clip.numbers("times_s")[positions] + self.delay_s)
        changes = np.flatnonzero(np.diff(positions))
        values[(changes[-1] + 1 if len(changes) else 0) + 1 :] = np.nan
        return values


def targets_at(clip: Clip, names: Sequence[str], wanted_s: np.ndarray) -> np.ndarray:
    """float32 [T, K] of the stored frames nearest to the times; NaN more than half a frame beyond the first or the last one."""
    times = clip.numbers("times_s")
    values = np.stack([clip.target(name) for name in names], axis=1)[nearest_indices(times, wanted_s)]
    half = np.median(np.diff(times)) / 2 if len(times) > 1 else 0.0
    values[(wanted_s > times[-1] + half + 1e-6) | (wanted_s < times[0] - half - 1e-6)] = np.nan
    return values


def frame_values(clips: ClipSet, names: Sequence[str], delay_s: float = 0.0) -> np.ndarray:
    """float32 [n, K]: per-frame targets of all clips, one after the other, as training sees them with raters so late."""
    every = (clips[i] for i in range(len(clips)))
    return np.concatenate([targets_at(clip, names, clip.numbers("times_s") + delay_s) for clip in every])


def pixel_statistics(clips: ClipSet, grey: bool, seed: int, num_frames: int = 2000) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in 0..1, over at most `num_frames` frames that are drawn at random."""
    lengths = np.array([len(clips[i]) for i in range(len(clips))])
    ends = np.cumsum(lengths)
    chosen = np.sort(generator("pixels", seed).permutation(ends[-1])[:num_frames])
    frame = np.empty((1, clips.height, clips.width, 1 if grey else 3), np.uint8)
    count, total, squares = 0, np.zeros(frame.shape[-1]), np.zeros(frame.shape[-1])
    for place in chosen.tolist():
        row = int(np.searchsorted(ends, place, side="right"))
        position = place - int(ends[row] - lengths[row])
        try:
            clips.read(row, clips[row], np.array([position]), frame, strict=True)
        except FrameError:
            continue  # training replaces such a frame, statistics need none
        values = frame.reshape(-1, frame.shape[-1]) / 255
        count, total, squares = count + len(values), total + values.sum(0), squares + (values**2).sum(0)
    mean = total / max(count, 1)
    return mean.tolist(), np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 1e-8)).tolist()
