"""`--labels CSV`: which stretch of which file carries which labels.

Columns: `path`, optionally `start_s` and `end_s`, `subject`, `split`; every other column is a label.
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.data.manifest import COLUMNS
from mien.errors import UserError

MAX_LINES = 5
KNOWN = ("path", "start_s", "end_s", "subject", "split")
SPLITS = ("train", "val", "test")
OTHER_NAMES = {
    "training": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "development": "val",
    "testing": "test",
}
# Names that prepare writes itself; a label of that name would hide what it measured.
RESERVED = set(COLUMNS.names) - set(KNOWN)


@dataclass(frozen=True)
class LabelRow:
    """One line of the file; empty cells are None."""

    path: str
    line: int
    start_s: float | None
    end_s: float | None
    values: dict[str, str | None]
    """Label columns, and `subject` and `split`, as text."""


def read_labels(file: Path) -> list[LabelRow]:
    """Raises UserError for what cannot be meant: columns, numbers, a file labelled twice."""
    if not file.is_file():
        raise UserError(f"--labels {file}: no such file; it is a CSV with a column path and a column for each label")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=max(",;\t", key=header.count))
            reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            _check_columns(file, list(reader.fieldnames))
            rows = [_row(file, line, row) for line, row in enumerate(reader, 2) if any(_texts(row))]
    except UnicodeDecodeError as error:
        raise UserError(f"--labels {file} is not UTF-8 text: save it as CSV in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise UserError(f"--labels {file} is not a CSV file: {error}") from error
    _check_doubles(file, rows)
    return rows


def _texts(row: dict) -> list[str]:
    return [v for v in row.values() if isinstance(v, str) and v.strip()]


def _check_columns(file: Path, names: list[str]) -> None:
    if "path" not in names:
        raise UserError(f"--labels {file} has no column path; it has: {', '.join(names) or 'nothing'}")
    if doubles := sorted(n for n, c in Counter(names).items() if c > 1):
        raise UserError(f"--labels {file} has the column {', '.join(doubles)} more than once: keep one of each")
    if taken := sorted(set(names) & RESERVED):
        raise UserError(f"--labels {file}: the column {', '.join(taken)} is one that prepare writes itself: rename it")


def _row(file: Path, line: int, row: dict[str, str | None]) -> LabelRow:
    where = f"--labels {file} line {line}"
    if None in row:
        raise UserError(f"{where} has more cells than the header: a comma in a value needs quotes")
    cells = {k: (v.strip() or None) if v else None for k, v in row.items()}
    if cells["path"] is None:
        raise UserError(f"{where} has no path")
    start_s, end_s = (_seconds(cells.get(c), f"{where}: {c}") for c in ("start_s", "end_s"))
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise UserError(f"{where}: end_s {end_s:g} is not after start_s {start_s:g}")
    values = {k: v for k, v in cells.items() if k not in ("path", "start_s", "end_s")}
    if values.get("split") is not None:
        values["split"] = split_of(str(values["split"]), where)
    return LabelRow(cells["path"], line, start_s, end_s, values)


def split_of(text: str, where: str) -> str:
    """One of `SPLITS`, however it is written. Raises UserError for anything else: no verb would know whom it is for."""
    name = text.casefold()
    name = OTHER_NAMES.get(name, name)
    if name not in SPLITS:
        raise UserError(
            f"{where}: split {text!r} is none of {', '.join(SPLITS)}; leave it empty, or name the column otherwise"
        )
    return name


def _seconds(text: str | None, where: str) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"{where} is {text!r}; it is a number of seconds, or empty") from None
    if not (math.isfinite(value) and value >= 0):
        raise UserError(f"{where} is {text}; it is 0 or more seconds")
    return value


def _check_doubles(file: Path, rows: list[LabelRow]) -> None:
    seen: dict[tuple, list[int]] = defaultdict(list)
    for row in rows:
        seen[row.path, row.start_s, row.end_s].append(row.line)
    for (path, start_s, end_s), lines in seen.items():
        if len(lines) > 1:
            stretch = "" if start_s is None and end_s is None else f" from {start_s} to {end_s} s"
            numbers = ", ".join(map(str, lines[:MAX_LINES])) + (", ..." if len(lines) > MAX_LINES else "")
            raise UserError(
                f"--labels {file}: lines {numbers} all label {path}{stretch}; keep one, or give start_s and end_s "
                "(annotation of single frames: --corpus folder, docs/corpora.md)"
            )


def label_columns(values: Sequence[Mapping[str, str | float | None]]) -> list[dict[str, str | float | None]]:
    """Text to numbers in every column that holds only numbers; `subject` and `split` stay text."""
    names = {k for v in values for k in v}
    numeric = {
        n for n in names - {"subject", "split"} if all(_number(v.get(n)) is not None for v in values if v.get(n))
    }
    return [{n: _number(v.get(n)) if n in numeric else v.get(n) for n in names} for v in values]


def _number(text: str | float | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
