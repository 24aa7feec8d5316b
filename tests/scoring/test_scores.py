"""What `evaluate` returns, and the loop below it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.dataset import ClipSet
from mien.data.shards import Shards
from mien.data.view import View
from mien.errors import UserError
from mien.scoring.evaluation import evaluate
from mien.scoring.inference import Inference, Window
from mien.scoring.scores import Scores
from mien.scoring.table import KINDS
from mien.transforms.clip import Augment
from tests.scoring.shards import FAILED, SIZE, folder_of, spec_of, write_grey
from tests.scoring.test_evaluation import CLASSES, LEVELS, break_frames, labelled


@pytest.fixture
def classes(tmp_path: Path) -> Scores:
    shards = Shards(write_grey(tmp_path / "s", LEVELS, labelled({1: FAILED})))
    return evaluate(folder_of(spec_of(CLASSES), tmp_path), shards, tmp_path / "out")


@pytest.fixture
def numbers(tmp_path: Path) -> Scores:
    levels = [0.1, 0.3, 0.5, 0.7, 0.9]
    shards = Shards(write_grey(tmp_path / "n", levels, [{"arousal": v, "valence": 1 - v} for v in levels]))
    spec = spec_of(("arousal", "valence"), kind="dimensional", range=(0.0, 1.0), target=("arousal", "valence"))
    return evaluate(folder_of(spec, tmp_path), shards, tmp_path / "out")


def test_scores_of_classes_by_name(classes: Scores, tmp_path: Path):
    assert classes.uar == classes["uar"] == classes.metrics["uar"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert classes.interval("uar") == tuple(classes["uar_95"])
    assert (classes.names, classes.num_videos) == (CLASSES, 6)
    np.testing.assert_array_equal(classes.confusion, [[2, 0, 1], [0, 1, 0], [0, 0, 1]])
    assert classes.recall == pytest.approx({"dark": 2 / 3, "middle": 1 / 2, "light": 1})
    assert [f["item"] for f in classes.failed] == ["c1.mp4"]
    assert classes.record == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert list(classes.metrics) == list(KINDS["categorical"].metrics)


def test_scores_of_targets_by_name(numbers: Scores):
    assert numbers["ccc:arousal"] == numbers.per_target["arousal"]["ccc"] > 0.99
    assert numbers["ccc:valence"] < -0.9
    assert numbers.ccc == pytest.approx((numbers["ccc:arousal"] + numbers["ccc:valence"]) / 2)
    assert numbers.interval("ccc:arousal") == tuple(numbers.per_target["arousal"]["ccc_95"])


def test_a_score_that_is_not_there_names_the_nearest(classes: Scores, numbers: Scores):
    for ask, near in (
        (lambda: classes.uars, "did you mean uar?"), (lambda: classes["macro_f"], "did you mean macro_f1?"),
        (lambda: classes.interval("wa"), "did you mean war"), (lambda: numbers["ccc:arosal"], "did you mean ccc:arousal?"),
        (lambda: numbers.confusion, "no score 'confusion'"), (lambda: classes.per_target, "no score 'per_target'"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=near):
            ask()
    assert not hasattr(numbers, "confusion")
    assert copy.deepcopy(classes).record == classes.record


def test_scores_say_what_they_are(classes: Scores, numbers: Scores):
    first, uar, *_ = repr(classes).splitlines()
    assert first == "Scores of label, split=test: 6 videos, 1 failed"
    assert uar == f"  uar {classes.uar:.4f}, 95 % {classes.uar_95[0]:.4f} to {classes.uar_95[1]:.4f}"
    assert len(repr(numbers).splitlines()) == 1 + len(KINDS["dimensional"].metrics)
    alone = Scores(classes.record | {"uar_95": [None, None]})
    assert np.isnan(alone.interval("uar")).all()


def test_clips_go_through_once_and_broken_ones_are_marked(tmp_path: Path):
    root = write_grey(tmp_path / "s", LEVELS, labelled())
    break_frames(root, 2)
    clips, views = ClipSet(Shards(root)), {"clip": View(4, 1, "test", Augment(size=SIZE))}
    windows = []
    for at, means in Inference(4, workers=0).over(clips, views, lambda batch: batch["clip"].mean((1, 2, 3, 4)), 2):
        assert not torch.is_inference_mode_enabled()  # the loop's body is not part of it
        assert means.is_inference()
        assert len(at) == len(means)
        windows += at
    assert windows == [Window(row, k, row == 2) for row in range(6) for k in range(2)]
    with pytest.raises(UserError, match="prepare its video again"):
        list(Inference(4).over(clips, views, lambda batch: None, strict=True))
