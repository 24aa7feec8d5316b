"""Parts of the pre-training set, and what a pre-training model remembers of its clips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mien.data.parts import lengths, share_of
from mien.data.shards import Shards
from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.learner import TrainingData
from mien.methods.byol import BYOLConfig
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.svfap import SVFAPConfig
from mien.models import Provenance, load, save_model
from mien.timeline.strips import clips_of_video
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import ClipSpec
from mien.transforms.contrastive import Look
from mien.verbs.pretrain import pretrain
from mien.verbs.reconstruct import main
from tests.timeline.helpers import READY, every, write_video

CLIP = ClipSpec(num_frames=8, stride=2, size=32)
METHOD = SVFAPConfig(
    TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2), CLIP, 0.5, decoder_dim=16, decoder_depth=1,
    decoder_heads=2,
)  # fmt: skip
RECIPE = Experiment("test", METHOD, train=TrainConfig(batch_size=2, steps=1, workers=0))


def test_parts_are_nested_and_depend_on_the_seed_alone(shards: Path):
    rows = Shards(shards).manifest
    part = {f: share_of([rows, rows], f, 0) for f in (0.01, 0.25, 0.5, 1.0)}
    ids = {f: [set(m.column("clip_id")) for m in ms] for f, ms in part.items()}
    assert [[len(s) for s in ids[f]] for f in part] == [[1, 1], [3, 3], [6, 6], [12, 12]]
    for k in (0, 1):
        assert ids[0.01][k] < ids[0.25][k] < ids[0.5][k] < ids[1.0][k]
    assert [m.column("clip_id") for m in share_of([rows, rows], 0.5, 0)] == [m.column("clip_id") for m in part[0.5]]
    assert [set(m.column("clip_id")) for m in share_of([rows], 0.5, 1)] != ids[0.5][:1]
    for wrong in (0.0, 1.5, -1):
        with pytest.raises(UserError, match="--data-fraction"):
            share_of([rows], wrong, 0)


def test_a_run_records_its_part_and_the_frame_period(tmp_path: Path, shards: Path):
    folder = pretrain(RECIPE, [shards], tmp_path / "half", device="cpu", data_fraction=0.5)
    resolved = json.loads((tmp_path / "half" / "experiment.json").read_text())["resolved"]
    assert (resolved["data"]["clips"], resolved["data"]["data_fraction"]) == (4, 0.5)  # nine clips are for training
    assert folder.config.clip.frame_period_s == pytest.approx(1 / 25)
    assert TrainingData((Shards(shards),), (Shards(shards).manifest,)).fps == pytest.approx(25)
    with pytest.raises(UserError, match=r"data_fraction: 0\.5 there"):
        pretrain(RECIPE, [shards], tmp_path / "half", device="cpu")


STILL = TrainConfig(batch_size=2, steps=1, workers=0)
REGIONS = MAEDFERConfig(
    LGIFormerConfig(dim=16, num_heads=2, depth=1, region=(2, 1, 2), grid=(4, 2, 2)), CLIP, 0.5, decoder_dim=16,
    decoder_depth=1, decoder_heads=2, decoder_order="region",
)  # fmt: skip


LOOK = Look()
SIAMESE = BYOLConfig(
    ResNetConfig(width=4), ClipSpec(1, 1, size=32), first=LOOK, second=LOOK, projector_hidden=16, projection=8,
    predictor_hidden=16,
)  # fmt: skip


@pytest.mark.parametrize("method", [METHOD, REGIONS, SIAMESE], ids=["svfap", "mae-dfer", "byol"])
def test_a_model_of_the_same_method_goes_on_whole(method: Any, tmp_path: Path, shards: Path, capsys):
    torch.manual_seed(7)
    before = tmp_path / "before"
    save_model(before, method.build(), method, Provenance())
    still = OptimConfig(lr=0.0, min_lr=0.0)
    # A recipe knows of no published order; the weights do.
    recipe = Experiment("test", replace(method, decoder_order="raster") if method is REGIONS else method, still, STILL)
    after = pretrain(recipe, [shards], tmp_path / "after", device="cpu", init=str(before))
    old, new = dict(load(before).module.named_parameters()), dict(after.module.named_parameters())
    moved = {name for name in old if not torch.allclose(old[name], new[name], atol=1e-6)}
    assert not moved
    assert after.config == replace(method, clip=replace(method.clip, frame_period_s=1 / 25))
    said = capsys.readouterr().err
    assert "goes on from" in said
    assert ("decoder in region order" in said) == (method is REGIONS)


def test_a_model_of_another_shape_lends_its_encoder(tmp_path: Path, shards: Path, capsys):
    before = tmp_path / "before"
    save_model(before, METHOD.build(), METHOD, Provenance())
    deeper = replace(RECIPE.learning(decoder_depth=2), optim=OptimConfig(lr=0.0, min_lr=0.0), train=STILL)
    after = pretrain(deeper, [shards], tmp_path / "after", device="cpu", init=str(before))
    old, new = (dict(f.module.encoder.named_parameters()) for f in (load(before), after))  # type: ignore[union-attr]
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert "everything else is new" in capsys.readouterr().err


def seeing(period_s: float | None) -> Any:
    """A model that was trained on frames so far apart."""
    return replace(METHOD, clip=replace(CLIP, frame_period_s=period_s)).build().eval()


def test_clips_of_a_video_follow_the_recorded_period(tmp_path: Path):
    video = write_video(tmp_path / "v.mp4", every(0.05, 120))
    near, far = (clips_of_video(video, seeing(period), READY, 1, 0)[0].frames for period in (0.05, 0.2))
    assert abs(near[-1].astype(int) - near[0]).mean() != abs(far[-1].astype(int) - far[0]).mean()
    assumed, thirty = (clips_of_video(video, seeing(period), READY, 1, 0)[0].frames for period in (None, 1 / 30))
    assert (assumed == thirty).all()


def test_whole_clips_are_preferred_to_those_at_the_ends(tmp_path: Path):
    video, model = write_video(tmp_path / "v.mp4", every(0.05, 60)), seeing(0.05)
    whole = 7 * CLIP.stride * 0.05 / 2  # half a clip of eight frames
    for seed in range(8):
        title = clips_of_video(video, model, READY, 1, seed)[0].title
        time_s = float(title.split()[-2])
        assert whole - 0.06 <= time_s <= 59 * 0.05 - whole + 0.06, title
    short = write_video(tmp_path / "short.mp4", every(0.05, 5))
    assert len(clips_of_video(short, model, READY, 1, 0)) == 1


def test_a_ratio_that_hides_nothing_is_one_line(tmp_path: Path, shards: Path):
    pretrain(RECIPE, [shards], tmp_path / "run", device="cpu")
    arguments = [str(tmp_path / "run"), "--data", str(shards), "--out", str(tmp_path / "s.png")]
    with pytest.raises(UserError, match=r"--mask-ratio 0\.0"):
        main([*arguments, "--mask-ratio", "0"])


def test_clips_drawn_by_length(shards: Path, tmp_path: Path):
    rows = Shards(shards).manifest
    assert lengths([rows, rows.take([0])]).tolist() == [*rows.column("num_frames"), rows.column("num_frames")[0]]
    pretrain(RECIPE, [shards], tmp_path / "run", device="cpu", by_length=True)
    assert "by_length" in (tmp_path / "run" / "experiment.json").read_text()
