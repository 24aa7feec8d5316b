"""Recipes of the sequence task: what they take from the data, and the path from training to scores on small tracks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mien.data.labels import LabelSpec
from mien.data.segments import StretchSet, pixel_statistics
from mien.data.shards import Shards
from mien.encoders.lip_reading import LipReadingConfig
from mien.errors import UserError
from mien.losses.composite import TERMS, CompositeLoss
from mien.losses.ordinal import clusters
from mien.models import Model, load
from mien.options import from_keywords
from mien.recipes.sequence import TABLE_III, TABLE_IV, sequence, sequence_recola, sequence_sewa
from mien.scoring.evaluation import evaluate
from mien.tasks.sequence import SequenceConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import ClipSpec
from mien.verbs.finetune import Finetune, begun, finetune, plan_of
from tests.data.tracks import write_tracks

TINY, SIDE = LipReadingConfig(width=4), 32


def given(experiment: Experiment, **values: Any) -> Experiment:
    """With other values of its options, wherever they lie."""
    return from_keywords(experiment, (), values)


RECIPE = replace(
    given(sequence().learning(encoder=TINY), num_frames=20, gru_layers=1, gru_hidden=16, num_bins=6, size=SIDE),
    optim=OptimConfig(lr=0.01 * 256 / 4, betas=(0.9, 0.999), weight_decay=1e-4),
    train=TrainConfig(batch_size=4, steps=60, workers=0),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks that grow brighter as their rating rises, of several rows each."""
    tracks = {"a.mp4": [(0.0, 50), (2.0, 20)], "b.mp4": [(0.0, 60)], "test.mp4": [(0.0, 30), (1.2, 25)]}
    root = tmp_path_factory.mktemp("shards") / "tracks"
    write_tracks(root, tracks, size=SIDE)
    return root


def resolved(experiment: Experiment, data: Path) -> SequenceConfig:
    options = Finetune(data=data, out=data)
    experiment, start = begun(options, experiment)
    task = plan_of(options, experiment, start, Shards(data), options.rows).experiment.task
    assert isinstance(task, SequenceConfig)
    return task


def test_it_learns_a_rating_and_is_scored_on_whole_videos(data, tmp_path: Path):
    run = tmp_path / "run"
    finetune(RECIPE, data, run, device="cpu")
    folder = load(run)
    result = evaluate(folder, Shards(data), run / "evaluation")
    assert result["num_values"] == 55
    assert result["ccc"] > 0.7
    kept = json.loads((run / "evaluation" / "evaluation.json").read_text())["per_video"]
    assert list(kept["items"]) == ["test.mp4"]
    assert kept["ccc"]["valence"] == pytest.approx(result["per_target"]["valence"]["ccc"])  # there is one video
    again = finetune(RECIPE, data, tmp_path / "again", device="cpu")
    assert again.hash == folder.hash


def test_the_models_config_holds_what_was_measured_on_the_training_videos(data):
    task = resolved(RECIPE.learning(loss=TABLE_III["ccc-ncce"]), data)
    clips = StretchSet(Shards(data), Shards(data).manifest.take([0, 1, 2]))
    mean, std = pixel_statistics(clips, True, 0)
    clip, augment = task.spec.clip, task.transform(training=True)
    assert clip.mean == augment.mean == pytest.approx(mean, abs=1e-4)
    assert clip.std == augment.std == pytest.approx(std, abs=1e-4)
    assert (clip.color, clip.frame_period_s, clip.num_frames) == (False, 0.04, 20)
    assert task.spec.names == ("arousal", "valence")
    arousal, valence = task.discrete.centroids
    np.testing.assert_allclose(np.array(valence) - np.array(arousal), 0.3, atol=0.03)
    known = resolved(RECIPE.learning(statistics="encoder"), data)
    assert known.spec.clip.mean == known.transform(training=True).mean == (0.421,)
    assert known.discrete.centroids == ()


def test_clusters_against_the_best_of_all_partitions():
    """Of sorted numbers the best clusters are stretches: all ways to cut six of them into three."""
    values = np.array([0.0, 0.1, 0.15, 0.6, 0.7, 5.0])
    parts = [np.split(values, [i, j]) for i in range(1, 5) for j in range(i + 1, 6)]
    best = min(parts, key=lambda p: sum(((x - x.mean()) ** 2).sum() for x in p))
    found = clusters(np.array([np.nan, *values[::-1]], np.float32), 3, 0)
    assert found == pytest.approx([x.mean() for x in best], abs=1e-5)
    with pytest.raises(UserError, match="2 different values cannot make 3 clusters"):
        clusters(np.array([0.0, 1.0, 0.0]), 3, 0)


def test_tanh_keeps_numbers_within_the_range():
    spec = LabelSpec(("arousal",), "dimensional", "frame", clip=ClipSpec(num_frames=4, size=SIDE), range=(1.0, 9.0))
    task = SequenceConfig(spec, TINY, gru_layers=1, gru_hidden=4, activation="tanh").build().eval()
    assert task.head is not None
    hidden = torch.randn(1, 50, 4)
    with torch.no_grad():
        task.head.weight.mul_(100)
        low, high = task.numbers(hidden).aminmax()
        task.head.weight.zero_()
        task.head.bias.zero_()
        middle = task.numbers(hidden)
    assert (float(low), float(high)) == pytest.approx((1.0, 9.0), abs=1e-3)
    assert torch.allclose(middle, torch.tensor(5.0))


def test_late_raters_are_read_later_and_predictions_given_earlier(data, tmp_path: Path):
    folder, shards = finetune(RECIPE, data, tmp_path / "late", delay_s=0.4, steps=1, device="cpu"), Shards(data)
    evaluate(folder, shards, tmp_path / "late-scores")
    prompt = replace(folder, module=_with_delay(folder, 0.0))
    evaluate(prompt, shards, tmp_path / "prompt-scores")
    predicted = [_column(tmp_path / name, "predicted_valence") for name in ("late-scores", "prompt-scores")]
    np.testing.assert_allclose(predicted[0][10:], predicted[1][:-10], atol=1e-5)
    truth = [_column(tmp_path / name, "true_valence") for name in ("late-scores", "prompt-scores")]
    np.testing.assert_array_equal(truth[0], truth[1])


def _with_delay(folder: Model, delay_s: float) -> torch.nn.Module:
    model = replace(folder.config, delay_s=delay_s).build()
    model.load_state_dict(folder.module.state_dict())
    return model.eval()


def _column(folder: Path, name: str) -> np.ndarray:
    import pyarrow.parquet as pq

    return pq.read_table(folder / "predictions.parquet").column(name).to_numpy()


@pytest.mark.parametrize("row", TABLE_III)
def test_every_row_of_table_3_builds(row, data):
    loss = TABLE_III[row]
    resolved(RECIPE.learning(loss=loss), data).build()
    weights = [sum(loss.weight(term, k) for term in TERMS) for k in (0, 1)]
    assert weights == pytest.approx([1, 1])


@pytest.mark.parametrize("row", TABLE_IV)
def test_every_row_of_table_4_trains(row, data):
    augment = TABLE_IV[row]
    if augment.crop is not None:
        with pytest.raises(UserError, match="crops are 32 px, the model needs 96 px"):
            resolved(given(RECIPE.learning(augment=augment), size=96), data)
        augment = replace(augment, crop=26)
    assert resolved(RECIPE.learning(augment=augment), data).transform(training=True).random == (
        "crop" in row.split("+")
    )


def test_the_papers_settings():
    sewa, recola = sequence_sewa(), sequence_recola()
    assert (sewa.task.spec.clip.num_frames, recola.task.spec.clip.num_frames) == (200, 500)
    for recipe in (sewa, recola):
        absolute = recipe.optim.lr * recipe.train.batch_size / 256
        assert 7e-5 <= absolute <= 3e-4
        assert 3 <= recipe.train.batch_size <= 20
        size = recipe.task.spec.clip.size  # 0: that of the encoder
        assert (recipe.train.epochs, recipe.optim.weight_decay, size) == (10, 1e-4, 0)


def test_what_cannot_be_trained_is_said(data):
    for experiment, said in (
        (RECIPE.learning(loss=CompositeLoss((1.0, 1.0, 1.0))), "one for each of 2 targets"),
        (given(RECIPE.learning(loss=CompositeLoss(ncce=(1.0,))), num_bins=500), "cannot make 500 clusters"),
        (RECIPE.learning(loss=CompositeLoss((math.inf,))), "--loss.ccc inf: give one weight"),
        (given(RECIPE, delay_s=9.0), r"no training frame is annotated that lies 9 s \(--delay-s\)"),
        (given(RECIPE, range=(0.0, 1.0)), r"arousal is -0.* in training, beyond --range 0 1: give the range"),
        (given(RECIPE, size=64), "needs 64 px; prepare it again with --size 64$"),
        (given(RECIPE, target="dominance"), "no per-frame target 'dominance'"),
    ):
        with pytest.raises(UserError, match=said):
            resolved(experiment, data)
    for name, value in {
        "delay_s": 60.0, "missing": 1.5, "range": (1.0, -1.0), "num_bins": 1, "frame_period_s": 0.0
    }.items():  # fmt: skip
        with pytest.raises(UserError, match="give"):
            given(RECIPE, **{name: value})
