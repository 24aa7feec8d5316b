"""Linear probes: `pytest tests/experiments/test_probe.py`."""

from __future__ import annotations

import numpy as np
from intervals import uar
from probe import PENALTIES, recognised

CLASSES = np.array(["a", "b", "c"])


def people_and_classes(people: int, clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(people, labels, split) of clips; the last quarter of the people is the test split."""
    who = np.repeat(np.arange(people), clips)
    split = np.where(who < people * 3 // 4, "train", "test")
    return np.char.add("p", who.astype(str)), CLASSES[np.arange(len(who)) % 3], split


def test_what_is_in_the_features_is_found_in_people_never_seen():
    rng = np.random.default_rng(0)
    people, labels, split = people_and_classes(16, 9)
    features = np.eye(3)[np.searchsorted(CLASSES, labels)] + rng.normal(0, 0.1, (len(labels), 3))
    found = recognised(features, labels, people, split)
    assert found["C"] in PENALTIES
    counts = np.array(found["counts"])
    assert counts.shape == (4, 3, 3)  # four test people
    assert uar(counts.sum(axis=0)) > 0.95
    blind = recognised(rng.normal(0, 1, (len(labels), 3)), labels, people, split)
    assert uar(np.array(blind["counts"]).sum(axis=0)) < 0.7


def test_the_penalty_is_chosen_without_the_test_people():
    rng = np.random.default_rng(1)
    people, labels, split = people_and_classes(16, 9)
    features = rng.normal(0, 1, (len(labels), 5))
    shuffled = np.where(split == "test", rng.permutation(labels), labels)
    assert recognised(features, labels, people, split)["C"] == recognised(features, shuffled, people, split)["C"]
