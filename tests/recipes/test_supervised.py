"""What recipes make of a manifest: soft labels, weights, ranges, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.sampling import cover_indices, num_windows
from mien.data.select import vote_shares
from mien.data.shards import Shards
from mien.data.view import View
from mien.errors import UserError
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, RegressRecipe
from mien.tasks.classify import ClassifyConfig
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
    weights = ClassifyRecipe(balanced_sampling=True).sampling_weights(rows, SPEC)
    view = View(4, 1, "train", Augment(size=16))
    loader = ClipLoader(ClipSet(Shards(root)), {"clip": view}, 10, 0, weights=weights, workers=0)
    drawn = [s.index for step in range(200) for s in loader.samples(step)]
    assert np.mean(np.array(drawn) >= 8) == pytest.approx(0.5, abs=0.04)


def test_class_weights_make_classes_weigh_alike():
    rows = manifest(label=["anger"] * 3 + ["happiness"])
    start = _start()
    task = ClassifyRecipe(class_weights=True, mixup=0, cutmix=0).task(start, SPEC, rows, False)
    assert task.class_weights == pytest.approx((2 / 3, 2))
    assert isinstance(task, ClassifyConfig)


def _start():
    from mien.encoders.vit import vit_micro
    from mien.recipes.supervised import Start

    return Start(vit_micro(), 96, None)


@pytest.mark.parametrize(("values", "expected"), [([0.0, 0.5], (0, 1)), ([-0.5, 0.5], (-1, 1)), ([1.0, 7.0], (1, 7))])
def test_the_range_is_the_smallest_usual_one(values, expected):
    data = FinetuneData(Path(), ("arousal",))
    assert RegressRecipe().label_spec(manifest(arousal=values), data, {}).range == expected


def test_personality_needs_a_word_of_consent():
    rows, data = manifest(extraversion=[0.1, 0.9]), FinetuneData(Path(), ("extraversion",))
    with pytest.raises(UserError, match="--allow-personality"):
        RegressRecipe().label_spec(rows, data, {})
    spec = RegressRecipe(allow_personality=True).label_spec(rows, data, {})
    assert (spec.kind, spec.range) == ("traits", (0.0, 1.0))


def test_words_cannot_be_regressed():
    with pytest.raises(UserError, match="holds words"):
        RegressRecipe().targets(manifest(arousal=["high", "low"]), LabelSpec(("arousal",), "dimensional"))


@pytest.mark.parametrize(("n", "frames", "stride"), [(100, 8, 4), (5, 8, 2), (64, 16, 4), (65, 16, 4), (33, 4, 3)])
def test_windows_cover_a_row_from_end_to_end(n, frames, stride):
    windows = num_windows(n, frames, stride)
    seen = np.concatenate([cover_indices(n, frames, stride, k, windows) for k in range(windows)])
    assert seen.min() == 0
    assert seen.max() == n - 1 or n - 1 - seen.max() < stride
    assert np.diff(np.unique(seen)).max(initial=0) <= stride
