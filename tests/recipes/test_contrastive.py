"""Recipes of several views from shards to a model: resumed, started from weights, watched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mien.contract import Geometry
from mien.data.shards import Shards
from mien.encoders.resnet import ResNetConfig
from mien.errors import UserError
from mien.learner import TrainingData
from mien.methods.byol import BYOLConfig
from mien.methods.contrawarping import ContraWarpingConfig
from mien.methods.dino import DINOConfig
from mien.models import load
from mien.recipes import index, recipe
from mien.scoring import monitors
from mien.scoring.inference import Inference
from mien.train.experiment import Experiment
from mien.train.log import read_metrics
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import ClipSpec
from mien.transforms.contrastive import Look
from mien.transforms.warp import Warp
from mien.verbs.main import run
from mien.verbs.pretrain import pretrain

ENCODER = ResNetConfig(width=8)
CLIP, LOOK = ClipSpec(1, 1, size=32), Look()
HEADS: dict[str, Any] = {"projector_hidden": 64, "projection": 16, "predictor_hidden": 64}
TRAIN = TrainConfig(batch_size=4, steps=6, workers=0, save_every_steps=3, log_every=1, evaluate_every=3)
OPTIM = OptimConfig("sgd", lr=0.5, min_lr=0.0, weight_decay=1e-4)
BYOL = Experiment("byol-micro", BYOLConfig(ENCODER, CLIP, first=LOOK, second=LOOK, **HEADS), OPTIM, TRAIN)
WARPING = replace(BYOL, learner=ContraWarpingConfig(ENCODER, CLIP, first=LOOK, second=LOOK, third=LOOK, **HEADS))
DINO = replace(
    BYOL,
    learner=DINOConfig(
        ENCODER, CLIP, first=LOOK, second=LOOK, local=LOOK, num_local=1, hidden=16, bottleneck=8, prototypes=16,
        last_layer_frozen=0.6,
    ),
)  # fmt: skip


def log(out: Path, name: str) -> dict[int, float]:
    return {r["step"]: r[name] for r in read_metrics(out / "metrics.jsonl") if name in r}


@pytest.mark.parametrize("experiment", [WARPING, DINO], ids=["contrawarping", "dino"])
def test_a_run_that_was_killed_goes_on_to_the_bit(experiment, shards: Path, tmp_path: Path):
    whole = tmp_path / "whole"
    pretrain(experiment, [shards], whole, device="cpu")
    cut = tmp_path / "cut"
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "checkpoints" / "step_000000006")
    shutil.rmtree(cut / "model")
    (cut / "metrics.jsonl").unlink()
    pretrain(experiment, [shards], cut, device="cpu")
    assert [*log(cut, "loss")] == [4, 5, 6]
    assert {k: v for k, v in log(whole, "loss").items() if k > 3} == log(cut, "loss")
    states = [load(out).module.state_dict() for out in (whole, cut)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    names = ("held_out_loss", "feature_std", "projection_std", "effective_rank")
    assert all(set(log(whole, name)) == {3, 6} for name in names)


def test_pretraining_starts_from_the_encoder_of_a_model(shards: Path, tmp_path: Path):
    old = pretrain(BYOL, [shards], tmp_path / "a", device="cpu", steps=2)
    still = replace(WARPING, optim=replace(OPTIM, lr=0.0), train=replace(TRAIN, steps=1))
    new = pretrain(still, [shards], tmp_path / "b", device="cpu", init=str(old.path))
    weights: list[Any] = [dict(m.module.encoder.named_parameters()) for m in (old, new)]  # type: ignore[union-attr]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert new.provenance.init == old.hash
    assert len(new.provenance.contracts) == 2
    wide = still.learning(encoder=ResNetConfig(width=16))
    with pytest.raises(UserError, match="--init .* holds the encoder"):
        pretrain(wide, [shards], tmp_path / "c", device="cpu", init=old)


def test_subjects_can_be_recognised_and_pretraining_starts_there(shards: Path, tmp_path: Path):
    """Supervised initialisation, as the paper's MS1M baseline: recognise people first."""
    pretrain(BYOL, [shards], tmp_path / "a", device="cpu", steps=1)
    small = ["--steps", "2", "--batch-size", "4", "--workers", "0", "--device", "cpu", "--num-frames", "1"]
    args = ["--init", str(tmp_path / "a"), "--data", str(shards), "--target", "subject", "--out", str(tmp_path / "b")]
    assert run(["finetune", "classify", *args, *small]) == 0
    assert load(tmp_path / "b").config.spec.names == ("s0", "s1", "s2")
    pretrain(WARPING, [shards], tmp_path / "c", device="cpu", steps=1, init=str(tmp_path / "b"))
    assert load(tmp_path / "c").provenance.init == load(tmp_path / "b").hash


def watch(learner: Any, shards: Path) -> Callable[[], dict[str, float]]:
    folder = Shards(shards)
    found = monitors.collapse_monitor(learner.eval(), [folder], [folder.manifest.ok()], Inference(4))
    assert found is not None
    return lambda: found(learner)


def test_a_healthy_run_is_not_warned_about(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "run"
    slow = replace(BYOL, optim=replace(OPTIM, lr=1.0), train=replace(TRAIN, steps=30, batch_size=9, evaluate_every=15))
    pretrain(slow, [shards], out, device="cpu")
    assert "collapsed" not in capsys.readouterr().err
    assert log(out, "projection_std")[30] > 0.5
    assert log(out, "effective_rank")[30] > 3


def test_a_collapsed_one_is_warned_about_once(shards: Path, capsys: pytest.CaptureFixture[str]):
    torch.manual_seed(0)
    learner: Any = BYOL.learner.build()
    with torch.no_grad():  # every picture becomes the same
        next(learner.encoder.parameters()).zero_()
    look = watch(learner, shards)
    values = look()
    assert look() == values
    assert values["projection_std"] < 0.01
    assert values["effective_rank"] == 0
    assert not capsys.readouterr().err  # one look, twice
    with torch.no_grad():
        next(learner.predictor.parameters()).add_(1e-3)
    assert look() == look() == values
    with torch.no_grad():
        next(learner.predictor.parameters()).add_(1e-3)
    look()
    assert capsys.readouterr().err.count("warning: the features have collapsed") == 1


def test_labels_are_asked_for_where_there_are_some(shards: Path):
    values = watch(BYOL.learner.build(), shards)()
    assert 0 <= values["knn_accuracy"] <= 1
    assert values["knn_chance"] == 0.5
    vectors = np.random.default_rng(0).normal(size=(6, 4))
    alone = monitors.scores(vectors, vectors, ["a", None, "b", "a", None, "b"], ["p"] * 6)
    assert "knn_accuracy" not in alone  # one person: nobody to ask


def on(crops: list[Geometry], shards: Path) -> TrainingData:
    """Clips that were cropped in these ways, a folder for each."""
    folders = tuple(Shards(shards) for _ in crops)
    for folder, geometry in zip(folders, crops, strict=True):
        folder.contract = replace(folder.contract, geometry=geometry)
    return TrainingData(folders, tuple(folder.manifest for folder in folders))


def test_warps_follow_the_crops(shards: Path):
    face, wide, box = Geometry(), Geometry(margin=0.25), Geometry(crop="box")
    auto = Warp()

    def warp_of(warp: Warp, crops: list[Geometry]) -> Warp:
        return WARPING.learning(warp=warp).learner.fitted(on(crops, shards)).warp  # type: ignore[union-attr]

    assert warp_of(auto, [wide, wide]) == replace(auto, layout="face", margin=0.25)
    assert warp_of(auto, [box]).layout == "grid"
    assert warp_of(auto, [face, wide]).layout == "grid"
    asked = Warp(layout="face", margin=0.1)
    assert warp_of(asked, [box]) is asked
    seen = replace(CLIP, frame_period_s=1 / 25)
    assert BYOL.method.fitted(on([box], shards)) == BYOL.learning(clip=seen).learner


@pytest.mark.parametrize("name", index(("contrastive",)))
def test_every_recipe_builds(name):
    experiment = recipe(name)
    with torch.device("meta"):
        learner = experiment.method.build()
    assert experiment.name == name
    assert learner.encoder is not None
    assert experiment.method.clip.size in (64, 96, 224)
