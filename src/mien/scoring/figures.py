"""Pictures of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def draw_confusion(matrix: np.ndarray, names: Sequence[str], path: Path, title: str) -> None:
    """Row-normalised confusion matrix ``[K, K]`` with counts, as a PNG."""
    from matplotlib.figure import Figure

    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.55 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("annotated")
    axes.set_title(title, fontsize=10)
    for i, j in np.ndindex(*matrix.shape):
        if matrix[i, j]:
            shade = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8, color=shade)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the annotated class")
    figure.savefig(path, dpi=120)


def draw_scatter(truth: np.ndarray, predicted: np.ndarray, names: Sequence[str], path: Path, title: str) -> None:
    """Predicted against annotated values ``[n, K]``, a panel per target, as a PNG; of many values an even choice."""
    from matplotlib.figure import Figure

    step = max(1, len(truth) // 5000)
    figure = Figure(figsize=(3.2 * len(names), 3.4), layout="constrained")
    for k, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), k + 1)
        t, p = truth[::step, k], predicted[::step, k]
        known = np.isfinite(t) & np.isfinite(p)
        axes.plot(t[known], p[known], ".", markersize=3, alpha=0.4)
        if known.any():
            ends = [min(t[known].min(), p[known].min()), max(t[known].max(), p[known].max())]
            axes.plot(ends, ends, color="grey", linewidth=0.8)
        axes.set_xlabel(f"{name}, annotated")
        axes.set_ylabel("predicted")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)
