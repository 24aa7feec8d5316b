"""Scores of classifiers, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix

from mien.rng import generator

RESAMPLES = 2000


@dataclass(frozen=True)
class Scores:
    """WAR is accuracy; UAR the mean recall of the classes that occur in the truth (DFER's two metrics, official.md 4.4)."""

    uar: float
    war: float
    recall: tuple[float, ...]
    """Per class; NaN for a class without samples."""


def confusion(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """``[K, K]`` counts, rows are the truth."""
    return confusion_matrix(truth, predicted, labels=range(num_classes))


def scores(matrix: np.ndarray) -> Scores:
    """From a confusion matrix ``[K, K]`` (rows: truth) with at least one sample."""
    support = matrix.sum(axis=1)
    recall = np.divide(matrix.diagonal(), support, out=np.full(len(matrix), np.nan), where=support > 0)
    return Scores(float(np.nanmean(recall)), float(matrix.trace() / matrix.sum()), tuple(recall.tolist()))


@dataclass(frozen=True)
class Interval:
    """Percentile bootstrap, 95 %."""

    low: float
    high: float


def bootstrap(
    truth: np.ndarray, predicted: np.ndarray, num_classes: int, seed: int, groups: Sequence[object] | None = None
) -> dict[str, Interval]:
    """Intervals of UAR and WAR over resampled clips, or over resampled `groups` (clips of one person are not independent).

    Args:
        truth, predicted: ``[n]`` class indices. groups: ``[n]`` names, or None.
    """
    counts = _per_group(truth, predicted, num_classes, groups)
    drawn = [scores(counts[pick].sum(axis=0)) for pick in _resamples(len(counts), seed)]
    return {name: _interval([getattr(s, name) for s in drawn]) for name in ("uar", "war")}


def paired_bootstrap(
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    num_classes: int,
    seed: int,
    groups: Sequence[object] | None = None,
) -> Interval:
    """Interval of UAR(first) - UAR(second): both are scored on the same resampled clips or groups."""
    one, two = (_per_group(truth, p, num_classes, groups) for p in (first, second))
    picks = _resamples(len(one), seed)
    return _interval([scores(one[k].sum(axis=0)).uar - scores(two[k].sum(axis=0)).uar for k in picks])


def _per_group(
    truth: np.ndarray, predicted: np.ndarray, num_classes: int, groups: Sequence[object] | None
) -> np.ndarray:
    """Confusion counts ``[groups, K, K]``; without groups every clip is its own."""
    names = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups, str), return_inverse=True)[1]
    counts = np.zeros((names.max() + 1, num_classes, num_classes), np.int64)
    np.add.at(counts, (names, truth, predicted), 1)
    return counts


def _resamples(count: int, seed: int) -> np.ndarray:
    return generator("bootstrap", seed).integers(0, count, (RESAMPLES, count))


def _interval(values: Sequence[float]) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(float(low), float(high))
