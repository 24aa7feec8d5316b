"""Recognition with intervals over seeds and people: `pytest tests/experiments/test_intervals.py`."""

from __future__ import annotations

import numpy as np
import pytest
from intervals import Score, counts_by_person, score, together, uar


def confusions(rng: np.random.Generator, right: float, people: int = 40, classes: int = 3) -> np.ndarray:
    """[people, K, K]: two clips of each class a person, of which the share `right` is recognised."""
    counts = np.zeros((people, classes, classes), np.int64)
    for person in range(people):
        for truth in np.repeat(np.arange(classes), 2):
            counts[person, truth, truth if rng.uniform() < right else (truth + 1) % classes] += 1
    return counts


def test_means_and_intervals():
    rng = np.random.default_rng(0)
    good, bad = (np.stack([confusions(rng, p) for _ in range(3)]) for p in (0.8, 0.5))
    found, difference = score(good), score(good, bad)
    assert found.mean == pytest.approx(np.mean([uar(counts.sum(axis=0)) for counts in good]))
    assert 0.6 < found.low < found.mean < found.high < 0.95
    assert difference.low > 0.15
    assert difference.apart
    assert score(good, good) == Score(0.0, 0.0, 0.0)
    assert not Score(0.1, -0.1, 0.3).apart
    assert str(Score(0.5, 0.25, 0.75)) == "50.0 (25.0 to 75.0)"


def test_a_class_that_nobody_shows_does_not_count():
    assert uar(np.array([[3, 1, 0], [0, 2, 2], [0, 0, 0]])) == pytest.approx((0.75 + 0.5) / 2)


def test_only_seeds_that_all_have_are_compared():
    a, b = ({s: np.full(2, s) for s in seeds} for seeds in ((0, 1, 3), (1, 2, 3)))
    assert [stack.tolist() for stack in together(a, b)] == [[[1, 1], [3, 3]]] * 2
    assert together(a, {}) == []
    assert len(together(a)[0]) == 3


def test_counts_are_by_person_and_class_by_name():
    counts = counts_by_person("bbaa", "baab", ["y", "x", "x", "x"])
    assert counts.tolist() == [[[1, 1], [1, 0]], [[0, 0], [0, 1]]]
    assert counts_by_person("b", "b", "x", classes="abc").tolist() == [[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]
