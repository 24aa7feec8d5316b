"""Collapse: extremes that are known, and scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from mien.rng import generator
from mien.scoring.collapse import chance, effective_rank, knn_accuracy, relative_std


@pytest.fixture(scope="module")
def noise():
    return generator("collapse").normal(size=(400, 16))


def test_directions_without_preference_have_a_relative_deviation_of_one(noise):
    assert relative_std(noise) == pytest.approx(1, abs=0.01)
    assert relative_std(noise * generator("lengths").uniform(1, 9, (400, 1))) == pytest.approx(1, abs=0.01)
    assert relative_std(np.ones((5, 16))) == 0
    assert relative_std(noise + 100) < 0.02


def test_effective_rank_counts_directions(noise):
    assert effective_rank(noise) == pytest.approx(16, abs=0.3)
    assert effective_rank(noise[:, :3] @ generator("mix").normal(size=(3, 16)) + 5) < 3.001
    line = np.outer(np.arange(9.0), np.ones(4))
    assert effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert effective_rank(np.full((7, 4), 0.3, np.float32)) == 0
    # Singular values 3 and 1 of what is centred already: entropy of 3/4, 1/4.
    two = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]]) / np.sqrt(2)
    assert effective_rank(two) == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))


def test_neighbours_are_scikit_learns(noise):
    features = noise.copy()
    labels = ["abc"[int(k)] for k in generator("labels").integers(0, 3, 400)]
    features[:, 0] += [{"a": 0, "b": 2, "c": 4}[x] for x in labels]
    features, labels = features[:120], labels[:120]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    right = 0
    for k in range(120):  # leave one out, with a single neighbour, so that no tie is settled in another way
        rest = [j for j in range(120) if j != k]
        model = KNeighborsClassifier(1).fit(unit[rest], [labels[j] for j in rest])
        right += model.predict(unit[k : k + 1])[0] == labels[k]
    ours = knn_accuracy(features, labels, [None] * 120, neighbours=1)
    assert ours == pytest.approx(right / 120)
    assert ours > 0.5


def test_people_never_vote_on_themselves():
    """Every person has one label and one place: a neighbour within the person would always be right."""
    places = generator("people").normal(size=(20, 8))
    features = places.repeat(5, axis=0) + 0.01 * generator("jitter").normal(size=(100, 8))
    people = [f"p{k // 5}" for k in range(100)]
    labels = [("x", "y")[k // 5 % 2] for k in range(100)]
    assert knn_accuracy(features, labels, [None] * 100, 3) == 1
    assert knn_accuracy(features, labels, people, 3) < 0.8
    assert np.isnan(knn_accuracy(features, labels, ["all"] * 100))


def test_a_tie_goes_to_the_nearest():
    features = np.array([[1, 0], [1, 0.1], [1, 0.25]])
    assert knn_accuracy(features, ["a", "a", "b"], [None] * 3, 2) == pytest.approx(2 / 3)


def test_chance_is_the_commonest():
    assert chance(["a", "b", "a", "a"]) == 0.75
