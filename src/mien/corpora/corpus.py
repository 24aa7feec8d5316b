"""What a corpus is: a parser from a data set's official files to a listing of its clips. `prepare` reads nothing else.

A corpus is one file with a function ``read(root, options) -> Listing`` and a line in `_table.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from mien.contract import CropKind, Geometry


@dataclass(frozen=True)
class FrameTargets:
    """Annotation of single frames.

    Args:
        times_s: [n] seconds from the beginning of the source, rising.
        values: target name to [n] float32, NaN = not annotated.
        interpolate: linear between rows (annotations slower than the video), else the row nearest in time.
    """

    times_s: np.ndarray
    values: dict[str, np.ndarray]
    interpolate: bool = False

    def __post_init__(self) -> None:
        assert (np.diff(self.times_s) > 0).all(), "times rise"
        assert all(v.shape == self.times_s.shape for v in self.values.values())

    def at(self, times_s: np.ndarray) -> dict[str, np.ndarray]:
        """float32 [T] of each target at the times [T]; NaN more than one row (their median distance) from every row.

        Between an annotated and an unannotated row nothing is interpolated: NaN.
        """
        rows = self.times_s
        if not len(rows):
            return {name: np.full(len(times_s), np.nan, np.float32) for name in self.values}
        right = np.searchsorted(rows, times_s).clip(1, max(len(rows) - 1, 1))
        left, right = right - 1, np.minimum(right, len(rows) - 1)
        step = np.maximum(rows[right] - rows[left], 1e-9)
        share = ((times_s - rows[left]) / step).clip(0, 1)
        if not self.interpolate:
            share = np.round(share)
        reach = float(np.median(np.diff(rows))) if len(rows) > 1 else np.inf
        near = np.minimum(abs(times_s - rows[left]), abs(times_s - rows[right])) <= reach * 1.001
        found = {}
        for name, values in self.values.items():
            # a weight of 0 takes no part: 0 * NaN is NaN
            low, high = np.where(share < 1, values[left], 0), np.where(share > 0, values[right], 0)
            mixed = low * (1 - share) + high * share
            found[name] = np.where(near, mixed, np.nan).astype(np.float32)
        return found

    @property
    def digest(self) -> str:
        """Names the annotation, so that clips are made anew when it changes."""
        text = repr([self.interpolate, *self.values]).encode()
        data = [self.times_s.astype(np.float64), *(v.astype(np.float32) for v in self.values.values())]
        return hashlib.sha256(b"".join([text, *(d.tobytes() for d in data)])).hexdigest()[:12]


@dataclass(frozen=True)
class Entry:
    """One clip of a corpus.

    Args:
        path: file, or folder of frames, relative to the corpus root.
        values: `label` (class name), `subject`, `split`, ``fold_<k>`` ("train", "val" or "test"), ``votes_<class>``, targets by
            their names. None where unknown.
        start_s, end_s: stretch of the file; None for all of it.
        targets: reads the per-frame annotation, once, before anything is prepared; raises UserError for a damaged file. None
            without one.
    """

    path: str
    values: Mapping[str, str | float | None] = field(default_factory=dict)
    start_s: float | None = None
    end_s: float | None = None
    targets: Callable[[], FrameTargets] | None = None


@dataclass(frozen=True)
class Listing:
    """A corpus as found on disk.

    Args:
        entries: every clip that the official files name, whether its frames are there or not: a clip that is missing becomes a
            manifest row with a reason and counts as wrong at test.
        classes: class names in the published order; () for corpora without classes.
        target_names: names of the per-frame or per-clip targets. Where an entry has `targets`, these are columns of the shards.
        crop: how faces get into the shards: "none" for ready-made crops, "face" for raw video.
        stand_in: geometry that `predict` uses on raw video for models trained on these ready-made crops ("assumed, not
            verified"); None where the crops are ours.
        image_fps: frame rate of clips that are folders of images.
        image_times: "index": the k-th image is at k / fps; "number": at (last number in its name - first_number) / fps, for
            folders with gaps.
        problems: one line for each thing that is missing, double, extra or of an unexpected count; printed, and kept in the
            shards.
    """

    entries: list[Entry]
    classes: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    crop: CropKind = "none"
    stand_in: Geometry | None = None
    image_fps: float = 25.0
    image_times: Literal["index", "number"] = "index"
    first_number: int = 1
    problems: tuple[str, ...] = ()


class Corpus(Protocol):
    """What `_table.py` holds for each name: a frozen dataclass whose fields are the corpus's options (what is uncertain in its
    format is a field with the likeliest default)."""

    def read(self, root: Path) -> Listing:
        """Raises UserError when `root` is not this corpus: what was looked for, what was found, where to get the files."""
        ...
