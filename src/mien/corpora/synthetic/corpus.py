"""The folder that `mien synth` writes, as a corpus: labels of clips and of single frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.corpus import Entry, FrameTargets, Listing
from mien.corpora.files import number, read_table
from mien.corpora.synthetic.actor import TRAITS
from mien.corpora.synthetic.motion import EXPRESSIONS
from mien.errors import UserError

PER_FRAME = ("valence", "arousal")
MOUTH = "mouth"


@dataclass(frozen=True)
class Synthetic:
    """Drawn faces: label, dynamics, subject, split, valence, arousal and traits of clips; valence, arousal and the opening of
    the mouth of frames.
    """

    def read(self, root: Path) -> Listing:
        table, frames = root / "labels.csv", root / "frames.parquet"
        for path in (table, frames):
            if not path.is_file():
                raise UserError(f"{path}: no such file; give the folder that `mien synth --out {root}` wrote")
        rows = read_table(table, ("path", *PER_FRAME, *TRAITS))
        annotated = _frames_by_path(frames)
        entries, problems = [], []
        for row in rows:
            path = row.pop("path")
            if path not in annotated:
                problems.append(f"{path}: frames.parquet says nothing of it")
            targets = partial(_targets, annotated[path]) if path in annotated else None
            numbers = {k: number(row[k], f"{table}, {path}: {k}") for k in (*PER_FRAME, *TRAITS)}
            values: dict[str, str | float | None] = {**row, **numbers}
            entries.append(Entry(path, values, targets=targets))
        if not entries:
            raise UserError(f"{table} lists no clip: run `mien synth --out {root}` again")
        return Listing(entries, EXPRESSIONS, (*PER_FRAME, *TRAITS), "face", problems=tuple(problems))


def _frames_by_path(file: Path) -> dict[str, pa.Table]:
    names = {"path", "time_s", *PER_FRAME, MOUTH} & set(pq.read_schema(file).names)  # older folders have no mouth
    table = pq.read_table(file, columns=sorted(names))
    paths = table["path"].to_numpy()
    starts = np.flatnonzero(np.append(True, paths[1:] != paths[:-1])).tolist()
    return {paths[a]: table.slice(a, b - a) for a, b in pairwise([*starts, len(table)])}


def _targets(table: pa.Table) -> FrameTargets:
    names = [n for n in (*PER_FRAME, MOUTH) if n in table.column_names]
    values = {name: table[name].to_numpy().astype(np.float32) for name in names}
    return FrameTargets(table["time_s"].to_numpy(), values)
