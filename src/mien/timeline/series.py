"""The timeline as the page draws it: one series per track, averaged in bins when it is long, with its gaps kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_POINTS = 1200


@dataclass(frozen=True)
class Series:
    """P points of one track and one model, in time order.

    Args:
        time_s: [P].
        values: [P, K] probabilities or values; a row of `edge` on both sides of a gap.
        flagged: [P] share of rows whose quality is not ok, NaN in a gap.
        bin_s: seconds that one point stands for.
    """

    time_s: np.ndarray
    values: np.ndarray
    flagged: np.ndarray
    bin_s: float


def series_of(time_s: np.ndarray, values: np.ndarray, flagged: np.ndarray, step_s: float, edge: float = 0.0) -> Series:
    """From the rows of one track; at most `MAX_POINTS` points besides the edges.

    Each run of neighbouring rows is drawn half a step beyond its first and last row, so that a single row is visible.

    Args:
        edge: 0 lets an area end there, NaN breaks a line.
    """
    bin_s = step_s * max(1, -(-len(time_s) // MAX_POINTS))
    if bin_s > step_s:
        _, group = np.unique(np.floor(time_s / bin_s + 1e-6), return_inverse=True)
        count = np.bincount(group)
        time_s, flagged = np.bincount(group, time_s) / count, np.bincount(group, flagged) / count
        values = np.stack([np.bincount(group, v) / count for v in values.T], axis=1)
    starts = np.flatnonzero(np.diff(time_s, prepend=-np.inf) > 1.5 * bin_s)
    cut = [np.split(column, starts[1:]) for column in (time_s, values, flagged)]
    parts = [_with_edges(t, v, f, bin_s, edge) for t, v, f in zip(*cut, strict=True)]
    times, stacked, flags = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Series(times, stacked, flags, bin_s)


def _with_edges(
    time_s: np.ndarray, values: np.ndarray, flagged: np.ndarray, bin_s: float, edge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left, right = max(time_s[0] - bin_s / 2, 0.0), time_s[-1] + bin_s / 2
    end = np.full_like(values[:1], edge)
    return (
        np.concatenate([[left, left], time_s, [right, right]]),
        np.concatenate([end, values[:1], values, values[-1:], end]),
        np.concatenate([[np.nan], flagged[:1], flagged, flagged[-1:], [np.nan]]),
    )


def strongest(means: Sequence[float], limit: int) -> list[int]:
    """Positions of the `limit` largest means, in their original order."""
    return sorted(sorted(range(len(means)), key=lambda k: -means[k])[:limit])
