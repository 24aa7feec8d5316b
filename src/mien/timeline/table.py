"""The timeline: what its columns mean, and a writer that streams it to CSV and Parquet as rows become ready."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien.errors import UserError
from mien.timeline.kinds import KINDS, span_of

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec
    from mien.timeline.windows import Moment

# Thresholds of the quality column. Assumptions, chosen by looking at real clips; they only flag rows, nothing is left out.
SMALL_FACE_PX = 48.0
TURNED_DEG = 35.0
UNSURE_SCORE = 0.6
EDGE_SEEN = 0.75
CUT_SHARE = 0.15

ROWS_PER_GROUP = 4096


@dataclass(frozen=True)
class Column:
    """One column and its entry in the data dictionary."""

    name: str
    kind: str
    """number | integer | text"""
    meaning: str
    digits: int = 4
    """Decimals written to the CSV."""
    range: tuple[float, float] | None = None
    """Between which numbers the values lie, where that is known."""


@dataclass(frozen=True)
class ModelColumns:
    """The columns of one model."""

    values: tuple[str, ...]
    """Probability of each class, or value of each target."""
    top: tuple[str, str] | None
    """The most probable class and its probability; None for a model without classes."""
    seen: str


def model_columns(specs: Mapping[str, LabelSpec]) -> dict[str, ModelColumns]:
    """Prefixed ``<model>_`` where there are several models, or where a target is called like a column of every timeline."""
    clash = any(n in (*FIXED, "seen") for s in specs.values() if not s.classes for n in s.names)
    return {n: _named(s, f"{n}_" if len(specs) > 1 or clash else "") for n, s in specs.items()}


def _named(spec: LabelSpec, prefix: str) -> ModelColumns:
    if spec.classes:
        probabilities = tuple(f"{prefix}p_{label}" for label in spec.names)
        return ModelColumns(probabilities, (f"{prefix}label", f"{prefix}confidence"), f"{prefix}seen")
    return ModelColumns(tuple(prefix + name for name in spec.names), None, f"{prefix}seen")


def columns(
    specs: Mapping[str, LabelSpec],
    step_s: float,
    smooth_s: float = 0.0,
    delays: Mapping[str, float] | None = None,
    extra: Sequence[Column] = (),
    quality: str = "",
) -> list[Column]:
    """Every column of the timeline in its order, with its meaning: the data dictionary.

    Args:
        step_s: 0 = a row for every frame.
        delays: of the models that see a whole track (`Run.delays`).
        extra: columns after those of the models.
        quality: what the column `quality` says, where it is not about models.

    Raises:
        UserError: two columns have one name.
    """
    delays = delays or {}
    what = "Time that the row describes" if set(delays) == set(specs) else "Centre of the window that the row describes"
    rows = f"One row every {step_s:g} s" if step_s else "One row for every frame"
    found = [
        Column(
            "time_s",
            "number",
            f"{what}, in seconds from the start of the video (the container's timestamps). {rows}.",
        ),
        Column(
            "track",
            "integer",
            "Number of one face, as long as it is followed: a person who comes back has another. No identity.",
        ),
    ]
    for name, names in model_columns(specs).items():
        found += _of_model(name, specs[name], names, smooth_s, delays.get(name))
    found += [*extra, *_FACE, Column("quality", "text", quality or _QUALITY)]
    if twice := [n for n, count in Counter(c.name for c in found).items() if count > 1]:
        raise UserError(f"two columns would be called {twice[0]!r}; give the models other names: --model NAME=FOLDER")
    return found


def _of_model(name: str, spec: LabelSpec, names: ModelColumns, smooth_s: float, delay_s: float | None) -> list[Column]:
    average = f" Mean of the rows within {smooth_s / 2:g} s of time_s." if smooth_s else ""
    bounds = (0.0, 1.0) if spec.classes else spec.range
    found = [
        Column(column, "number", meaning_of(spec, name, label, delay_s) + average, 6, bounds)
        for column, label in zip(names.values, spec.names, strict=True)
    ]
    if names.top is not None:
        label, confidence = names.top
        found.append(Column(label, "text", f"The class to which {name} gives the highest probability."))
        found.append(Column(confidence, "number", "That highest probability.", range=(0.0, 1.0)))
    return [*found, Column(names.seen, "number", _SEEN if delay_s is None else _SEEN_AROUND, 2, (0.0, 1.0))]


def meaning_of(spec: LabelSpec, model: str, name: str, delay_s: float | None = None) -> str:
    """What the number in the column of one class or target says; `delay_s` as in `Run.delays`, None for models of windows."""
    window = f"over the window of {spec.clip.window_s:.2f} s"
    if spec.per == "frame":
        window = f"at time_s (the middle of a window of {spec.clip.window_s:.2f} s; between two frames their mean)"
    if delay_s is not None:
        when = f"{abs(delay_s):g} s {'after' if delay_s > 0 else 'before'} time_s" if delay_s else "at time_s"
        window = f"{when}, from everything that it has seen of the track until time_s"
    span = span_of(spec, ", ")
    return KINDS[spec.kind].column.format(model=model, name=name, target=spec.column, span=span, window=window)


_SEEN = (
    "Share of the window's frames that the video really has. Below 1 at both ends of a track, where the frame at the "
    "end is repeated, and in videos slower than 5 frames a second."
)
_SEEN_AROUND = (
    "Share of the moments close to time_s, before and after, at which the video really has the face. Below 1 at both ends of "
    "a track, and in videos slower than 5 frames a second."
)


_FACE = [
    Column("x0", "number", "Left edge of the face box at time_s, in pixels of the video as it is shown.", 1),
    Column("y0", "number", "Top edge of the face box.", 1),
    Column("x1", "number", "Right edge of the face box.", 1),
    Column("y1", "number", "Bottom edge of the face box.", 1),
    Column("score", "number", "How sure the detector is that this is a face, 0 to 1.", 3),
    Column("face_px", "number", "Longer side of the face box, in pixels of the video.", 1),
    Column("sharpness", "number", "Variance of the Laplacian of the grey crop: low is blurred.", 1),
    Column(
        "yaw",
        "number",
        "Rough turn of the head in degrees, positive towards the right of the image; empty if unknown.",
        1,
    ),
]
_QUALITY = (
    f"“ok”, or why to trust the row less, joined by “+”: small (face under {SMALL_FACE_PX:g} px), turned (yaw "
    f"over {TURNED_DEG:g} degrees), unsure (detector score under {UNSURE_SCORE:g}), cut (over {CUT_SHARE:.0%} of the "
    f"crop lies beyond the picture), edge (of the track in time: seen below {EDGE_SEEN:g}). "
    "Thresholds by judgement, not measured."
)
FIXED = ("time_s", "track", *(c.name for c in _FACE), "quality")
"""Columns of every timeline."""


def quality_of(moment: Moment) -> str:
    """The `quality` column."""
    face = moment.centre
    flags = {
        "small": face.face_px < SMALL_FACE_PX,
        "turned": abs(face.yaw) > TURNED_DEG,
        "unsure": face.score < UNSURE_SCORE,
        "cut": face.outside > CUT_SHARE,
        "edge": min(moment.seen) < EDGE_SEEN,
    }
    return "+".join(k for k, on in flags.items() if on) or "ok"


def schema_of(table: Sequence[Column]) -> pa.Schema:
    """Of ``timeline.parquet``; each field says what it means."""
    types = {"number": pa.float64(), "integer": pa.int32(), "text": pa.string()}
    return pa.schema([pa.field(c.name, types[c.kind], metadata={"meaning": c.meaning}) for c in table])


class TimelineWriter:
    """``timeline.csv``, row by row, and ``timeline.parquet``, complete when the writer is closed."""

    def __init__(self, out: Path, table: Sequence[Column]):
        self.columns = list(table)
        self.num_rows = 0
        self._schema = schema_of(table)
        self._file = open(out / "timeline.csv", "w", newline="", encoding="utf-8")  # noqa: SIM115  # closed by __exit__
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow([c.name for c in self.columns])
        self._parquet = pq.ParquetWriter(out / "timeline.parquet", self._schema)
        self._waiting: list[dict[str, Any]] = []

    def __enter__(self) -> TimelineWriter:
        return self

    def add(self, row: Mapping[str, Any]) -> None:
        """Rounds the numbers to what the CSV shows, so that both files hold the same values."""
        values = {c.name: _rounded(row[c.name], c) for c in self.columns}
        self._csv.writerow(["" if values[c.name] is None else values[c.name] for c in self.columns])
        self._waiting.append(values)
        self.num_rows += 1
        if len(self._waiting) == ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        self._file.flush()
        if self._waiting:
            self._parquet.write_table(pa.Table.from_pylist(self._waiting, self._schema))
            self._waiting = []

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self.flush()
        self._parquet.close()
        self._file.close()


def _rounded(value: Any, column: Column) -> Any:
    if column.kind != "number":
        return value
    return None if value is None or math.isnan(value) else round(float(value), column.digits)
