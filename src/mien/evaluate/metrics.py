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


def concordance(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """CCC with unbiased (n - 1) and with biased (n) variances, PCC, MAE, 1 - MAE and RMSE of ``[n]`` values; NaN in the truth is
    not annotated. A constant prediction has PCC 0: it follows nothing."""
    known = np.isfinite(truth)
    t, p = truth[known].astype(np.float64), predicted[known].astype(np.float64)
    if len(t) < 2:
        return dict.fromkeys(("ccc", "ccc_biased", "pcc", "mae", "one_minus_mae", "rmse"), float("nan"))
    shift, covariance = (t.mean() - p.mean()) ** 2, np.cov(t, p)
    spread, n = covariance[0, 0] + covariance[1, 1], len(t)
    error = p - t
    deviation = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
    mae = float(np.abs(error).mean())
    return {
        "ccc": _ratio(2 * covariance[0, 1], spread + shift),
        "ccc_biased": _ratio(2 * covariance[0, 1] * (n - 1) / n, spread * (n - 1) / n + shift),
        "pcc": _ratio(covariance[0, 1], deviation),
        "mae": mae,
        "one_minus_mae": 1 - mae,
        "rmse": float(np.sqrt(np.square(error).mean())),
    }


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else 0.0


def bootstrap_values(
    truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray], groups: Sequence[str], seed: int
) -> Interval:
    """Interval of the mean CCC over targets when `groups` (people or videos) are resampled.

    Args:
        truth, predicted: per video ``[T_i, K]``. groups: per video.
    """
    _, index = np.unique(np.asarray(groups, str), return_inverse=True)
    sums = np.stack([_moments(truth, predicted, np.flatnonzero(index == g)) for g in range(index.max() + 1)])
    drawn = [_ccc_of(sums[pick].sum(axis=0)) for pick in _resamples(len(sums), seed)]
    return _interval(drawn)


def _moments(truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray], members: np.ndarray) -> np.ndarray:
    """Counts and sums ``[6, K]`` of which a CCC over any union of groups can be made."""
    t = np.concatenate([truth[m] for m in members]).astype(np.float64)
    known = np.isfinite(t)
    p = np.where(known, np.concatenate([predicted[m] for m in members]), 0.0)
    t = np.where(known, t, 0.0)
    return np.stack([known.sum(0), t.sum(0), p.sum(0), (t * t).sum(0), (p * p).sum(0), (t * p).sum(0)])


def _ccc_of(sums: np.ndarray) -> float:
    n, t, p, tt, pp, tp = sums
    n = np.maximum(n, 2)
    mean_t, mean_p = t / n, p / n
    above = 2 * (tp - n * mean_t * mean_p) / (n - 1)
    below = (tt - n * mean_t**2 + pp - n * mean_p**2) / (n - 1) + (mean_t - mean_p) ** 2
    return float(np.mean(np.divide(above, below, out=np.zeros_like(above), where=below > 0)))
