"""What tasks make of a manifest: soft labels, weights, ranges, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec, refuse_personality
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.sampling import cover_indices, num_windows
from mien.data.select import vote_shares
from mien.data.shards import Shards
from mien.data.view import View
from mien.errors import UserError
from mien.learner import TrainingData
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.transforms.clip import Augment
from tests.conftest import write_shards

SPEC = LabelSpec(("anger", "happiness"))


def manifest(**columns: list) -> Manifest:
    names = list(columns)
    return Manifest.from_rows([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)])


def test_votes_become_shares_and_the_label_where_nobody_voted():
    rows = manifest(votes_anger=[3.0, 0.0, None], votes_happiness=[1.0, 0.0, None])
    shares = vote_shares(rows, SPEC.names, np.array([0, 1, 0]))
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0, 1], [1, 0]])
    with pytest.raises(UserError, match="votes_anger"):
        vote_shares(manifest(votes_happiness=[1.0]), SPEC.names, np.array([0]))


def test_balanced_sampling_draws_every_class_equally_often(tmp_path: Path):
    root = write_shards(tmp_path, num_clips=10)
    rows = manifest(label=["anger"] * 8 + ["happiness"] * 2)
    weights = ClassifyConfig(SPEC, balanced_sampling=True).sampling_weights(rows)
    view = View(4, 1, "train", Augment(size=16))
    loader = ClipLoader(ClipSet(Shards(root)), {"clip": view}, 10, 0, weights=weights, workers=0)
    drawn = [s.index for step in range(200) for s in loader.samples(step)]
    assert np.mean(np.array(drawn) >= 8) == pytest.approx(0.5, abs=0.04)


def training(shards: Path, **columns: list) -> TrainingData:
    """Rows with these columns, as if they were of the shards."""
    count = len(next(iter(columns.values())))
    return TrainingData((Shards(shards),), (manifest(fps=[25.0] * count, **columns),))


def regressor(shards: Path, **columns: list) -> LabelSpec:
    """What a regression of the columns means after training on these rows."""
    config = RegressConfig(LabelSpec(kind="dimensional", target=tuple(columns)))
    return config.fitted(training(shards, **columns)).spec


def test_class_weights_make_classes_weigh_alike(shards: Path):
    task = ClassifyConfig(class_weights=True).fitted(training(shards, label=["anger"] * 3 + ["happiness"]))
    assert task.weights == pytest.approx((2 / 3, 2))
    assert task.spec.names == SPEC.names


@pytest.mark.parametrize(("values", "expected"), [([0.0, 0.5], (0, 1)), ([-0.5, 0.5], (-1, 1)), ([1.0, 7.0], (1, 7))])
def test_the_range_is_the_smallest_usual_one(values, expected, shards: Path):
    assert regressor(shards, arousal=values).range == expected


def test_personality_needs_a_word_of_consent(shards: Path):
    spec = regressor(shards, extraversion=[0.1, 0.9])
    with pytest.raises(UserError, match="--allow-personality"):
        refuse_personality("--target", spec, allowed=False)
    refuse_personality("--target", spec, allowed=True)
    assert (spec.kind, spec.range) == ("traits", (0.0, 1.0))


def test_words_cannot_be_regressed():
    with pytest.raises(UserError, match="holds words"):
        RegressConfig(LabelSpec(("arousal",), "dimensional")).targets(manifest(arousal=["high", "low"]))


@pytest.mark.parametrize(("n", "frames", "stride"), [(100, 8, 4), (5, 8, 2), (64, 16, 4), (65, 16, 4), (33, 4, 3)])
def test_windows_cover_a_row_from_end_to_end(n, frames, stride):
    windows = num_windows(n, frames, stride)
    seen = np.concatenate([cover_indices(n, frames, stride, k, windows) for k in range(windows)])
    assert seen.min() == 0
    assert seen.max() == n - 1 or n - 1 - seen.max() < stride
    assert np.diff(np.unique(seen)).max(initial=0) <= stride
