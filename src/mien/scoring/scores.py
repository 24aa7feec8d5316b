"""The result of an evaluation: what ``evaluation.json`` holds, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.errors import UserError
from mien.scoring.table import KINDS


class NoSuchScore(UserError, AttributeError):
    """A name that an evaluation does not hold. An AttributeError too, so that `hasattr` and `copy` work as usual."""


@dataclass(frozen=True, repr=False)
class Scores:
    """Everything that an evaluation found, by its name in the record: ``scores.uar``; a metric of one target is
    ``scores["ccc:arousal"]``.

    Raises:
        UserError: it holds no such thing; the message names the nearest.
    """

    record: dict[str, Any]
    """What ``evaluation.json`` holds (docs/evaluate.md)."""

    def __getitem__(self, name: str) -> Any:
        part, key = _holder(self.record, name)
        if key not in part:
            raise NoSuchScore(self._unknown(name))
        return part[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def interval(self, metric: str) -> tuple[float, float]:
        """95 %; NaN where there is a single unit, of which nothing can be resampled."""
        name, colon, target = metric.partition(":")
        low, high = (float("nan") if v is None else v for v in self[f"{name}_95{colon}{target}"])
        return low, high

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric; of several targets their mean."""
        return {name: self[name] for name in KINDS[self["kind"]].metrics}

    @property
    def names(self) -> tuple[str, ...]:
        """Classes or targets."""
        return tuple(self["names"])

    @property
    def confusion(self) -> np.ndarray:
        """int64 ``[K, K]`` counts of a classifier, rows are the truth; what could not be predicted is in none of them."""
        return np.array(self["confusion"], np.int64)

    @property
    def recall(self) -> dict[str, float | None]:
        """Of each class; None for one that does not occur."""
        return self["recall"]

    @property
    def per_target(self) -> dict[str, dict[str, Any]]:
        """Metrics and intervals of each target of a regressor."""
        return self["per_target"]

    @property
    def failed(self) -> list[dict[str, str]]:
        """Item and reason of everything that could not be predicted."""
        return self["failed"]

    def __repr__(self) -> str:
        count = f"{self['num_videos']} {KINDS[self['kind']].units[self['per']]}, {self['num_failed']} failed"
        lines = [
            f"  {m} {v:.4f}, 95 % {self.interval(m)[0]:.4f} to {self.interval(m)[1]:.4f}"
            for m, v in self.metrics.items()
        ]
        return "\n".join([f"Scores of {self['target']}, {self['split']}: {count}", *lines])

    def _unknown(self, name: str) -> str:
        known = [*self.record, *(f"{m}:{t}" for t, found in self.record.get("per_target", {}).items() for m in found)]
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"no score {name!r}; {hint}there are {', '.join(known)}"


def _holder(record: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], str]:
    """Where in a record "metric" or "metric:target" stands, and under which key."""
    key, _, target = name.partition(":")
    return (record.get("per_target", {}).get(target, {}) if target else record), key


def number_of(record: Mapping[str, Any], metric: str) -> float | None:
    """A metric of a record by its name in `Protocol.metrics`; None where the record has none."""
    part, name = _holder(record, metric)
    return None if part.get(name) is None else float(part[name])
