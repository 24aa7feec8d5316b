"""A video as a model sees it, against shards made of the same video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.contract import CropContract, Store
from mien.corpora.synthetic import SynthConfig, write_clips
from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.loader import EvalLoader, prepare_batch
from mien.data.shards import Shards
from mien.data.view import View
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.faces.options import PrepareConfig
from mien.faces.pipeline import prepare
from mien.models import Model, Provenance, load, save_model
from mien.tasks.classify import ClassifyConfig
from mien.transforms.clip import ClipSpec

CONTRACT = CropContract(store=Store(size=48))
SPEC = LabelSpec(("a", "b"), clip=ClipSpec(8, 2, 1 / 30, 32), contract=CONTRACT)
CONFIG = ClassifyConfig(SPEC, TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_clips(folder, SynthConfig(clips=1, subjects=1, frames=40, size=128), 1)
    return next((folder / "clips").glob("*.mp4"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, CONFIG.build(), CONFIG, Provenance((CONTRACT,)))
    return load(folder)


@pytest.mark.parametrize("period_s", [1 / 30, 1 / 15])
def test_the_clips_are_those_of_evaluation(video: Path, model: Model, tmp_path: Path, period_s: float):
    clip = replace(SPEC.clip, frame_period_s=period_s)
    found = replace(model.clip, spec=clip).read(video)
    prepare([video], tmp_path, PrepareConfig(CONTRACT, audio=False), workers=0)
    view = View(8, 2, "test", clip.plain(), frame_period_s=period_s if period_s > 1 / 20 else None)
    (batch,) = EvalLoader(ClipSet(Shards(tmp_path)), {"clip": view}, 2, num_views=2)
    assert torch.equal(found, prepare_batch(batch, {"clip": view}, "cpu")["clip"])
    assert found.shape == (2, 3, 8, 32, 32)


def test_three_lines_from_a_video_to_features(video: Path, model: Model):
    clips = model.clip.read(video, views=3)
    assert model.features(clips).shape == (3, 16)
    torch.testing.assert_close(model.predict(clips), model(clips).softmax(-1))


def test_a_wrong_clip_says_what_is_wanted(model: Model):
    for shape in ((3, 8, 32, 32), (1, 1, 8, 32, 32), (1, 3, 8, 32, 48), (1, 3, 3, 32, 32)):
        with pytest.raises(UserError, match=r"received a tensor .*, wanted \[clips, 3, 8 frames, 32, 32\]"):
            model.features(torch.zeros(shape))


def test_what_is_no_video_is_one_clear_line(model: Model, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(UserError, match="a.mp4"):
        model.clip.read(tmp_path / "a.mp4")
    with pytest.raises(UserError, match=r"b.mp4"):
        model.clip.read(tmp_path / "b.mp4")
    with pytest.raises(UserError, match="is a folder: give one video"):
        model.clip.read(tmp_path)
    with pytest.raises(UserError, match="views=0: give 1 or more"):
        model.clip.read(tmp_path / "a.mp4", views=0)
