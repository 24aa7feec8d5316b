"""What a corpus is: a parser from a data set's official files to a listing of its clips. `prepare` reads nothing else.

A corpus is one file with a function ``read(root, options) -> Listing`` and a line in `_table.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from mien.types import CropKind, Geometry


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


@dataclass(frozen=True)
class Entry:
    """One clip of a corpus.

    Args:
        path: file, or folder of frames, relative to the corpus root.
        values: `label` (class name), `subject`, `split`, ``fold_<k>`` ("train", "val" or "test"), ``votes_<class>``, targets by
            their names. None where unknown.
        start_s, end_s: stretch of the file; None for all of it.
        targets: reads the per-frame annotation when the clip is prepared; None without one.
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
        target_names: names of the per-frame or per-clip targets.
        crop: how faces get into the shards: "none" for ready-made crops, "face" for raw video.
        stand_in: geometry that `predict` uses on raw video for models trained on these ready-made crops ("assumed, not verified");
            None where the crops are ours.
        frames: "clip" where a clip is a folder of images.
        image_fps: their frame rate.
        image_times: "index": the k-th image is at k / fps; "number": at (number in its name - first_number) / fps, for folders with
            gaps.
        problems: one line for each thing that is missing, double, extra or of an unexpected count; printed, and kept in the shards.
    """

    entries: list[Entry]
    classes: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    crop: CropKind = "none"
    stand_in: Geometry | None = None
    frames: Literal["clip"] | None = None
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
