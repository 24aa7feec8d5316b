"""Rows joined to stretches, segments drawn from them, targets at the right times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch

from mien.data.loader import ClipLoader, prepare_batch
from mien.data.segments import (
    SegmentSet,
    SegmentView,
    StretchSet,
    frame_values,
    pixel_statistics,
    stretches,
    targets_at,
)
from mien.data.shards import Shards
from mien.transforms.sequence import SequenceTransform
from tests.data.tracks import FPS, SIZE, write_tracks


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """a: 40 frames in two rows, then a gap of 2 s and 10 more; b: 12 frames."""
    return write_tracks(tmp_path, {"a.mp4": [(0.0, 30), (1.2, 10), (3.6, 10)], "b.mp4": [(0.0, 12)]})


def view(**fields) -> SegmentView:
    augment = SequenceTransform(size=SIZE, mean=(0.0,), std=(1.0,), num_frames=fields["num_frames"])
    common = {
        "stride": 1,
        "policy": "pretrain",
        "augment": augment,
        "frame_period_s": 1 / FPS,
        "frame_targets": ("valence",),
    }
    return SegmentView(**(common | fields))


def levels(clip: torch.Tensor) -> np.ndarray:
    """Number in the video of each frame [B, T]."""
    return ((clip[:, 0].mean((2, 3)) * 255 - 20) / 2).round().int().numpy()


def test_rows_are_joined_but_not_across_a_gap(shards):
    assert stretches(shards.manifest) == [[0, 1], [2], [3]]
    clips = StretchSet(shards, shards.manifest)
    assert [len(clips[i]) for i in range(3)] == [40, 10, 12]
    assert clips.clip_ids == ["a.mp4/0/0", "a.mp4/0/2", "b.mp4/0/0"]
    np.testing.assert_allclose(clips[0].numbers("times_s"), np.arange(40) / FPS)
    np.testing.assert_allclose(clips[0].target("valence"), np.arange(40) / FPS / 10, atol=1e-6)
    for k in (0, 29, 30, 39):  # around the seam
        assert abs(int(simplejpeg.decode_jpeg(clips[0].jpeg(k), "GRAY").mean()) - (20 + 2 * k)) <= 1
    assert len(frame_values(clips, ("valence",))) == 62


def test_an_epoch_has_as_many_frames_as_the_data(shards):
    assert [c.partition("/")[0] for c in SegmentSet(shards, shards.manifest, 15 / FPS).clip_ids] == ["a.mp4"] * 4 + [
        "b.mp4"
    ]


def test_segments_cross_rows_with_their_own_targets(shards):
    clips = SegmentSet(shards, shards.manifest.take([0, 1]), 20 / FPS)
    views = {"clip": view(num_frames=20)}
    loader = ClipLoader(clips, views, 2, seed=0, workers=0)
    crossed = 0
    for batch in loader.batches(0, 12):
        ready = prepare_batch(batch, views, "cpu")
        places = levels(ready["clip"])
        np.testing.assert_array_equal(np.diff(places, axis=1), 1)  # frame after frame, over the seam too
        np.testing.assert_allclose(ready["values"][..., 0], places / FPS / 10, atol=1e-5)
        crossed += int(((places[:, 0] < 30) & (places[:, -1] >= 30)).sum())
    assert crossed > 5


def test_repeated_last_frames_have_no_target(shards):
    clips = SegmentSet(shards, shards.manifest.take([3]), 1.0)
    looked = view(num_frames=20)
    picked = looked.indices(clips[0], np.random.default_rng(0))
    assert picked.tolist() == [*range(12), *[11] * 8]
    found = looked.targets(clips[0], picked)[:, 0]
    np.testing.assert_allclose(found[:12], np.arange(12) / FPS / 10, atol=1e-6)
    assert np.isnan(found[12:]).all()


def test_the_delay_of_raters_is_taken_off(shards):
    clip = StretchSet(shards, shards.manifest)[0]
    looked = view(num_frames=10, delay_s=0.4)
    positions = np.arange(25, 35)
    found = looked.targets(clip, positions)[:, 0]
    np.testing.assert_allclose(found[:5], (np.arange(25, 30) + 10) / FPS / 10, atol=1e-6)
    assert np.isnan(found[5:]).all()  # nobody has rated these frames yet when the annotation ends
    assert targets_at(clip, ("valence",), np.array([0.0, 1.56, 1.57, 1.62]))[:, 0].tolist()[1:3] == pytest.approx(
        [0.156] * 2
    )
    assert np.isnan(targets_at(clip, ("valence",), np.array([1.62]))).all()


def test_nothing_is_known_before_the_annotation_begins_either(shards):
    clips = StretchSet(shards, shards.manifest)
    early = view(num_frames=10, delay_s=-0.2).targets(clips[0], np.arange(10))[:, 0]
    assert np.isnan(early[:5]).all()
    np.testing.assert_allclose(early[5:], np.arange(5) / FPS / 10, atol=1e-6)
    assert np.isfinite(frame_values(clips, ("valence",), 60.0)).sum() == 0


def test_a_faster_video_is_seen_at_the_models_rate(tmp_path: Path):
    shards = write_tracks(tmp_path, {"fast.mp4": [(0.0, 60)]}, fps=50)
    clip = StretchSet(shards, shards.manifest)[0]
    looked = view(num_frames=25)
    picked = looked.indices(clip, np.random.default_rng(0))
    np.testing.assert_array_equal(np.diff(picked), 2)
    np.testing.assert_allclose(looked.targets(clip, picked)[:, 0], picked / 50 / 10, atol=1e-6)


def test_pixel_statistics_against_numpy(shards):
    clips = StretchSet(shards, shards.manifest)
    mean, std = pixel_statistics(clips, True, 0)
    every = [simplejpeg.decode_jpeg(clips[i].jpeg(k), "GRAY") for i in range(3) for k in range(len(clips[i]))]
    assert mean == pytest.approx([np.mean(every) / 255], rel=1e-6)
    assert std == pytest.approx([np.std(every) / 255], rel=1e-4)
    some, _ = pixel_statistics(clips, True, 0, num_frames=40)
    assert some == pytest.approx(mean, rel=0.3)
    assert some != mean
