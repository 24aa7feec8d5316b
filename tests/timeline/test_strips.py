"""Film strips: `pytest tests/timeline/test_strips.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.data.shards import Shards
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.methods.svfap import SVFAP, SVFAPConfig
from mien.models import Provenance, save_model
from mien.timeline.strips import StripClip, as_reconstructor, clips_of_shards, clips_of_video, draw_strips, reconstruct
from mien.transforms.clip import ClipSpec
from mien.verbs.reconstruct import main
from tests.conftest import write_shards
from tests.timeline.helpers import READY, classifier, every, write_video


@pytest.fixture(scope="module")
def model() -> SVFAP:
    torch.manual_seed(0)
    encoder = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2, tube=(2, 8, 8))
    config = SVFAPConfig(
        encoder, ClipSpec(num_frames=8, stride=2, size=32), 0.75, decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    return config.build().eval()


def test_rows_show_the_clip_its_visible_part_and_the_guess(model: SVFAP):
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    original, masked, filled = reconstruct(model, [StripClip(frames, "")], None, seed=0)[0].values()
    np.testing.assert_allclose(original.astype(int), frames, atol=1)
    hidden = (masked == 128).all(axis=(0, 3))
    assert hidden.mean() == 0.75
    np.testing.assert_array_equal(masked[:, ~hidden], original[:, ~hidden])
    np.testing.assert_array_equal(filled[:, ~hidden], original[:, ~hidden])
    assert (filled[:, hidden] != original[:, hidden]).mean() > 0.5


def test_the_ratio_is_the_users(model: SVFAP):
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    masked = reconstruct(model, [StripClip(frames, "")], 0.5, seed=0)[0]["masked"]
    assert (masked == 128).mean() == 0.5
    for ratio in (0.0, 1.0):
        with pytest.raises(UserError, match="--mask-ratio"):
            reconstruct(model, [StripClip(frames, "")], ratio, seed=0)


def test_clips_of_a_video_are_drawn_from_all_of_it(tmp_path: Path, model: SVFAP):
    video = write_video(tmp_path / "v.mp4", every(0.05, 120))
    clips = clips_of_video(video, model, READY, 3, seed=0)
    times = [float(c.title.split(", ")[-1].removesuffix(" s")) for c in clips]
    assert times == sorted(times)
    assert len(set(times)) == 3
    assert times != [
        float(c.title.split(", ")[-1].removesuffix(" s")) for c in clips_of_video(video, model, READY, 3, seed=1)
    ]
    assert clips[0].frames.shape == (8, 32, 32, 3)


def test_the_picture_from_shards(tmp_path: Path, model: SVFAP, capsys: pytest.CaptureFixture[str]):
    save_model(tmp_path / "run" / "model", model, model.config, Provenance(contracts=(READY,)))
    data = write_shards(tmp_path / "shards")
    out = tmp_path / "new" / "strip.png"
    arguments = [str(tmp_path / "run"), "--data", str(data), "--out", str(out), "--clips", "2", "--frames", "4"]
    assert main(arguments) == 0
    assert "2 clips" in capsys.readouterr().out
    picture = np.asarray(Image.open(out))
    strips = reconstruct(model, clips_of_shards(Shards(data), model, 2, 0), None, 0)
    drawn = np.asarray(draw_strips(strips, ["", ""], 4))
    assert picture.shape == drawn.shape
    first = strips[0]["original"][0]
    found = [
        (y, x)
        for y in range(picture.shape[0] - 32)
        for x in (180,)
        if np.array_equal(picture[y : y + 32, x : x + 32], first)
    ]
    assert len(found) == 1


def test_a_classifier_reconstructs_nothing():
    with pytest.raises(UserError, match="Classifier.*mien pretrain"):
        as_reconstructor("m", classifier())


def test_a_video_without_a_face_or_without_frames_is_the_users_error(tmp_path: Path, model: SVFAP):
    save_model(tmp_path / "model", model, model.config, Provenance(contracts=(READY,)))
    (tmp_path / "v.mp4").write_bytes(b"no video" * 99)
    with pytest.raises(UserError, match=r"v\.mp4"):
        main([str(tmp_path / "model"), "--data", str(tmp_path / "v.mp4"), "--out", str(tmp_path / "s.png")])
    with pytest.raises(UserError, match=r"\.png"):
        main([str(tmp_path / "model"), "--data", str(tmp_path / "v.mp4"), "--out", str(tmp_path / "s.txt")])
