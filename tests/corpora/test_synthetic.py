"""The drawn faces: determinism, exact labels, dynamics that no single frame tells, files that continue."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from mien.corpora.synthetic import Placed, SynthConfig, clip_labels, draw_clip, draw_picture, draw_scene, write_clips
from mien.corpora.synthetic import clip as clip_module
from mien.corpora.synthetic.actor import AUS, TRAITS, make_actor
from mien.corpora.synthetic.corpus import Synthetic
from mien.corpora.synthetic.head import Pose, _solve, project
from mien.corpora.synthetic.motion import DYNAMICS, EXPRESSIONS, envelope, perform, schedule
from mien.corpora.synthetic.write import COMMENT, splits
from mien.errors import UserError
from mien.faces.detect import CenterFace, iou
from mien.verbs.synth import main

SMALL = SynthConfig(clips=5, subjects=4, frames=16, size=64)


def _read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def _comment(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.metadata["comment"]


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn")
    write_clips(out, SMALL)
    return out


def test_the_same_seed_draws_the_same_frames():
    first, truth = draw_clip(SMALL, 2, 1)
    clip_module._sheet.cache_clear()
    again, truth_again = draw_clip(SMALL, 2, 1)
    other, _ = draw_clip(SynthConfig(frames=16, size=64, seed=1), 2, 1)
    assert first.shape == (16, 64, 64, 3)
    assert np.array_equal(first, again)
    assert np.array_equal(truth.motion.aus, truth_again.motion.aus)
    assert not np.array_equal(first, other)


def test_a_clip_does_not_depend_on_how_many_there_are():
    many = SynthConfig(clips=500, subjects=100, frames=16, size=64)
    assert np.array_equal(draw_clip(SMALL, 3, 0)[0], draw_clip(many, 3, 0)[0])


def test_workers_change_nothing(written: Path, tmp_path: Path):
    write_clips(tmp_path, SMALL, workers=2)
    names = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert len(names) == SMALL.clips + 2
    for name in names:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


@pytest.mark.parametrize("num_frames", [16, 64, 101])
@pytest.mark.parametrize(("lead", "hold"), [(0.0, 0.0), (0.4, 0.7), (1.0, 1.0)])
def test_unordered_frames_do_not_tell_the_dynamics(num_frames: int, lead: float, hold: float):
    shapes = {name: envelope(name, num_frames, lead, hold) for name in DYNAMICS}
    reference = np.sort(shapes["opening"])
    assert len(reference) == num_frames
    assert reference[0] == 0
    assert reference[-1] == 1
    for shape in shapes.values():
        assert np.array_equal(np.sort(shape), reference)
    assert np.array_equal(shapes["closing"], shapes["opening"][::-1])
    assert np.array_equal(shapes["slow_onset"], shapes["fast_onset"][::-1])


def test_the_dynamics_are_what_they_are_called():
    opening, fast, slow = (envelope(name, 64, 0.5, 0.5) for name in ("opening", "fast_onset", "slow_onset"))
    assert (opening[0], opening[-1]) == (0, 1)
    assert np.all(np.diff(opening) >= 0)

    def rise(shape: np.ndarray) -> int:
        return int(np.sum((shape > 0) & (shape < 1) & (np.arange(64) < shape.argmax())))

    assert (rise(fast), rise(slow)) == (5, 25)  # 0.17 s and 0.83 s at 30 frames per second


def test_labels_and_dynamics_are_balanced_in_every_subject():
    for subject in range(5):
        plan = [schedule(0, subject, i) for i in range(28)]
        for start in range(0, 28, 7):
            assert sorted(p[0] for p in plan[start : start + 7]) == sorted(EXPRESSIONS)
        for start in range(0, 28, 4):
            assert sorted(p[1] for p in plan[start : start + 4]) == sorted(DYNAMICS)


def test_what_else_moves_does_not_depend_on_the_classes():
    actor = make_actor(0, 3)
    a = perform(0, actor, 5, 64, 30, "anger", "opening")
    b = perform(0, actor, 5, 64, 30, "happiness", "slow_onset")
    for name in ("blink", "gaze", "pose", "shift"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    assert a.aus[:, AUS.index("au04")].max() > b.aus[:, AUS.index("au04")].max() + 0.2
    assert b.aus[:, AUS.index("au12")].max() > a.aus[:, AUS.index("au12")].max() + 0.2
    assert b.valence.max() > 0.3
    assert a.valence.min() < -0.2


def test_the_clip_between_neutral_and_apex_moves_the_face():
    truth = clip_labels(SynthConfig(), 0, 0)
    frames, _ = draw_clip(SynthConfig(), 0, 0)
    e, (x0, y0, x1, y1) = truth.motion.envelope, truth.boxes[0].astype(int)
    assert truth.label != "neutral"
    crops = frames[:, y0:y1, x0:x1].astype(float)
    change = np.abs(crops[e == 1].mean(0) - crops[e == 0].mean(0)).mean()
    assert change > 4  # grey levels of 255; camera noise averages out


def test_projection_and_its_inverse_agree():
    rng = np.random.default_rng(0)
    actor = make_actor(0, 1)
    au = dict(zip(AUS, rng.uniform(0, 1, len(AUS)).tolist(), strict=True))
    pose = Pose(24.0, -10.0, 8.0, (100.0, 90.0), 60.0)
    points = rng.uniform((-0.5, -0.6), (0.5, 0.8), (50, 2))
    pixels = project(actor, au, pose, points).astype(np.float32)
    x, y = _solve(actor, au, pose, pixels[:, 0], pixels[:, 1])
    assert np.abs(np.stack([x, y], 1) - points).max() * pose.scale < 1.5  # pixels


def test_the_detector_finds_drawn_faces_where_they_are():
    config, detector = SynthConfig(frames=16), CenterFace(min_score=0.3)
    overlaps, errors = [], []
    for subject in range(6):
        frames, truth = draw_clip(config, subject, 0)
        found = detector.detect(frames[8])
        assert len(found) >= 1
        best = int(found.scores.argmax())
        overlaps.append(iou(found.boxes[best : best + 1], truth.boxes[8:9].astype(np.float32)).item())
        height = truth.boxes[8, 3] - truth.boxes[8, 1]
        errors.append(np.linalg.norm(found.points[best] - truth.points[8], axis=1) / height)
    assert np.mean(overlaps) > 0.75
    assert np.mean(errors) < 0.06


def test_files_hold_what_was_drawn(written: Path):
    rows = _rows(written)
    assert len(rows) == SMALL.clips
    frames = pq.read_table(written / "frames.parquet").to_pylist()
    for i, row in enumerate(rows):
        drawn, truth = draw_clip(SMALL, i % 4, i // 4)
        video = _read(written / row["path"])
        assert video.shape == drawn.shape
        assert np.abs(video.astype(int) - drawn).mean() < 6  # grey levels lost to H.264 and the halved colour
        assert _comment(written / row["path"]).startswith(COMMENT)
        assert "no real person" in _comment(written / row["path"])
        assert (row["label"], row["dynamics"]) == (truth.label, truth.dynamics)
        own = [f for f in frames if f["path"] == row["path"]]
        assert [f["time_s"] for f in own] == pytest.approx([t / 30 for t in range(16)])
        assert np.mean([f["valence"] for f in own]) == pytest.approx(float(row["valence"]), abs=1e-4)
        assert np.allclose([f["points"] for f in own], truth.points.reshape(16, 10), atol=1e-3)


def test_labels_are_in_range_and_traits_constant(written: Path):
    rows = _rows(written)
    assert all(-1 <= float(r[name]) <= 1 for r in rows for name in ("valence", "arousal"))
    assert all(0 <= float(r[name]) <= 1 for r in rows for name in TRAITS)
    same = [tuple(r[name] for name in (*TRAITS, "split")) for r in rows if r["subject"] == "s000"]
    assert len(same) == 2
    assert len(set(same)) == 1


def test_splits_are_disjoint_in_subjects_and_of_the_named_size():
    parts = list(splits(SynthConfig(subjects=40)).values())
    assert [parts.count(name) for name in ("train", "val", "test")] == [24, 6, 10]
    assert sorted(set(splits(SynthConfig(subjects=3)).values())) == ["test", "train", "val"]
    assert set(splits(SynthConfig(subjects=2)).values()) == {"train"}


def test_the_same_command_continues_and_another_seed_replaces(tmp_path: Path):
    more = SynthConfig(clips=3, subjects=3, frames=16, size=64)
    less = SynthConfig(clips=2, subjects=3, frames=16, size=64)
    write_clips(tmp_path, more)
    clips = tmp_path / "clips"
    kept, broken = clips / "s000_000.mp4", clips / "s001_000.mp4"
    whole, before = broken.read_bytes(), kept.stat().st_mtime_ns
    broken.write_bytes(whole[:200])
    (clips / "s999_000.mp4").write_bytes(b"not ours")
    write_clips(tmp_path, less)
    assert kept.stat().st_mtime_ns == before
    assert broken.read_bytes() == whole
    assert sorted(p.name for p in clips.iterdir()) == ["s000_000.mp4", "s001_000.mp4", "s999_000.mp4"]
    write_clips(tmp_path, SynthConfig(clips=2, subjects=3, frames=16, size=64, seed=9))
    assert "seed=9" in _comment(kept)


def test_scenes_say_who_is_where():
    people = [Placed(0, (110, 120), 90), Placed(1, (300, 150), 110, present=(0.0, 0.5), travel=(10.0, 0.0))]
    scene = draw_scene(people, num_frames=16, width=420, height=240, seed=2)
    empty = draw_scene([], num_frames=16, width=420, height=240, seed=2)
    assert empty.boxes.shape == (16, 0, 4)
    assert np.isfinite(scene.boxes[:, 0]).all()
    assert np.isfinite(scene.points[:8, 1]).all()
    assert np.isnan(scene.boxes[8:, 1]).all()
    difference = np.abs(scene.frames.astype(int) - empty.frames).sum(-1)
    for t, who in ((0, 0), (0, 1), (12, 0)):
        x0, y0, x1, y1 = scene.boxes[t, who].astype(int)
        assert (difference[t, y0:y1, x0:x1] > 0).mean() > 0.9
    x0, y0, x1, y1 = scene.boxes[7, 1].astype(int)
    assert (difference[12, y0:y1, x0:x1] == 0).all()
    inside = scene.points[0, 0]
    x0, y0, x1, y1 = scene.boxes[0, 0]
    assert np.all((inside[:, 0] > x0) & (inside[:, 0] < x1) & (inside[:, 1] > y0) & (inside[:, 1] < y1))


@pytest.mark.parametrize(
    "bad",
    [
        {"clips": 0},
        {"subjects": 0},
        {"frames": 15},
        {"fps": 0},
        {"size": 63},
        {"size": 65},
        {"size": 4000},
        {"seed": -1},
    ],
)
def test_numbers_that_cannot_be_drawn_are_named(bad: dict[str, int], tmp_path: Path):
    name, value = next(iter(bad.items()))
    with pytest.raises(UserError, match=f"--{name} {value}"):
        write_clips(tmp_path / "new", replace(SynthConfig(), **bad))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        write_clips(tmp_path / "file", SMALL)
    with pytest.raises(UserError, match="--workers 0"):
        write_clips(tmp_path / "out", SMALL, workers=0)


def test_the_command_line_writes_the_same(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    args = ["--clips", "5", "--subjects", "4", "--frames", "16", "--size", "64", "--workers", "1"]
    assert main(["--out", str(tmp_path), *args]) == 0
    assert (tmp_path / "labels.csv").read_bytes() == (written / "labels.csv").read_bytes()
    assert "5 clips" in capsys.readouterr().out


def test_the_picture_shows_a_row_per_subject(tmp_path: Path):
    from PIL import Image

    draw_picture(tmp_path / "faces.png", SMALL, rows=1)
    with Image.open(tmp_path / "faces.png") as image:
        assert image.width == 7 * SMALL.size
        assert image.height > SMALL.size


@pytest.mark.parametrize(
    ("old", "new", "says"), [("valence", "mood", "no column valence"), (",0.", ",bright", "it is a number")]
)
def test_a_table_that_was_changed_is_explained(written: Path, tmp_path: Path, old: str, new: str, says: str):
    copy = shutil.copytree(written, tmp_path / "copy")
    table = copy / "labels.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(UserError, match=says):
        Synthetic().read(copy)
