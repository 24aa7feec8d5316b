"""``annotation.parquet`` in a folder of shards: every annotated moment of the official files, with a face or without.

Targets in the shards are those of stored frames; a benchmark that counts every annotated frame needs the others too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.corpus import FrameTargets
from mien.data.shards import ANNOTATION


def write_annotation(root: Path, targets: Mapping[str, FrameTargets]) -> None:
    """`targets` by item (a clip id without track and segment). Nothing is written where there are none."""
    if not targets:
        return
    names = sorted({name for found in targets.values() for name in found.values})
    sizes = [len(found.times_s) for found in targets.values()]
    columns = {"item": pa.array(np.repeat(np.array(list(targets), object), sizes)).dictionary_encode()}
    columns["time_s"] = pa.array(np.concatenate([found.times_s for found in targets.values()]).astype(np.float64))
    for name in names:
        parts = [f.values.get(name, np.full(n, np.nan)) for f, n in zip(targets.values(), sizes, strict=True)]
        columns[name] = pa.array(np.concatenate(parts).astype(np.float32))
    temporary = root / f"{ANNOTATION}.tmp"
    pq.write_table(pa.table(columns), temporary)
    temporary.replace(root / ANNOTATION)


def read_annotation(root: Path, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(times_s [n], values [n], NaN = not annotated) of a target by item; {} for shards that keep none of that name."""
    path = root / ANNOTATION
    if not path.is_file() or name not in pq.read_schema(path).names:
        return {}
    table = pq.read_table(path, columns=["item", "time_s", name]).combine_chunks()
    items = table.column("item").combine_chunks()
    codes, words = items.indices.to_numpy(), items.dictionary.to_pylist()
    times_s, values = (table.column(c).to_numpy() for c in ("time_s", name))
    starts = np.flatnonzero(np.diff(codes, prepend=-1))  # an item's rows stand together
    parts = zip(np.split(times_s, starts[1:]), np.split(values, starts[1:]), strict=True)
    return dict(zip([words[codes[s]] for s in starts], parts, strict=True))
