"""Linear heads on standardised features, solved at once: logistic regression of classes, ridge regression of numbers, and how
their penalty is chosen on clips that are held out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mien.losses.regression import ccc
from mien.rng import generator

PENALTIES = (1e4, 1e3, 1e2, 1e1, 1e0, 1e-1)
"""Of the squared weights: 1 / C of logistic regression, alpha of ridge. Features have spread 1."""
FOLDS = 5
ABSENT = -30.0
"""Of a class without a training clip: nobody is predicted to be of it."""
SPREAD = 1e-6

Fold = tuple[np.ndarray, np.ndarray]
"""Rows that are fitted, and rows that are held out."""


@dataclass(frozen=True)
class Head:
    """``(x - centre) / scale @ weight.T + bias``: logits or numbers ``[n, K]``. All float64."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x - self.centre) / self.scale @ self.weight.T + self.bias


class Target(ABC):
    """What is learned of n clips."""

    @abstractmethod
    def solved(self, x: np.ndarray, rows: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Weight [K, F] and bias [K] from standardised features [n, F] of these rows."""

    @abstractmethod
    def agreement(self, outputs: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
        """How well outputs [n, K] fit these rows: what is chosen by, and what decides between equals. More is better."""

    name: str
    """Of the first of `agreement`."""

    def fit(self, x: np.ndarray, rows: np.ndarray, penalty: float) -> Head:
        """From features ``[n, F]`` of these rows of all."""
        centre, scale = x[rows].mean(0), x[rows].std(0)
        scale = np.where(scale > SPREAD, scale, 1.0)
        return Head(centre, scale, *self.solved((x[rows] - centre) / scale, rows, penalty))


@dataclass(frozen=True)
class Classes(Target):
    """Class indices [n] of `count` classes."""

    labels: np.ndarray
    count: int
    balanced: bool = False
    name = "uar"

    def solved(self, x: np.ndarray, rows: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.linear_model import LogisticRegression

        labels = self.labels[rows]
        present = np.unique(labels)
        weight, bias = np.zeros((self.count, x.shape[1])), np.full(self.count, ABSENT)
        bias[present] = 0.0
        if len(present) == 1:
            return weight, bias
        weighing = "balanced" if self.balanced else None
        model = LogisticRegression(C=1 / penalty, max_iter=5000, tol=1e-3, class_weight=weighing).fit(x, labels)
        if len(present) == 2:  # one column of logits, against the first class
            weight[present[1]], bias[present[1]] = model.coef_[0], model.intercept_[0]
        else:
            weight[present], bias[present] = model.coef_, model.intercept_
        return weight, bias

    def agreement(self, outputs: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
        labels = self.labels[rows]
        right = outputs.argmax(1) == labels
        recall = [right[labels == k].mean() for k in np.unique(labels)]
        high = outputs.max(1, keepdims=True)
        logs = outputs - high - np.log(np.exp(outputs - high).sum(1, keepdims=True))
        return float(np.mean(recall)), float(logs[np.arange(len(labels)), labels].mean())


@dataclass(frozen=True)
class Numbers(Target):
    """Values [n, K], NaN where one is not annotated."""

    values: np.ndarray
    name = "ccc"

    def solved(self, x: np.ndarray, rows: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.linear_model import Ridge

        values = self.values[rows].astype(np.float64)
        weight, bias = np.zeros((values.shape[1], x.shape[1])), np.zeros(values.shape[1])
        for k, column in enumerate(values.T):
            known = np.isfinite(column)
            if known.any():
                model = Ridge(alpha=penalty).fit(x[known], column[known])
                weight[k], bias[k] = model.coef_, model.intercept_
        return weight, bias

    def agreement(self, outputs: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
        values = self.values[rows].astype(np.float64)
        known = np.isfinite(values)
        error = np.where(known, outputs - np.nan_to_num(values), 0)
        found = ccc(*(torch.from_numpy(v) for v in (outputs, np.where(known, values, outputs), known)))
        return float(found.mean()), -float((error**2).sum() / max(known.sum(), 1))


@dataclass(frozen=True)
class Tried:
    """One penalty, and how well it did on what was held out."""

    penalty: float
    agreement: tuple[float, float]


def tried(target: Target, x: np.ndarray, folds: Sequence[Fold]) -> Iterator[Tried]:
    """Every penalty, the strongest first, on the held-out rows of all folds together; where there are no folds, none."""
    if not folds:
        return
    every = np.concatenate([held for _, held in folds])
    for penalty in PENALTIES:
        outputs = np.concatenate([target.fit(x, fitted, penalty)(x[held]) for fitted, held in folds])
        yield Tried(penalty, target.agreement(outputs, every))


def folds_of(groups: Sequence[str], seed: int) -> list[Fold]:
    """At most `FOLDS` parts of the rows, none of which divides a group; [] of a single group."""
    names = generator("movement folds", seed).permutation(sorted(set(groups)))
    if len(names) < 2:
        return []
    part = {name: k % FOLDS for k, name in enumerate(names.tolist())}
    numbers = np.array([part[g] for g in groups])
    return [(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in np.unique(numbers)]
