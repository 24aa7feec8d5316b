"""The timeline: what its columns mean, and a writer that streams it to CSV and Parquet as rows become ready."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien.predict.windows import Moment
from mien.types import LabelSpec

# Thresholds of the quality column. Assumptions, chosen by looking at real clips; they only flag rows, nothing is left out.
SMALL_FACE_PX = 48.0
TURNED_DEG = 35.0
UNSURE_SCORE = 0.6
EDGE_SEEN = 0.75

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


@dataclass(frozen=True)
class ModelColumns:
    """The columns of one model."""

    probabilities: tuple[str, ...]
    label: str
    confidence: str
    seen: str


def model_columns(specs: Mapping[str, LabelSpec]) -> dict[str, ModelColumns]:
    """Names without a prefix for one model, prefixed ``<model>_`` for several."""
    prefix = {name: "" if len(specs) == 1 else f"{name}_" for name in specs}
    return {
        name: ModelColumns(
            tuple(f"{prefix[name]}p_{label}" for label in spec.names),
            f"{prefix[name]}label",
            f"{prefix[name]}confidence",
            f"{prefix[name]}seen",
        )
        for name, spec in specs.items()
    }


def columns(specs: Mapping[str, LabelSpec], step_s: float) -> list[Column]:
    """Every column of the timeline in its order, with its meaning: the data dictionary."""
    found = [
        Column(
            "time_s",
            "number",
            f"Centre of the window of frames that the row describes, in seconds from the start of the video (the "
            f"container's timestamps). One row every {step_s:g} s.",
        ),
        Column("track", "integer", "Number of the person within this video. It says nothing about who the person is."),
    ]
    for name, names in model_columns(specs).items():
        found += _of_model(name, specs[name], names)
    return found + _FACE + [Column("quality", "text", _QUALITY)]


def _of_model(name: str, spec: LabelSpec, names: ModelColumns) -> list[Column]:
    scores = [
        Column(
            column,
            "number",
            f"Probability, 0 to 1, that {name} gives to the apparent {spec.target} “{label}” over the window of "
            f"{spec.window_s:.2f} s; all classes add to 1. Not calibrated unless the model's card says so.",
            6,
        )
        for column, label in zip(names.probabilities, spec.names, strict=True)
    ]
    return [
        *scores,
        Column(names.label, "text", f"The class to which {name} gives the highest probability."),
        Column(names.confidence, "number", "That highest probability."),
        Column(
            names.seen,
            "number",
            "Share of the window's frames that the video really has. Below 1 at both ends of a track, where the frame at the "
            "end is repeated, and in videos slower than 5 frames a second.",
            2,
        ),
    ]


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
    f"over {TURNED_DEG:g} degrees), unsure (detector score under {UNSURE_SCORE:g}), edge (less than {EDGE_SEEN:.0%} of the "
    "window seen). Thresholds by judgement, not measured."
)


def quality_of(moment: Moment) -> str:
    """The `quality` column."""
    face = moment.centre
    flags = {
        "small": face.face_px < SMALL_FACE_PX,
        "turned": abs(face.yaw) > TURNED_DEG,
        "unsure": face.score < UNSURE_SCORE,
        "edge": min(moment.seen) < EDGE_SEEN,
    }
    return "+".join(k for k, on in flags.items() if on) or "ok"


class TimelineWriter:
    """``timeline.csv``, readable at any moment, and ``timeline.parquet``, complete when the writer is closed."""

    def __init__(self, out: Path, table: Sequence[Column]):
        self.columns = list(table)
        self.num_rows = 0
        types = {"number": pa.float64(), "integer": pa.int32(), "text": pa.string()}
        self._schema = pa.schema(
            [pa.field(c.name, types[c.kind], metadata={"meaning": c.meaning}) for c in self.columns]
        )
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
