from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from mien.scoring.figures import draw_confusion
from mien.scoring.metrics import (
    bootstrap,
    counts,
    paired_bootstrap,
    per_class,
    rates,
    resampling_groups,
)
from tests.scoring.crosscheck import check_classes


def guesses(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 200)
    return truth, np.where(rng.uniform(size=200) < 0.6, truth, rng.integers(0, 4, 200))


def scores(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> SimpleNamespace:
    """Every metric, and recall and F1 of each class."""
    found = counts(truth, predicted, num_classes)
    recall, f1 = per_class(found)
    return SimpleNamespace(**rates(found), recall=tuple(recall), f1=tuple(f1))


def test_against_scikit_learn():
    truth, predicted = guesses()
    result = scores(truth, predicted, 4)
    assert result.uar == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert result.war == pytest.approx(accuracy_score(truth, predicted))
    assert result.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert result.weighted_f1 == pytest.approx(f1_score(truth, predicted, average="weighted"))


def test_a_class_without_samples_does_not_count_in_uar():
    result = scores(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), 3)
    assert result.uar == 0.75
    assert result.recall[:2] == (0.5, 1.0)
    assert np.isnan(result.recall[2])


def test_absent_classes_by_hand():
    """Class 2 is predicted once and never true, class 3 is nowhere: F1 are 2/3, 1, 0, 0."""
    result = scores(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), 4)
    assert result.f1 == pytest.approx((2 / 3, 1, 0, 0))
    assert result.macro_f1 == pytest.approx((2 / 3 + 1) / 4)  # ABAW's divisor: all classes
    assert result.macro_f1_present == pytest.approx((2 / 3 + 1) / 3)
    assert result.weighted_f1 == pytest.approx((2 / 3 + 1) / 2)


def test_the_names_of_the_choices_are_torchmetrics_too():
    """Its macro F1 drops a class that is nowhere; its macro recall counts one that is only predicted as 0, our UAR does not."""
    import torch
    from torchmetrics.functional.classification import multiclass_f1_score, multiclass_recall

    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    result = scores(truth, predicted, 4)
    pair = torch.from_numpy(predicted), torch.from_numpy(truth)
    assert result.macro_f1_present == pytest.approx(float(multiclass_f1_score(*pair, 4, average="macro")))
    assert float(multiclass_recall(*pair, 4, average="macro")) == pytest.approx(result.uar * 2 / 3)


def test_a_clip_without_a_prediction_is_wrong_everywhere():
    truth, predicted = guesses()
    lost = np.where(np.arange(200) < 20, 4, predicted)  # class K: nothing was predicted
    np.testing.assert_array_equal(counts(truth, lost, 4)[:, 4], np.bincount(truth[:20], minlength=4))
    np.testing.assert_array_equal(counts(truth, lost, 4)[:, :4], confusion_matrix(truth, lost, labels=range(4)))
    result = scores(truth, lost, 4)
    assert result.war == pytest.approx(accuracy_score(truth, lost))
    assert result.uar == pytest.approx(np.mean([np.mean(lost[truth == k] == k) for k in range(4)]))
    ours = {n: getattr(result, n) for n in ("uar", "war", "macro_f1", "macro_f1_present", "weighted_f1")}
    assert set(check_classes(truth, lost, 4, ours)) == set(ours)


def test_the_cross_check_finds_a_wrong_number():
    truth, predicted = guesses()
    result = scores(truth, predicted, 4)
    ours = {n: getattr(result, n) for n in ("uar", "war", "macro_f1", "macro_f1_present", "weighted_f1")}
    with pytest.raises(AssertionError, match="weighted_f1"):
        check_classes(truth, predicted, 4, ours | {"weighted_f1": ours["weighted_f1"] + 1e-4})


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


def test_shuffled_labels_score_chance_within_the_interval():
    rng = np.random.default_rng(3)
    truth = rng.choice(7, 2000, p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.05, 0.05])
    predicted = rng.permutation(truth)  # right marginals, no relation
    intervals = bootstrap(truth, predicted, 7, seed=0)
    assert intervals["uar"].low < 1 / 7 < intervals["uar"].high
    chance = np.sum(np.square([0.2, 0.2, 0.2, 0.2, 0.1, 0.05, 0.05]))
    assert intervals["war"].low < chance < intervals["war"].high


def test_people_are_resampled_where_five_are_named():
    items = [f"clip{i}" for i in range(6)]
    assert resampling_groups(items, ["a", "b", "c", "d", None, "a"]) == (items, "clips")
    groups, word = resampling_groups(items, ["a", "b", "c", "d", "e", None])
    assert word == "subjects"
    assert groups[-1] == "clip clip5"


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


def test_one_group_has_no_interval():
    truth, predicted = np.array([0, 1, 0, 1]), np.array([0, 1, 1, 1])
    alone = bootstrap(truth, predicted, 2, 0, ["ann"] * 4)
    assert {name: i.pair for name, i in alone.items()} == dict.fromkeys(alone, [None, None])
    assert bootstrap(truth, predicted, 2, 0)["uar"].low < bootstrap(truth, predicted, 2, 0)["uar"].high
