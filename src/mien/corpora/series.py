"""Tables of ratings over time, as SEWA and RECOLA have them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mien.corpora.corpus import FrameTargets
from mien.corpora.files import clean, problem, read_table, read_text
from mien.errors import UserError, require

TIME = ("timestamp", "time_s", "time", "frametime")


def read_series(path: Path) -> dict[str, np.ndarray]:
    """Column name (lower case) to [n] float64; cells that are no numbers make their column NaN there.

    Reads tables with ``; , tab`` between cells, names with spaces around them or in quotes, and ARFF.

    Raises:
        UserError: no table, or no rows.
    """
    rows = _read_arff(path) if path.suffix.lower() == ".arff" else read_table(path, ())
    require(bool(rows), f"{path} has no rows")
    return {name.lower(): np.array([_value(row[name]) for row in rows]) for name in rows[0]}


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _read_arff(path: Path) -> list[dict[str, str]]:
    """Rows of an ARFF file, as AVEC 2016 writes its gold standard."""
    names: list[str] = []
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("%")]
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words[0].lower() == "@attribute" and len(words) > 2:
            names.append(clean(words[1]))
        elif words[0].lower() == "@data":
            cells = [[clean(c) for c in row] for row in csv.reader(lines[number:])]
            if not all(len(row) == len(names) for row in cells):
                break
            return [dict(zip(names, row, strict=True)) for row in cells]
    raise UserError(f"{path} is not an ARFF file with a value for each attribute")


def time_of(series: Mapping[str, np.ndarray], path: Path) -> np.ndarray:
    """The column of seconds.

    Raises:
        UserError: there is none, or it does not rise.
    """
    name = next((n for n in TIME if n in series), None)
    if name is None:
        raise UserError(f"{path} has no column {' or '.join(TIME)}; it has {', '.join(series)}")
    times = series[name]
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise UserError(f"{path}: {name} does not rise from row to row")
    return times


def column(series: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    """A rating, float32.

    Raises:
        UserError: no such column.
    """
    if name not in series:
        raise UserError(f"{path} has no column {name}; it has {', '.join(series)}")
    return series[name].astype(np.float32)


def outside(ratings: Mapping[str, FrameTargets]) -> list[str]:
    """A problem line for recordings rated outside -1 to 1: no error, as gold standards are normalised in several ways."""
    values = {name: np.concatenate([*found.values.values()]) for name, found in ratings.items()}
    return problem("recordings rated outside -1 to 1", [n for n, v in values.items() if (abs(v) > 1).any()])


def same(targets: FrameTargets) -> FrameTargets:
    """For `Entry.targets` of annotation that was read, and checked, with the listing."""
    return targets


def targets_of(times_s: np.ndarray, values: Mapping[str, np.ndarray]) -> FrameTargets:
    """Ratings are slower than video and continuous: linear between rows."""
    return FrameTargets(times_s, dict(values), interpolate=True)


def mean_of(series: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """[n] mean of the columns, leaving out who rated nothing; NaN where nobody did."""
    table = np.stack([series[n] for n in names])
    there = np.isfinite(table)
    total, count = np.where(there, table, 0).sum(0), there.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
