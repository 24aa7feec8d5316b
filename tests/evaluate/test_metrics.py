from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from mien.evaluate.figures import draw_confusion
from mien.evaluate.metrics import bootstrap, confusion, paired_bootstrap, scores


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200)
    predicted = np.where(rng.uniform(size=200) < 0.6, truth, rng.integers(0, 4, 200))
    result = scores(confusion(truth, predicted, 4))
    assert result.uar == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert result.war == pytest.approx(accuracy_score(truth, predicted))


def test_a_class_without_samples_does_not_count():
    result = scores(confusion(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), 3))
    assert result.uar == 0.75
    assert result.recall[:2] == (0.5, 1.0)
    assert np.isnan(result.recall[2])


def test_intervals_hold_the_truth_and_shrink():
    """A coin of 0.7: the 95 % interval of n tosses is about 0.7 +- 1.96 sqrt(0.21 / n)."""
    rng = np.random.default_rng(1)
    for n in (100, 1600):
        truth = np.zeros(n, int)
        predicted = np.zeros(n, int)
        predicted[rng.permutation(n)[: round(0.3 * n)]] = 1
        interval = bootstrap(truth, predicted, 2, seed=0)["war"]
        half = 1.96 * np.sqrt(0.21 / n)
        assert (interval.low, interval.high) == pytest.approx((0.7 - half, 0.7 + half), abs=0.25 * half)


def test_people_who_differ_widen_the_interval():
    truth, people = np.zeros(100, int), np.repeat(np.arange(10), 10)
    predicted = (people < 3).astype(int)  # three people are always wrong
    by_clip = bootstrap(truth, predicted, 2, seed=0)["war"]
    by_person = bootstrap(truth, predicted, 2, seed=0, groups=people.tolist())["war"]
    assert by_person.high - by_person.low > 2 * (by_clip.high - by_clip.low)


def test_the_picture_is_written(tmp_path):
    draw_confusion(np.array([[3, 1], [0, 0]]), ["a", "b"], tmp_path / "c.png", "title")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_the_paired_difference_is_surer_than_two_intervals():
    """Both miss the same hard clips; the second misses ten more of 100: the difference is 0.1 +- 0.06."""
    truth = np.zeros(100, int)
    second = (np.arange(100) < 40).astype(int)
    first = (np.arange(100) < 30).astype(int)
    interval = paired_bootstrap(truth, first, second, 2, seed=0)
    assert (interval.low, interval.high) == pytest.approx((0.1 - 1.96 * 0.03, 0.1 + 1.96 * 0.03), abs=0.02)
