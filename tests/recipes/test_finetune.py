"""From shards to a scored classifier, through the functions the commands call."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.contract import Geometry
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.parts import unlabelled
from mien.data.shards import Shards, write_contract
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.methods.svfap import SVFAPConfig
from mien.models import load
from mien.recipes import PRETRAIN, index, recipe
from mien.scoring.evaluation import evaluate
from mien.scoring.options import Scoring
from mien.tasks.classify import ClassifyConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import ClipAugment, ClipSpec
from mien.transforms.mix import Mix
from mien.verbs.finetune import finetune
from mien.verbs.pretrain import pretrain
from tests.conftest import write_shards

ENCODER = TPSBTConfig(dim=32, num_heads=2, depths=(1, 2, 2), bottlenecks=2)
CLIP = ClipSpec(stride=1, size=32)
PLAIN = Experiment(
    "classify",
    ClassifyConfig(
        LabelSpec(clip=CLIP), ENCODER, drop_path=0.0, mix=Mix(0.0, 0.0),
        augment=ClipAugment("random_resized", crop_area=(0.8, 1.0)),
    ),
    OptimConfig(lr=6e-2, layer_decay=None),
    TrainConfig(batch_size=12, steps=60, warmup_epochs=5, workers=1, evaluations=20),
)  # fmt: skip
ALONE = Experiment(
    "svfap-micro",
    SVFAPConfig(ENCODER, mask_ratio=0.5, clip=CLIP, decoder_dim=16, decoder_depth=1, decoder_heads=2),
    train=TrainConfig(batch_size=4, steps=3, workers=1),
)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight clips, so that something can be learned."""
    return write_shards(tmp_path_factory.mktemp("finetune") / "motion", num_clips=48, num_frames=16)


@pytest.fixture(scope="module")
def pretrained(motion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    pretrain(ALONE, [motion], out, device="cpu")
    return out


def test_motion_is_learned_from_scratch_and_scored(motion, tmp_path):
    """Each frame alone is the same in both classes: only the order of frames tells them apart."""
    finetune(PLAIN, motion, tmp_path / "run", device="cpu")
    folder = load(tmp_path / "run")
    assert folder.config.spec.names == ("left", "right")
    assert folder.config.spec.clip.frame_period_s == pytest.approx(0.04)
    assert folder.provenance.training_data == "drawn"
    result = evaluate(folder, Shards(motion), tmp_path / "scores")
    assert result["uar"] > 0.9
    assert result["num_videos"] == 12
    assert result["uar_95"][0] <= result["uar"] <= result["uar_95"][1]
    written = json.loads((tmp_path / "scores" / "evaluation.json").read_text())
    assert written["provenance"]["checkpoint_hash"] == folder.hash
    assert written["provenance"]["contract_hash"] == Shards(motion).contract.geometry.hash
    assert (tmp_path / "scores" / "confusion.png").stat().st_size > 1000
    lines = (tmp_path / "scores" / "predictions.csv").read_text().splitlines()
    assert len(lines) == 13


def test_the_encoder_begins_with_the_pre_trained_weights(motion, pretrained, tmp_path):
    model = finetune(PLAIN, motion, tmp_path / "run", init=str(pretrained), frozen="all", steps=2, device="cpu")
    before = load(pretrained)
    assert model.provenance.init == before.hash
    encoders: list[Any] = [before.module.encoder, model.module.encoder]
    old, new = (encoder.state_dict() for encoder in encoders)
    assert all(np.array_equal(old[k], new[k]) for k in old)


def test_best_is_chosen_on_training_people_only(motion, tmp_path):
    model = finetune(PLAIN, motion, tmp_path / "run", select="best", steps=8, batch_size=4, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = max(r["val_uar"] for r in rows if "val_uar" in r)
    assert model.provenance.metrics["val_uar"] == pytest.approx(best)


def test_failed_videos_count_as_errors(motion, tmp_path):
    root = tmp_path / "copy"
    root.mkdir()
    os.symlink(motion / "shards", root / "shards")
    rows = Manifest.read(motion).rows()
    for row in rows[-3:]:  # three of the twelve test clips gave no face
        row |= {"status": "no_face", "reason": "no face found", "shard": "", "row": -1, "num_frames": 0}
    Manifest.from_rows(rows).write(root)
    write_contract(root, Shards(motion).contract)
    model = finetune(PLAIN, root, tmp_path / "run", steps=1, device="cpu")
    result = evaluate(model, Shards(root), tmp_path / "scores")
    assert result["num_videos"] == 12
    assert [f["reason"] for f in result["failed"]] == ["no face found"] * 3
    assert result["failed"][0]["item"] == rows[-3]["clip_id"]
    right = np.trace(np.array(result["confusion"]))
    assert np.sum(result["confusion"]) == 9
    assert result["war"] == pytest.approx(right / 12)


def test_evaluation_reads_the_split_column_of_the_training(motion, tmp_path):
    root = tmp_path / "copy"
    root.mkdir()
    os.symlink(motion / "shards", root / "shards")
    swapped = {"train": "test", "test": "train"}
    Manifest.from_rows([{**r, "fold_2": swapped[r["split"]]} for r in Manifest.read(motion).rows()]).write(root)
    write_contract(root, Shards(motion).contract)
    folder = finetune(PLAIN, root, tmp_path / "run", split_column="fold_2", steps=1, device="cpu")
    result = evaluate(folder, Shards(root), tmp_path / "scores")
    assert (result["split"], result["num_videos"]) == ("fold_2=test", 36)  # the other way round than the column "split"


def test_another_geometry_is_refused_then_printed_beside_the_numbers(motion, tmp_path):
    folder = finetune(PLAIN, motion, tmp_path / "run", steps=1, device="cpu")
    shards = Shards(motion)
    shards.contract = replace(shards.contract, geometry=Geometry(crop="box", margin=0.3))
    with pytest.raises(UserError, match="geometry differs"):
        evaluate(folder, shards, tmp_path / "scores")
    assert not (tmp_path / "scores").exists()
    result = evaluate(folder, shards, tmp_path / "scores", Scoring(allow_contract_mismatch=True))
    assert "margin" in result["contract_mismatch"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"target": ("mood",)}, "no column 'mood'"),
        ({"split_column": "fold"}, "no column 'fold'"),
        ({"label_fraction": 2.0}, "label-fraction"),
    ],
)
def test_bad_columns_are_explained(motion, tmp_path, rows, words):
    with pytest.raises(UserError, match=words):
        finetune(PLAIN, motion, tmp_path / "run", device="cpu", **rows)
    assert not (tmp_path / "run").exists()


def test_crops_smaller_than_the_model_are_refused(motion, tmp_path):
    with pytest.raises(UserError, match="32 px, the model needs 96 px"):
        finetune(PLAIN, motion, tmp_path / "run", size=96, device="cpu")


def test_the_test_split_is_never_pre_trained_on(motion, tmp_path):
    train, held = unlabelled([Shards(motion)], seed=0)
    assert set(train[0].column("split")) == {"train"}
    assert set(held[0].column("split")) == {"test"}
    undivided = Shards(motion)
    undivided.manifest = Manifest.from_rows([{**r, "split": None} for r in undivided.manifest.rows()])
    train, held = unlabelled([undivided], seed=0)
    assert len(train[0]) + len(held[0]) == 48
    assert not set(train[0].column("subject")) & set(held[0].column("subject"))


def test_the_held_out_loss_is_recorded_with_that_of_zeros(pretrained):
    metrics = load(pretrained).provenance.metrics
    assert metrics["held_out_ratio"] == pytest.approx(metrics["held_out_loss"] / metrics["held_out_zero_loss"])


@pytest.mark.parametrize("name", index(PRETRAIN))
def test_every_recipe_builds_and_says_its_name(name):
    experiment = recipe(name)
    assert experiment.name == name
    method = experiment.method
    method.encoder.check_clip(method.clip.num_frames, method.clip.size)
