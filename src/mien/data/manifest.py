"""The manifest: one row per prepared clip (up to 512 frames of one face track) or per failure, as a Parquet file.

Fixed columns are in `COLUMNS`; every other column is a label the user or a corpus brought along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mien.errors import UserError

STATUSES = ("ok", "no_face", "unreadable", "empty")
MAX_ROW_FRAMES = 512

COLUMNS = pa.schema(
    [
        ("clip_id", pa.string()),  # unique; <source>[#start-end]/<track>/<segment>
        ("source", pa.string()),  # path as the user gave it, relative to the input folder where there was one
        ("track", pa.int32()),  # stable id of the person within the source; -1 for failures
        ("segment", pa.int32()),  # numbers the rows of one track (of one labelled stretch), from 0
        ("start_s", pa.float64()),  # seconds of the first and last frame, container timestamps
        ("end_s", pa.float64()),
        ("fps", pa.float64()),  # mean rate of the stored frames
        ("num_frames", pa.int32()),
        ("subject", pa.string()),
        ("split", pa.string()),
        ("status", pa.string()),  # STATUSES
        ("reason", pa.string()),  # why a row is not ok, or what was odd about it; "" else
        ("origin", pa.string()),  # drawn | recorded (types.Origin)
        ("shard", pa.string()),  # file name under shards/; "" for failures
        ("row", pa.int32()),  # record batch within the shard
        ("score", pa.float32()),  # median detector score
        ("face_px", pa.float32()),  # median side of the face box in source pixels
        ("sharpness", pa.float32()),  # median variance of the Laplacian of the grey crop
        ("yaw", pa.float32()),  # median estimate in degrees, positive = towards the image's right
    ]
)


class Manifest:
    """An immutable table of rows."""

    def __init__(self, table: pa.Table):
        self.table = table

    @classmethod
    def read(cls, root: Path | str) -> Manifest:
        """Reads ``root/manifest.parquet``.

        Raises:
            UserError: the folder was not written by `mien prepare`.
        """
        path = Path(root) / "manifest.parquet"
        if not path.is_file():
            state = "is not there" if not Path(root).exists() else "has no manifest.parquet"
            raise UserError(f"{root} {state}: give a folder written by `mien prepare VIDEOS --out {root}`")
        try:
            return cls(pq.read_table(path))
        except pa.ArrowInvalid:
            raise UserError(f"{path} is damaged: copy it again, or prepare the videos again") from None

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> Manifest:
        """Fixed columns take their schema types; label columns are float where every value is a number, else text."""
        arrays, fields = [], []
        for column in COLUMNS:
            arrays.append(pa.array([r.get(column.name) for r in rows], column.type))
            fields.append(column)
        labels = sorted({k for r in rows for k in r} - set(COLUMNS.names))
        for name in labels:
            values = [r.get(name) for r in rows]
            numeric = all(v is None or isinstance(v, int | float) for v in values)
            arrays.append(pa.array([None if v is None else (v if numeric else str(v)) for v in values]))
            fields.append(pa.field(name, arrays[-1].type))
        return cls(pa.table(arrays, schema=pa.schema(fields)))

    def write(self, root: Path | str) -> None:
        """Writes ``root/manifest.parquet`` in one rename, so that a reader never sees half of it."""
        path = Path(root) / "manifest.parquet"
        temporary = path.with_suffix(".tmp")
        pq.write_table(self.table, temporary)
        temporary.replace(path)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def labels(self) -> list[str]:
        """Names of the label columns."""
        return [n for n in self.table.column_names if n not in COLUMNS.names]

    def rows(self) -> list[dict[str, Any]]:
        return self.table.to_pylist()

    def column(self, name: str) -> list[Any]:
        """Raises UserError when there is no such column."""
        if name not in self.table.column_names:
            have = ", ".join(self.labels) or "none (prepare with --labels CSV)"
            raise UserError(f"no column {name!r} in the manifest; label columns here: {have}")
        return self.table.column(name).to_pylist()

    def ok(self) -> Manifest:
        """Only the rows that hold frames."""
        return Manifest(self.table.filter(pc.field("status") == "ok"))

    def where(self, keep: Callable[[dict[str, Any]], bool]) -> Manifest:
        return self.take([i for i, row in enumerate(self.rows()) if keep(row)])

    def take(self, indices: Iterable[int]) -> Manifest:
        return Manifest(self.table.take(pa.array(np.fromiter(indices, np.int64))))

    @property
    def hash(self) -> str:
        """Names the data: everything that the rows say, but for where their shards lie (see `Shards.hash`)."""
        table = self.table.drop_columns([n for n in ("shard", "row") if n in self.table.column_names])
        text = repr(table.schema.names) + repr(sorted(repr(r) for r in table.to_pylist()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]
