"""Recognition in confusion counts: mean recall, with intervals over seeds and people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mien.rng import generator

RESAMPLES = 2000
BySeed = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Score:
    """Interval of a mean over seeds: 95 %, percentiles of resampled seeds and test people."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """In percent."""
        return f"{100 * self.mean:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f})"

    @property
    def apart(self) -> bool:
        """A difference that is told apart from zero."""
        return self.low > 0 or self.high < 0


def uar(counts: np.ndarray) -> np.ndarray:
    """Mean recall ``[...]`` of confusion counts ``[..., K, K]`` (rows: truth)."""
    support = counts.sum(axis=-1)
    recall = np.divide(
        counts.diagonal(axis1=-2, axis2=-1), support, out=np.full(support.shape, np.nan), where=support > 0
    )
    return np.nanmean(recall, axis=-1)


def resample(counts: np.ndarray) -> np.ndarray:
    """Counts ``[seeds, people, K, K]`` to ``[RESAMPLES, K, K]``: seeds and people drawn with replacement. The draws depend on
    the numbers of seeds and people alone, so two variants are resampled alike."""
    rng = generator("ablations", 0)
    weights = [draws_of(rng, n) for n in counts.shape[:2]]
    by_person = np.einsum("rs,sp...->rp...", weights[0], counts)
    return np.einsum("rp,rpkl->rkl", weights[1], by_person)


def draws_of(rng: np.random.Generator, number: int) -> np.ndarray:
    """How often each of `number` is drawn, ``[RESAMPLES, number]``."""
    return rng.multinomial(number, np.full(number, 1 / number), size=RESAMPLES).astype(float)


def score(counts: np.ndarray, minus: np.ndarray | None = None) -> Score:
    """UAR of ``[seeds, people, K, K]`` (seeds averaged), or the difference to another on the same seeds and people."""

    def mean(stack: np.ndarray) -> float:
        return float(np.mean([uar(c.sum(axis=0)) for c in stack]))

    value, drawn = mean(counts), uar(resample(counts))
    if minus is not None:
        value, drawn = value - mean(minus), drawn - uar(resample(minus))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Score(value, float(low), float(high))


def together(*found: BySeed) -> list[np.ndarray]:
    """What several have by seed, stacked over the seeds that all of them have; nothing where there is none."""
    seeds = sorted(set.intersection(*(set(f) for f in found)))
    return [np.stack([f[s] for s in seeds]) for f in found] if seeds else []


def counts_by_person(
    truth: Iterable[str], predicted: Iterable[str], people: Iterable[str], classes: Iterable[str] = ()
) -> np.ndarray:
    """Confusion counts ``[people, K, K]`` (rows: truth); people, and the classes that occur or are given, by name."""
    truth, predicted, people = list(truth), list(predicted), list(people)
    names, persons = sorted({*truth, *predicted, *classes}), sorted(set(people))
    counts = np.zeros((len(persons), len(names), len(names)), int)
    for t, p, who in zip(truth, predicted, people, strict=True):
        counts[persons.index(who), names.index(t), names.index(p)] += 1
    return counts
