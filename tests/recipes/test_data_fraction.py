"""Parts of the pre-training set, and what a pre-training model remembers of its clips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mien.cli.reconstruct import main
from mien.data.shards import Shards
from mien.encoders.tpsbt import TPSBTConfig
from mien.methods.svfap import SVFAPConfig
from mien.models import load_folder
from mien.predict.strips import clips_of_video
from mien.recipes.experiment import PretrainRecipe
from mien.recipes.pretrain import data_fraction, frame_period_s, lengths, pretrain
from mien.train.loop import TrainConfig
from mien.types import UserError
from tests.predict.helpers import READY, every, write_video

METHOD = SVFAPConfig(
    TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2), 0.5, num_frames=8, stride=2, size=32,
    decoder_dim=16, decoder_depth=1, decoder_heads=2,
)  # fmt: skip
RECIPE = PretrainRecipe("test", METHOD, train=TrainConfig(batch_size=2, steps=1, workers=0))


def test_parts_are_nested_and_depend_on_the_seed_alone(shards: Path):
    rows = Shards(shards).manifest
    part = {f: data_fraction([rows, rows], f, 0) for f in (0.01, 0.25, 0.5, 1.0)}
    ids = {f: [set(m.column("clip_id")) for m in ms] for f, ms in part.items()}
    assert [[len(s) for s in ids[f]] for f in part] == [[1, 1], [3, 3], [6, 6], [12, 12]]
    for k in (0, 1):
        assert ids[0.01][k] < ids[0.25][k] < ids[0.5][k] < ids[1.0][k]
    assert [m.column("clip_id") for m in data_fraction([rows, rows], 0.5, 0)] == [
        m.column("clip_id") for m in part[0.5]
    ]
    assert [set(m.column("clip_id")) for m in data_fraction([rows], 0.5, 1)] != ids[0.5][:1]
    for wrong in (0.0, 1.5, -1):
        with pytest.raises(UserError, match="--data-fraction"):
            data_fraction([rows], wrong, 0)


def test_a_run_records_its_part_and_the_frame_period(tmp_path: Path, shards: Path):
    folder = load_folder(pretrain(RECIPE, [shards], tmp_path / "half", "cpu", fraction=0.5))
    resolved = json.loads((tmp_path / "half" / "experiment.json").read_text())["resolved"]
    assert (resolved["data"]["clips"], resolved["data"]["data_fraction"]) == (4, 0.5)  # nine clips are for training
    assert folder.provenance.frame_period_s == pytest.approx(1 / 25)
    assert frame_period_s([Shards(shards).manifest]) == pytest.approx(1 / 25)
    with pytest.raises(UserError, match=r"data_fraction: 0\.5 there"):
        pretrain(RECIPE, [shards], tmp_path / "half", "cpu")


def test_clips_of_a_video_follow_the_recorded_period(tmp_path: Path):
    video, model = write_video(tmp_path / "v.mp4", every(0.05, 120)), replace(METHOD).build().eval()
    near, far = (clips_of_video(video, model, READY, 1, 0, period)[0].frames for period in (0.05, 0.2))
    assert abs(near[-1].astype(int) - near[0]).mean() != abs(far[-1].astype(int) - far[0]).mean()
    assumed, thirty = (clips_of_video(video, model, READY, 1, 0, period)[0].frames for period in (None, 1 / 30))
    assert (assumed == thirty).all()


def test_a_ratio_that_hides_nothing_is_one_line(tmp_path: Path, shards: Path):
    pretrain(RECIPE, [shards], tmp_path / "run", "cpu")
    arguments = [str(shards), "--model", str(tmp_path / "run"), "--out", str(tmp_path / "s.png")]
    with pytest.raises(UserError, match=r"--mask-ratio 0\.0"):
        main([*arguments, "--mask-ratio", "0"])


def test_clips_drawn_by_length(shards: Path, tmp_path: Path):
    rows = Shards(shards).manifest
    assert lengths([rows, rows.take([0])]).tolist() == [*rows.column("num_frames"), rows.column("num_frames")[0]]
    pretrain(RECIPE, [shards], tmp_path / "run", "cpu", by_length=True)
    assert "by_length" in (tmp_path / "run" / "experiment.json").read_text()
