"""Single frames as training items: which of them an epoch has, how often, and that they are the frames they say they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from mien.contract import CropContract, Store
from mien.data.dataset import ClipSet
from mien.data.frames import FrameSampling, FrameSet, class_counts, frame_numbers, repeats
from mien.data.loader import ClipLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, Shards, ShardWriter, write_contract
from mien.data.view import View
from mien.errors import UserError
from mien.transforms.clip import Augment
from tests.conftest import draw_clip

GAP = 40  # after this many frames of a video ten have no face
COUNTS = (120, 70)
VIEWS = {"clip": View(1, 1, "train", Augment(size=16), frame_targets=("mood",))}


def labels_of(video: int, count: int) -> np.ndarray:
    """Mostly 0, some 1, few 2; every seventh frame is not annotated."""
    k = np.arange(count)
    mood = np.where(k % 5 == 0, 1.0, 0.0)
    mood[k % 40 == 2 + video] = 2
    mood[k % 7 == 6] = np.nan
    return mood


def write(root: Path) -> Path:
    """Two videos of 120 and 70 frames; the first is two rows."""
    (root / "shards").mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    with ShardWriter(root / "shards" / "a.arrow", ("mood",)) as writer:
        for video, count in enumerate(COUNTS):
            drawn = draw_clip(rng, 0, count, 16)
            # the red mean of a frame tells its number
            drawn[:] = 20 + 1.5 * np.arange(count)[:, None, None, None]
            number = np.arange(count) + 10 * (np.arange(count) >= GAP)
            for segment, part in enumerate(np.array_split(np.arange(count), 2 - video)):
                blank = np.zeros((len(part), 10), np.float32)
                jpegs = [simplejpeg.encode_jpeg(drawn[k], 95, "RGB", "444") for k in part]
                clip_id, mood = f"v{video}.mp4/0/{segment}", labels_of(video, count)[part].astype(np.float32)
                row = ShardRow(
                    clip_id, jpegs, number[part] / 30, blank[:, :4], blank, blank[:, 0], targets={"mood": mood}
                )
                rows.append({"clip_id": clip_id, "source": f"v{video}.mp4", "track": 0, "segment": segment, "fps": 30.0,
                             "num_frames": len(part), "status": "ok", "shard": "a.arrow", "row": writer.add(row)})  # fmt: skip
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=16)))
    return root


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return ClipSet(Shards(write(tmp_path_factory.mktemp("frames") / "s")))


def frames(clips: ClipSet, **fields) -> FrameSet:
    return FrameSet(clips, ("mood",), FrameSampling(**fields), 0, 3)


def test_items_are_the_annotated_frames(clips: ClipSet):
    items = frames(clips)
    moods = np.concatenate([labels_of(v, n) for v, n in enumerate(COUNTS)])
    assert len(items) == np.isfinite(moods).sum()
    np.testing.assert_array_equal(items.labels, moods[np.isfinite(moods)])
    np.testing.assert_array_equal(class_counts(clips, "mood", 3), np.bincount(moods[np.isfinite(moods)].astype(int)))
    assert items.clip_ids[0] == "v0.mp4/0/0, frame 0"
    clip = items[len(items) - 1]
    assert (len(clip), clip.target("mood").tolist()) == (1, [0.0])


def test_numbers_count_frames_without_a_face(clips: ClipSet):
    assert frame_numbers(clips[0])[[0, GAP - 1, GAP]].tolist() == [0, GAP - 1, GAP + 10]
    assert frame_numbers(clips[1])[0] == 60 + 10  # the second half of the video goes on


def test_one_in_ten_by_a_remainder_of_each_video(clips: ClipSet):
    items = frames(clips, oversample=0.0)
    seen = set()
    for epoch in range(60):
        kept = np.sort(items._listed(epoch))
        for rows in ((0, 1), (2,)):
            number = [int(frame_numbers(clips[r])[k]) for r, k in map(items.where, kept.tolist()) if r in rows]
            assert len({n % 10 for n in number}) == 1
            seen.add(number[0] % 10)
        assert len(items.order(epoch)) == len(items.order(0))
        assert set(items.order(epoch)) <= set(kept)
    assert seen == set(range(1, 10))


def test_fixed_is_drawn_once_and_all_is_all(clips: ClipSet):
    fixed = frames(clips, redraw=False)
    assert set(fixed.order(0)) == set(fixed.order(1))
    assert fixed.order(0).tolist() != fixed.order(1).tolist()
    everything = frames(clips, one_in=1, oversample=0.0)
    assert sorted(everything.order(3)) == list(range(len(everything)))
    assert np.array_equal(everything.order(3), frames(clips, one_in=1, oversample=0.0).order(3))


def test_the_oversampling_rule_by_hand(clips: ClipSet):
    """Shares 0.8, 0.15, 0.05 and 0.001: sqrt(0.15 / 0.05) = 1.73, sqrt(150) = 12.2."""
    assert repeats(np.array([8000, 1500, 500]), 0.15).tolist() == [1, 1, 2]
    assert repeats(np.array([9990, 10, 0]), 0.15).tolist() == [1, 13, 1]
    assert repeats(np.array([1, 99]), 0.0).tolist() == [1, 1]
    items = frames(clips, one_in=1)
    counts = class_counts(clips, "mood", 3)
    listed = np.bincount(items.labels[items.order(0)])
    assert listed.tolist() == (counts * repeats(counts, 0.15)).tolist()
    assert listed[2] > counts[2]


def test_batches_hold_the_frames_and_their_classes(clips: ClipSet):
    items = frames(clips)
    loader = ClipLoader(items, VIEWS, 4, seed=0, workers=0, order=items.order)
    drawn = []
    for batch in loader.batches(0, 6):
        ready = prepare_batch(batch, VIEWS, "cpu")
        assert ready["clip"].shape == (4, 3, 1, 16, 16)
        assert ready["values"].flatten().tolist() == items.labels[batch["index"].numpy()].tolist()
        for index, frame in zip(batch["index"].tolist(), batch["clip"]["frames"], strict=True):
            row, k = items.where(index)
            number = k + (60 if row == 1 else 0)
            assert frame.float().mean().item() == pytest.approx(20 + 1.5 * number, abs=1.5)
            drawn.append(index)
    epoch = items.order(0)[: len(items.order(0)) // 4 * 4]  # what does not fill a batch is dropped
    assert drawn[: len(epoch)] == epoch.tolist()


def test_without_annotation_is_one_line(clips: ClipSet):
    with pytest.raises(UserError, match="no per-frame target 'joy' in the shards; there are: mood"):
        FrameSet(clips, ("joy",), FrameSampling(), 0, 3)
    with pytest.raises(UserError, match="--one-in 0"):
        FrameSampling(one_in=0)
