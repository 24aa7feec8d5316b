"""Boxes from a file (`--boxes`): faces that someone else's detector, or a person, has marked."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import UserError
from mien.faces.detect import NOTHING, NUM_POINTS, Detections

BOX = ("x0", "y0", "x1", "y1")
POINTS = tuple(f"{axis}_{name}" for name in ("eye_l", "eye_r", "nose", "mouth_l", "mouth_r") for axis in ("x", "y"))
# In the order of 300-W, numbered from 0.
SIXTY_EIGHT = tuple(f"{axis}_{k}" for k in range(68) for axis in ("x", "y"))
NEEDED = ("path", "time_s", *BOX)


@dataclass(frozen=True)
class Mark:
    time_s: float
    box: tuple[float, ...]
    points: tuple[float, ...]
    track: int | None


class GivenTrack:
    """The marks of one video as a detector: due at the frame nearest to each marked time."""

    needs_pixels = False

    def __init__(self, marks: list[Mark]):
        self._marks = sorted(marks, key=lambda m: m.time_s)
        self._next = 0
        self._last_frame: float | None = None
        self._from, self._to = 0, 0

    def due(self, time_s: float, last_s: float | None) -> bool:
        """A mark belongs to the first frame that is not more than half a frame before it."""
        half = 0.0 if self._last_frame is None else (time_s - self._last_frame) / 2
        first = self._last_frame is None
        self._last_frame = time_s
        if first:  # skip what lies before the part that is read
            while self._next < len(self._marks) and self._marks[self._next].time_s < time_s - 0.02:
                self._next += 1
        self._from = self._next
        while self._next < len(self._marks) and self._marks[self._next].time_s <= time_s + half + 1e-3:
            self._next += 1
        self._to = self._next
        return self._to > self._from

    def detect(self, image: np.ndarray, time_s: float) -> Detections:
        marks = self._marks[self._from : self._to]
        if not marks:
            return NOTHING
        latest = marks[-1].time_s
        marks = [m for m in marks if m.time_s == latest]
        boxes = np.array([m.box for m in marks], np.float32)
        points = np.array([m.points for m in marks], np.float32).reshape(len(marks), -1, 2)
        ids = None if marks[0].track is None else np.array([m.track for m in marks])
        return Detections(boxes, points, np.ones(len(marks), np.float32), ids)


class GivenBoxes:
    """A whole boxes file; `of(source)` is the detector of one video."""

    def __init__(self, marks: dict[str, list[Mark]], file: str):
        self._marks, self._file = marks, file

    def of(self, source: str) -> GivenTrack:
        """The detector of one video; it finds nothing where the file marks nothing."""
        return GivenTrack(self.marks(source))

    def marks(self, source: str) -> list[Mark]:
        """Marks whose path is the source's name as listed, or its file name when only that is unique."""
        if source in self._marks:
            return self._marks[source]
        ends = [k for k in self._marks if source.endswith("/" + k) or k.endswith("/" + source)]
        return self._marks[ends[0]] if len(ends) == 1 else []

    def why_none(self, source: str) -> str:
        """What to tell the person whose file marks nothing in this source."""
        some = ", ".join(sorted(self._marks)[:3])
        return f"--boxes {self._file} marks nothing in {source}; its paths begin: {some or '(none)'}"

    @classmethod
    def read(cls, file: str | None, points: bool, columns: tuple[str, ...] = POINTS) -> GivenBoxes:
        """Reads a CSV with the columns `NEEDED`, and optionally `track` and points.

        Args:
            points: the crop needs them.
            columns: the points' names: `POINTS` or `SIXTY_EIGHT`.

        Raises:
            UserError: missing file or columns, a value that is no number, a box without area.
        """
        if file is None or not Path(file).is_file():
            raise UserError(f"--boxes {file}: no such file; it is a CSV with the columns {', '.join(NEEDED)}")
        with open(file, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            have = reader.fieldnames or []
            needed = NEEDED + (columns if points else ())
            if missing := [c for c in needed if c not in have]:
                count = len(columns) // 2
                more = f" (--crop face aligns on {count} points here; --crop box needs none)" if points else ""
                raise UserError(f"--boxes {file} has no column {shortened(missing)}; needed: {shortened(needed)}{more}")
            given = columns if columns[0] in have else ()
            marks = defaultdict(list)
            for line, row in enumerate(reader, 2):
                marks[row["path"]].append(_mark(row, "track" in have, given, f"{file} line {line}"))
        return cls(dict(marks), file)


def shortened(names: Sequence[str], most: int = 16) -> str:
    """The names with commas; of a long list the beginning and the last."""
    return ", ".join(names if len(names) <= most else [*names[: most - 1], "...", names[-1]])


def _mark(row: dict[str, str], tracks: bool, columns: tuple[str, ...], where: str) -> Mark:
    try:
        time_s, *box = (float(row[c]) for c in ("time_s", *BOX))
        marks = tuple(float(row[c] or "nan") for c in columns) or (math.nan,) * (2 * NUM_POINTS)
        track = int(float(row["track"])) if tracks and row["track"] else None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"--boxes {where}: not a number ({error})") from error
    if not all(map(math.isfinite, (time_s, *box))) or box[2] <= box[0] or box[3] <= box[1]:
        raise UserError(f"--boxes {where}: box {box} has no area; it is x0 y0 x1 y1 in pixels, x1 > x0 and y1 > y0")
    return Mark(time_s, tuple(box), marks, track)
