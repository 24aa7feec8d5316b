"""Scores of regressors: agreement (CCC), correlation, error; per target, their means, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.scoring.metrics import Interval, interval, resampled

VALUE_METRICS = {
    "ccc": "concordance with unbiased (n - 1) variances and covariance, as the papers' metric and torchmetrics have it",
    "ccc_biased": "concordance with biased (n) variances, as ABAW has it; training losses use this one",
    "pcc": "Pearson correlation; a constant prediction has 0: it follows nothing",
    "mae": "mean absolute error",
    "one_minus_mae": "1 - mean absolute error (ACC of First Impressions, targets in 0..1)",
    "rmse": "root of the mean squared error, per target (means over targets average the roots)",
}
"""Every metric of a regressor, and what is chosen in it."""
ROUNDING = 1e-10  # a value that is nearer to the mean than this share of it is the mean: float32 knows none so near


def concordance(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """`VALUE_METRICS` of ``[n]`` values; NaN in the truth is not annotated. NaN for fewer than two values."""
    found = value_rates(moments(truth[:, None], predicted[:, None]))
    return {name: float(value[0]) for name, value in found.items()}


def moments(truth: np.ndarray, predicted: np.ndarray, centres: np.ndarray | None = None) -> np.ndarray:
    """Counts and sums ``[9, K]`` of ``[n, K]`` values, of which every metric over any union of groups can be made.

    Args:
        centres: ``[2, K]`` taken off truth and prediction, the same for all groups: no metric changes, and the sums of values
            that hardly differ do not cancel.
    """
    known = np.isfinite(truth)
    t, p = (np.where(known, v, 0).astype(np.float64) for v in (truth, predicted))
    e = p - t
    off = centres_of([truth], [predicted]) if centres is None else centres
    t, p = (np.where(known & (abs(v - c) > ROUNDING * abs(c)), v - c, 0) for v, c in zip((t, p), off, strict=True))
    products = (t * t, p * p, t * p, e, abs(e), e * e)
    return np.stack([known.sum(0), t.sum(0), p.sum(0), *(v.sum(0) for v in products)])


def centres_of(truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray]) -> np.ndarray:
    """Means ``[2, K]`` of the annotated values and of their predictions; 0 without one."""
    known = [np.isfinite(t) for t in truth]
    count = np.maximum(sum(k.sum(0) for k in known), 1)
    sums = [
        sum(np.where(k, v, 0).sum(0, np.float64) for k, v in zip(known, of, strict=True)) for of in (truth, predicted)
    ]
    return np.stack(sums) / count


def value_rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `VALUE_METRICS` ``[..., K]`` from sums ``[..., 9, K]``; NaN where fewer than two values are annotated."""
    n, t, p, tt, pp, tp, error, absolute, squared = np.moveaxis(sums, -2, 0)
    enough = n >= 2
    n = np.maximum(n, 2)
    covariance = (tp - t * p / n) / (n - 1)
    variances = (tt - t * t / n) / (n - 1), (pp - p * p / n) / (n - 1)
    # rounding leaves something of a constant's variance
    var_t, var_p = (
        np.where(v > 1e-12 * np.maximum(s / n, 1e-300), v, 0) for v, s in zip(variances, (tt, pp), strict=True)
    )
    covariance = np.where((var_t > 0) & (var_p > 0), covariance, 0)
    shift, share = (error / n) ** 2, (n - 1) / n
    mae = absolute / n
    found = {
        "ccc": _ratio(2 * covariance, var_t + var_p + shift),
        "ccc_biased": _ratio(2 * covariance * share, (var_t + var_p) * share + shift),
        "pcc": _ratio(covariance, np.sqrt(var_t * var_p)),
        "mae": mae,
        "one_minus_mae": 1 - mae,
        "rmse": np.sqrt(squared / n),
    }
    return {name: np.where(enough, value, np.nan) for name, value in found.items()}


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def bootstrap_values(
    truth: Sequence[np.ndarray], predicted: Sequence[np.ndarray], groups: Sequence[str], seed: int
) -> dict[str, list[Interval]]:
    """Intervals of `VALUE_METRICS` when `groups` (people or videos) are resampled: one per target, the last of the mean.

    Args:
        truth, predicted: per video ``[T_i, K]``. groups: per video.
    """
    _, index = np.unique(np.asarray(groups, str), return_inverse=True)
    centres = centres_of(truth, predicted)
    sums = np.zeros((index.max() + 1, 9, truth[0].shape[1]))
    for g, t, p in zip(index, truth, predicted, strict=True):
        sums[g] += moments(t, p, centres)
    drawn = value_rates(resampled(sums, seed))
    return {
        name: [*(interval(column) for column in values.T), interval(values.mean(-1))] for name, values in drawn.items()
    }
