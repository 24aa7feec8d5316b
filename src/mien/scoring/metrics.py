"""Scores of classifiers, and how sure they are. What is chosen about absent classes is in the name of each metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.rng import generator

RESAMPLES = 2000
MIN_SUBJECTS = 5  # fewer people cannot stand for the others: clips are resampled then

CLASS_METRICS = {
    "uar": "mean recall of the classes that occur in the truth (DFER's UAR; scikit-learn's balanced accuracy)",
    "war": "share of clips that are right (DFER's WAR)",
    "macro_f1": "mean F1 of all classes of the model; one that neither occurs nor is predicted counts as 0 (ABAW divides by 8)",
    "macro_f1_present": "mean F1 of the classes that occur or are predicted (scikit-learn's and torchmetrics' default)",
    "weighted_f1": "mean F1 weighted by how often a class occurs (AVCAffe)",
}
"""Every metric of a classifier, and what is chosen in it."""


def counts(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """``[K, K + 1]`` int64, rows are the truth; the last column is of clips without a prediction (class K)."""
    found = np.zeros((num_classes, num_classes + 1), np.int64)
    np.add.at(found, (truth, predicted), 1)
    return found


def per_class(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and F1 ``[..., K]`` of counts ``[..., K, K + 1]``."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    support, predicted = counts.sum(-1), counts[..., :-1].sum(-2)
    recall = np.divide(hits, support, out=np.full(hits.shape, np.nan), where=support > 0)
    both = support + predicted
    return recall, np.divide(2 * hits, both, out=np.zeros(hits.shape), where=both > 0)


def rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `CLASS_METRICS` ``[...]`` of counts ``[..., K, K + 1]``; a clip without a prediction is wrong in all of them."""
    recall, f1 = per_class(counts)
    support = counts.sum(-1).astype(np.float64)
    present = support + counts[..., :-1].sum(-2) > 0
    hits = np.diagonal(counts, axis1=-2, axis2=-1).sum(-1)
    return {
        "uar": np.nansum(recall, -1) / np.maximum((support > 0).sum(-1), 1),
        "war": hits / support.sum(-1),
        "macro_f1": f1.mean(-1),
        "macro_f1_present": (f1 * present).sum(-1) / np.maximum(present.sum(-1), 1),
        "weighted_f1": (f1 * support).sum(-1) / support.sum(-1),
    }


@dataclass(frozen=True)
class Interval:
    """Percentile bootstrap, 95 %; NaN where there is none."""

    low: float
    high: float

    @property
    def pair(self) -> list[float | None]:
        """For JSON, which has no NaN."""
        return [None if v != v else v for v in (self.low, self.high)]


def bootstrap(
    truth: np.ndarray, predicted: np.ndarray, num_classes: int, seed: int, groups: Sequence[object] | None = None
) -> dict[str, Interval]:
    """Intervals of `CLASS_METRICS` over resampled clips, or over resampled `groups` (clips of one person are not independent).

    Args:
        truth: ``[n]`` class indices. predicted: ``[n]``; `num_classes` means no prediction. groups: ``[n]`` names, or None.
    """
    drawn = rates(resampled(_per_group(truth, predicted, num_classes, groups), seed))
    return {name: interval(values) for name, values in drawn.items()}


def paired_bootstrap(
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    num_classes: int,
    seed: int,
    groups: Sequence[object] | None = None,
) -> Interval:
    """Interval of UAR(first) - UAR(second): both are scored on the same resampled clips or groups."""
    one, two = (rates(resampled(_per_group(truth, p, num_classes, groups), seed))["uar"] for p in (first, second))
    return interval(one - two)


def _per_group(
    truth: np.ndarray, predicted: np.ndarray, num_classes: int, groups: Sequence[object] | None
) -> np.ndarray:
    """Counts ``[groups, K, K + 1]``; without groups every clip is its own."""
    names = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups, str), return_inverse=True)[1]
    counts = np.zeros((names.max() + 1, num_classes, num_classes + 1), np.int64)
    np.add.at(counts, (names, truth, predicted), 1)
    return counts


def resampled(sums: np.ndarray, seed: int) -> np.ndarray:
    """Totals ``[RESAMPLES, ...]`` over groups that are drawn with replacement, from what each group adds ``[groups, ...]``.

    None at all of a single group: however often it is drawn, it says nothing of how much another would differ.
    """
    if len(sums) < 2:
        return np.empty((0, *sums.shape[1:]))
    rng, count, flat = generator("bootstrap", seed), len(sums), sums.reshape(len(sums), -1).astype(np.float64)
    drawn = np.empty((RESAMPLES, flat.shape[1]))
    for k in range(RESAMPLES):  # row by row: all draws of a large test set at once would take gigabytes
        drawn[k] = np.bincount(rng.integers(0, count, count), minlength=count) @ flat
    return drawn.reshape(RESAMPLES, *sums.shape[1:])


def interval(values: np.ndarray) -> Interval:
    """Of resampled values; NaN where there are none."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (np.nan, np.nan)
    return Interval(float(low), float(high))


def resampling_groups(items: Sequence[str], subjects: Sequence[str | None]) -> tuple[list[str], str]:
    """What a bootstrap resamples, and its name: people where at least five are named (clips of nobody stand for themselves),
    else clips."""
    if len({s for s in subjects if s}) < MIN_SUBJECTS:
        return list(items), "clips"
    return [f"subject {s}" if s else f"clip {i}" for i, s in zip(items, subjects, strict=True)], "subjects"
