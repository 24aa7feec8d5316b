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
