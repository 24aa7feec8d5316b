"""Class names of a data set against those of a model trained on another: an explicit table, nothing is guessed.

JSON ``{"data": {"happy": "happiness", "calm": null}, "model": {"happiness": "happiness", "contempt": null}}``, or a CSV with
the columns ``side`` (data or model), ``name``, ``class`` (empty: none). Both sides are mapped to common classes. A data label
without a class is left out (and counted); a class of the model without one is never predicted; several may become one.

For a matrix over corpora the sides are corpora, ``{"dfew": {"happy": "happiness"}, "ravdess": {"calm": null}}``: a pair has the
common classes that both have.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.data.manifest import Manifest
from mien.data.select import label_name
from mien.errors import UserError, require


@dataclass(frozen=True)
class LabelMap:
    """The table, with every name of both sides."""

    data: dict[str, str | None]
    model: dict[str, str | None]

    @property
    def classes(self) -> tuple[str, ...]:
        """Common classes, in the order of the model's."""
        return tuple(dict.fromkeys(c for c in self.model.values() if c is not None))

    def check(self, labels: set[str], names: Sequence[str]) -> None:
        """Raises UserError unless every label and every class of the model is spoken of, and can be predicted."""
        for side, found, table in (("data", labels, self.data), ("model", set(names), self.model)):
            missing = sorted(found - set(table))
            require(not missing, f"the label map says nothing of {side} {', '.join(missing)}: give a class, or none")
        extra = sorted(set(self.model) - set(names))
        require(not extra, f"the label map names {', '.join(extra)}; the model's classes are {', '.join(names)}")
        wanted = {self.data[label] for label in labels} - {None}
        lost = sorted(str(c) for c in wanted - set(self.classes))
        require(not lost, f"no class of the model becomes {', '.join(lost)}: map such data labels to none")
        require(len(self.classes) >= 2, "the label map leaves fewer than two classes")

    def labels(self, rows: Manifest, target: str) -> tuple[Manifest, dict[str, int]]:
        """Rows with their common class in column `target`, and how many rows of each label were left out."""
        values = [label_name(v) for v in rows.column(target)]
        keep = [i for i, v in enumerate(values) if self.data[v] is not None]
        left: dict[str, int] = {}
        for v in values:
            if self.data[v] is None:
                left[v] = left.get(v, 0) + 1
        renamed = [{**row, target: self.data[label_name(row[target])]} for row in rows.take(keep).rows()]
        require(bool(renamed), "the label map leaves no clip of the data")
        return Manifest.from_rows(renamed), left

    def fold(self, probabilities: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Probabilities ``[n, K]`` of the model's classes to those of the common ones, summing to 1."""
        matrix = np.array([[float(self.model[n] == c) for c in self.classes] for n in names])
        found = probabilities @ matrix
        return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)


Tables = dict[str, dict[str, str | None]]
"""By side (data and model, or corpora): class names to common ones."""


def read_label_map(path: Path) -> LabelMap:
    """The table of one model and one data set. Raises UserError for a file that is no such table."""
    tables = read_tables(path)
    require(
        {"data", "model"} <= set(tables),
        f"--label-map {path} has {', '.join(tables) or 'nothing'}: give the tables data and model (docs/evaluate.md)",
    )
    return LabelMap(tables["data"], tables["model"])


def read_tables(path: Path) -> Tables:
    """Every table of a file. Raises UserError for a file that holds none."""
    require(path.is_file(), f"--label-map {path}: no such file")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else json.loads(path.read_text(encoding="utf-8"))
        sides = {side: dict(names.items()) for side, names in table.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"--label-map {path}: give JSON with the tables data and model, or a CSV with side, name, class (docs/evaluate.md)"
        ) from None
    words = all(v is None or isinstance(v, str) for names in sides.values() for v in names.values())
    require(words, f"--label-map {path}: classes are names, or null for none")
    return {side: {str(k): v or None for k, v in names.items()} for side, names in sides.items()}


def _read_csv(path: Path) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["side"].strip(), {})[row["name"].strip()] = row["class"].strip()
    return table


def between(tables: Tables, model: str, data: str) -> LabelMap:
    """The map of a pair of corpora: a common class that only one of them has becomes none. A file of the sides data and model is
    taken as it is.

    Raises:
        UserError: a corpus that the tables do not speak of.
    """
    if set(tables) == {"data", "model"}:
        return LabelMap(tables["data"], tables["model"])
    missing = [name for name in (model, data) if name not in tables]
    require(not missing, f"the label map has {', '.join(tables) or 'nothing'}, and no table of {', '.join(missing)}")
    common = set(tables[model].values()) & set(tables[data].values())
    sides = ({k: v if v in common else None for k, v in tables[name].items()} for name in (data, model))
    return LabelMap(*sides)
