"""The loader: batches by step, the same for any start, worker count and split over ranks; broken frames; evaluation."""

import shutil
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg
import torch

from mien.data.dataset import ClipSet
from mien.data.loader import ClipLoader, EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, Shards, ShardWriter
from mien.data.view import View
from mien.errors import UserError
from mien.layers.mask import TubeMask
from mien.transforms.clip import Augment
from tests.conftest import write_shards

VIEWS = {
    "clip": View(4, 2, "pretrain", Augment(size=32, crop="multi_scale"), TubeMask(2, 2, 0.5)),
    "local": View(2, 1, "train", Augment(size=16, crop="random_resized", flip=0.5, randaugment=True, erase=0.5)),
}


@pytest.fixture(scope="module")
def clips(shards):
    return ClipSet(Shards(shards))


def loader(clips, batch_size=4, **kwargs):
    return ClipLoader(clips, VIEWS, batch_size, seed=3, **kwargs)


def flat(batch):
    """Every tensor of a batch by path."""
    out = {}
    for key, value in batch.items():
        out |= {f"{key}/{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return out


def assert_same(left, right):
    left, right = flat(left), flat(right)
    assert left.keys() == right.keys()
    for key, value in left.items():
        assert torch.equal(value, right[key]), key


@pytest.mark.parametrize("workers", [0, 2])
def test_any_start_gives_what_an_uninterrupted_run_had(clips, workers):
    whole = list(loader(clips, workers=workers).batches(0, 7))
    assert len(whole) == 7
    for start in (0, 2, 5):  # three steps an epoch: within, and over the end of one
        for step, batch in enumerate(loader(clips, workers=0).batches(start, 7 - start), start):
            assert_same(batch, whole[step])


def test_batch_holds_what_the_views_asked_for(clips):
    labels = np.arange(len(clips)) * 10
    batch = next(loader(clips, targets={"label": labels}).batches())
    assert batch["clip"]["frames"].shape == (4, 4, 32, 32, 3)
    assert batch["clip"]["frames"].dtype == torch.uint8
    assert batch["clip"]["keep"].shape == (4, 2)
    assert batch["local"]["frames"].shape == (4, 2, 32, 32, 3)
    assert torch.equal(batch["label"], batch["index"] * 10)
    ready = prepare_batch(batch, VIEWS, "cpu")
    assert ready["clip"].shape == (4, 3, 4, 32, 32)
    assert ready["local"].shape == (4, 3, 2, 16, 16)
    assert torch.equal(ready["keep"], batch["clip"]["keep"])
    assert torch.equal(ready["label"], batch["label"])


def test_frames_are_the_stored_ones(clips):
    views = {"clip": View(3, 1, "test")}
    batch = next(iter(EvalLoader(clips, views, 2)))
    for b in range(2):
        for t, k in enumerate((8, 9, 10)):  # the middle three of 20
            wanted = simplejpeg.decode_jpeg(bytes(clips[b].jpeg(k)))
            np.testing.assert_array_equal(batch["clip"]["frames"][b, t].numpy(), wanted)


def test_grey_views_decode_the_luma_alone(clips):
    views = {"clip": View(3, 1, "test", Augment(size=32, grey=True, mean=(0.5,), std=(0.5,)))}
    batch = next(iter(EvalLoader(clips, views, 2)))
    wanted = simplejpeg.decode_jpeg(bytes(clips[0].jpeg(8)), "GRAY")
    np.testing.assert_array_equal(batch["clip"]["frames"][0, 0].numpy(), wanted)
    assert prepare_batch(batch, views, "cpu")["clip"].shape == (2, 1, 3, 32, 32)


def test_an_epoch_sees_every_clip_once_and_epochs_differ(clips):
    rows = [b["index"].tolist() for b in loader(clips).batches(0, 6)]
    first, second = sum(rows[:3], []), sum(rows[3:], [])
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    frames = {tuple(b["clip"]["box"].flatten().tolist()) for b in loader(clips).batches(0, 6)}
    assert len(frames) == 6


def test_two_ranks_see_the_samples_of_one(clips):
    one = list(loader(clips, 4).batches(0, 5))
    two = [list(loader(clips, 2, rank=r, world=2).batches(0, 5)) for r in range(2)]
    for step, batch in enumerate(one):
        left, right = flat(two[0][step]), flat(two[1][step])
        for key, value in flat(batch).items():
            assert torch.equal(value, torch.cat([left[key], right[key]])), key


def test_micro_batches_are_the_parts_of_a_global_batch(clips):
    whole = [[s.index for s in loader(clips, 10).samples(step)] for step in range(3)]
    parts = [[s.index for s in loader(clips, 5, accumulate=2).samples(step)] for step in range(6)]
    assert [parts[k] + parts[k + 1] for k in (0, 2, 4)] == whole


def test_the_rest_of_an_epoch_is_dropped(clips):
    rows = [b["index"].tolist() for b in loader(clips, 5).batches(0, 4)]
    assert len(set(rows[0] + rows[1])) == len(set(rows[2] + rows[3])) == 10


def test_data_smaller_than_a_batch_is_chained(clips):
    few = ClipSet(clips.shards[0], clips.shards[0].manifest.take(range(3)))
    rows = sum((b["index"].tolist() for b in loader(few, 4).batches(0, 3)), [])
    assert [sorted(rows[k : k + 3]) for k in range(0, 12, 3)] == [[0, 1, 2]] * 4
    samples = loader(few, 4).samples(0)
    assert [s.epoch for s in samples] == [0, 0, 0, 1]


def test_evaluation_goes_through_rows_and_views_in_order(clips):
    views = {"clip": View(4, 2, "test")}
    batches = list(EvalLoader(clips, views, 5, num_views=2))
    assert len(batches) == len(EvalLoader(clips, views, 5, num_views=2)) == 5
    assert torch.cat([b["index"] for b in batches]).tolist() == [i for i in range(12) for _ in range(2)]
    assert torch.cat([b["view_idx"] for b in batches]).tolist() == [0, 1] * 12
    ranks = [list(EvalLoader(clips, views, 5, num_views=2, rank=r, world=2)) for r in range(2)]
    assert torch.cat([b["index"] for b in ranks[1]]).tolist() == list(range(12))
    assert torch.cat([b["view_idx"] for b in ranks[1]]).tolist() == [1] * 12


def broken_copy(shards: Path, root: Path, broken: dict[int, set[int]]) -> Shards:
    """The shards again, with frames (by row) cut off in the middle."""
    root.mkdir()
    shutil.copytree(shards, root, dirs_exist_ok=True)
    source = Shards(shards)
    with ShardWriter(root / "shards" / "a.arrow") as writer:
        for row in source.manifest.rows():
            clip = source.clip(row["shard"], row["row"])
            whole = [bytes(clip.jpeg(k)) for k in range(len(clip))]
            frames = [f[: len(f) // 2] if k in broken.get(row["row"], ()) else f for k, f in enumerate(whole)]
            times, boxes, points, scores = (clip.numbers(c) for c in ("times_s", "boxes", "points", "scores"))
            writer.add(ShardRow(row["clip_id"], frames, times, boxes, points, scores))
    return Shards(root)


def test_a_broken_frame_is_replaced_by_its_neighbour_and_counted(shards, tmp_path):
    clips = ClipSet(broken_copy(shards, tmp_path / "b", {0: {8, 9}}), None)
    few = ClipSet(clips.shards[0], clips.shards[0].manifest.take([0]))
    views = {"clip": View(20, 1, "pretrain")}
    batch = next(ClipLoader(few, views, 1, 0).batches())
    frames = batch["clip"]["frames"][0]
    assert batch["replaced"].tolist() == [2]
    assert torch.equal(frames[8], frames[7])
    assert torch.equal(frames[9], frames[10])
    with pytest.raises(UserError, match=r"'clip0.mp4/0/0', frame 8"):
        list(EvalLoader(few, views, 1))


def test_a_broken_clip_is_replaced_by_the_next_row_with_its_target(shards, tmp_path):
    clips = ClipSet(broken_copy(shards, tmp_path / "b", {4: set(range(20))}))
    whole, batches = ClipLoader(ClipSet(Shards(shards)), VIEWS, 12, 0), ClipLoader(clips, VIEWS, 12, 0)
    labels = np.arange(12)
    batches = ClipLoader(clips, VIEWS, 12, 0, targets={"label": labels})
    wanted, got = (next(x.batches()) for x in (whole, batches))
    place = wanted["index"].tolist().index(4)
    assert got["index"][place] == 5
    assert got["label"][place] == 5
    assert got["replaced"][place] == 6  # frames of both views
    assert got["replaced"].sum() == 6


def test_nothing_to_decode_is_an_error_not_an_endless_search(shards, tmp_path):
    broken = broken_copy(shards, tmp_path / "b", {1: set(range(20)), 2: set(range(1, 20))})
    two = ClipSet(broken, broken.manifest.take([2, 1]))
    assert next(ClipLoader(two, VIEWS, 2, 0).batches())["index"].tolist() == [0, 0]
    with pytest.raises(UserError, match="none of the 1 clips"):
        ClipSet(broken, broken.manifest.take([1]))


def test_bad_manifests_are_refused(clips, shards):
    folder = clips.shards[0]
    with pytest.raises(UserError, match="no clip to read"):
        ClipSet(folder, folder.manifest.take([]))
    failed = folder.manifest.table.set_column(
        folder.manifest.table.column_names.index("status"), "status", pa.array(["no_face"] * 12)
    )
    with pytest.raises(UserError, match=r"use \.ok\(\)"):
        ClipSet(folder, Manifest(failed))
    with pytest.raises(UserError, match="one for each of 12 clips"):
        loader(clips, targets={"label": np.zeros(3)})
    with pytest.raises(UserError, match="2 shard folders and 1 manifest"):
        ClipSet([folder, folder], folder.manifest)


def test_several_folders_are_numbered_through(shards):
    folder = Shards(shards)
    both = ClipSet([folder, folder], [folder.manifest.take([0, 1]), folder.manifest.take([5])])
    assert both.clip_ids == ["clip0.mp4/0/0", "clip1.mp4/0/0", "clip5.mp4/0/0"]
    batch = next(iter(EvalLoader(both, {"clip": View(2, 1, "test")}, 3)))
    assert batch["index"].tolist() == [0, 1, 2]


def test_time_based_views_follow_the_clock(clips):
    # Stored at 25 fps; a model of 12.5 fps with stride 1 takes every second frame.
    by_time = View(4, 1, "test", frame_period_s=2 / 25)
    batch = next(iter(EvalLoader(clips, {"clip": by_time}, 1)))
    counted = next(iter(EvalLoader(clips, {"clip": View(4, 2, "test")}, 1)))
    assert torch.equal(batch["clip"]["frames"], counted["clip"]["frames"])


def test_threads_end_with_the_iterator(clips):
    before = set(threading.enumerate())
    batches = loader(clips, workers=2).batches()
    assert len(list(islice(batches, 2))) == 2
    batches.close()
    assert set(threading.enumerate()) == before


def test_a_missing_shard_file_is_named(tmp_path: Path):
    root = write_shards(tmp_path / "s")
    clips = ClipSet(Shards(root))
    (root / "shards" / "a.arrow").rename(root / "elsewhere.arrow")
    with pytest.raises(UserError, match=r"a\.arrow is missing"):
        ClipSet(Shards(root))
    assert len(clips)  # a file that is mapped already stays readable
