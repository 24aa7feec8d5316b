"""Whether features have collapsed: the numbers to watch while a contrastive method trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEIGHBOURS = 5
"""Of the nearest-neighbour vote; ours."""


def relative_std(vectors: np.ndarray) -> float:
    """Mean standard deviation of the entries of L2-normalised vectors [n, D], over 1 / sqrt(D): 1 for directions without
    preference, 0 when all are one (SimSiam Fig. 2)."""
    unit = _normalized(vectors)
    return float(unit.std(axis=0).mean() * np.sqrt(unit.shape[1]))


def effective_rank(vectors: np.ndarray) -> float:
    """exp of the entropy of the normalised singular values of the centred vectors [n, D] (Roy and Vetterli 2007): how many
    directions are in use, from 1 to min(n - 1, D). 0 when all vectors are one."""
    centred = vectors - vectors.mean(axis=0)
    values = np.linalg.svd(centred.astype(np.float64), compute_uv=False)
    # Rounding leaves something like 1e-7 of the length of the vectors where there is nothing.
    if values[0] <= 1e-5 * np.linalg.norm(vectors, axis=1).max():
        return 0.0
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def knn_accuracy(
    vectors: np.ndarray, labels: Sequence[str], groups: Sequence[str | None], neighbours: int = NEIGHBOURS
) -> float:
    """Share of vectors [n, D] whose nearest others, by cosine, mostly have their label; a tie goes to the nearer ones.

    Args:
        groups: who it is; vectors of one group never vote on each other, since people look like themselves. None is a group
            of its own.

    Returns:
        NaN where a vector has nobody to ask.
    """
    unit = _normalized(vectors)
    similar = unit @ unit.T
    same = np.array([[a is not None and a == b for b in groups] for a in groups]) | np.eye(len(groups), dtype=bool)
    if same.all(axis=1).any():
        return float("nan")
    similar[same] = -np.inf
    order = np.argsort(-similar, axis=1, kind="stable")[:, :neighbours]
    right = 0
    for i, near in enumerate(order):
        votes = [labels[int(j)] for j in near if similar[i, j] > -np.inf]
        right += _vote(votes) == labels[i]
    return right / len(order)


def chance(labels: Sequence[str]) -> float:
    """Accuracy of always saying the commonest label."""
    return max(list(labels).count(label) for label in set(labels)) / len(labels)


def _vote(labels: Sequence[str]) -> str:
    return max(labels, key=lambda label: (labels.count(label), -list(labels).index(label)))


def _normalized(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
