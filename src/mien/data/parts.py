"""Which rows of shards a run trains on, and which it looks at meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.options import LabelledRows
from mien.data.select import (
    annotated_tracks,
    any_fraction,
    hold_out,
    in_split,
    label_fraction,
    labelled,
    main_tracks,
)
from mien.data.shards import Shards
from mien.errors import UserError, require
from mien.rng import generator

HELD_OUT_SHARE = 0.05  # of the subjects or sources, where the manifest names no test split
VALIDATION_SHARE = 0.15  # of the training subjects, for --select best
Rows = tuple[Manifest, ...]


def unlabelled(shards: Sequence[Shards], seed: int, column: str = "split") -> tuple[Rows, Rows]:
    """(train, held out) rows of each folder for training without labels. The test split is never trained on, labels or not.

    Held out are the rows of the split ``test``; where no folder names one, a share of the subjects or sources of each.

    Raises:
        UserError: no clip with a face; no such column.
    """
    ok = [s.manifest.ok() for s in shards]
    require(any(len(m) for m in ok), "no clip with a face in the shards: look at manifest.parquet, column reason")
    if column != "split" and not any(column in m.table.column_names for m in ok):
        raise UserError(f"no column {column!r} in any manifest; label columns: {', '.join(ok[0].labels) or 'none'}")
    if any(column in m.table.column_names and "test" in m.column(column) for m in ok):
        train = tuple(m.where(lambda r: r.get(column) != "test") for m in ok)
        return train, tuple(m.where(lambda r: r.get(column) == "test") for m in ok)
    pairs = [hold_out(m, HELD_OUT_SHARE, seed) if _groups(m) > 1 else (m, m.take([])) for m in ok]
    return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)


def _groups(manifest: Manifest) -> int:
    return len({row["subject"] or row["source"] for row in manifest.rows()})


def share_of(rows: Sequence[Manifest], share: float, seed: int) -> Rows:
    """A random part of each folder's clips, at least one (SVFAP Table 1). Of one seed, smaller parts lie in larger ones.

    Raises:
        UserError: a share outside (0, 1].
    """
    require(0 < share <= 1, f"--data-fraction {share:g}: give a number above 0 and up to 1")
    orders = [generator("data fraction", seed, k).permutation(len(m)) for k, m in enumerate(rows)]
    counts = [max(1, round(share * len(m))) for m in rows]
    return tuple(m.take(sorted(order[:n])) for m, order, n in zip(rows, orders, counts, strict=True))


def lengths(rows: Sequence[Manifest]) -> np.ndarray:
    """Frames of each clip, in the order of a `ClipSet` of these rows."""
    return np.array([n for m in rows for n in m.column("num_frames")], float)


@dataclass(frozen=True)
class Validation:
    """What ``--select best`` is chosen on.

    Args:
        on: "auto": the split ``val`` where there is one, else held-out training subjects; "held out": always these (where the
            publication reports on ``val``); "test": the rows of `test`, as some publications do.
        keep_last: also write the weights of the last epoch, to ``RUN/last``.
    """

    on: Literal["auto", "held out", "test"] = "auto"
    test: str = "test"
    keep_last: bool = False


def labelled_rows(
    shards: Shards, spec: LabelSpec, rows: LabelledRows, seed: int, validate: Validation
) -> tuple[Manifest, Manifest | None]:
    """(train, validation) rows: labelled, with a face, of the main person of each video.

    Raises:
        UserError: no such column or split; no labelled clip with a face.
    """

    def part(split: str) -> Manifest:
        every = with_targets(shards.manifest, spec)
        found = (
            not_test(every, rows.split_column).ok() if rows.folds else in_split(every, split, rows.split_column).ok()
        )
        return annotated_tracks(found) if spec.per == "frame" else main_tracks(found)

    train, validation = part("train"), None
    require(len(train) > 0, "no labelled training clip has a face: look at manifest.parquet, column reason")
    if rows.select == "best":
        if validate.on == "test":
            validation = part(validate.test)
        elif validate.on == "auto" and "val" in shards.manifest.column(rows.split_column):
            validation = part("val")
        else:
            train, validation = hold_out(train, VALIDATION_SHARE, seed)
    if spec.classes and spec.per == "clip":
        return label_fraction(train, spec.column, rows.label_fraction, seed), validation
    return any_fraction(train, rows.label_fraction, seed), validation


def not_test(manifest: Manifest, column: str) -> Manifest:
    """Rows of every other split, and of none."""
    return manifest.where(lambda row: row.get(column) != "test")


def with_targets(manifest: Manifest, spec: LabelSpec) -> Manifest:
    """Rows with a label; targets of frames are looked for in the shards."""
    for target in spec.target if spec.per == "clip" else ():
        manifest = labelled(manifest, target)
    return manifest
