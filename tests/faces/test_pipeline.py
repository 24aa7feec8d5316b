from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.contract import CropContract, Store
from mien.corpora.synthetic import Placed, draw_scene, write_video
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.errors import UserError
from mien.faces.faces import stream_faces
from mien.faces.labels import read_labels
from mien.faces.options import PrepareConfig, contract_for
from mien.faces.pack import frame_rate
from mien.faces.pipeline import prepare
from tests.data.video_files import pictures, write, write_sound

WHOLE = PrepareConfig(contract_for("none", store=Store(size=32)))


def numbers_of(shards: Shards, row: dict) -> list[int]:
    """Which of `pictures` the stored frames are."""
    clip = shards.clip(row["shard"], row["row"])
    images = [np.asarray(Image.open(io.BytesIO(bytes(clip.jpeg(k))))) for k in range(len(clip))]
    return [round(float(np.median(i[..., 0])) / 6) for i in images]


def test_a_folder_becomes_shards(tmp_path):
    videos = tmp_path / "videos"
    (videos / "sub").mkdir(parents=True)
    write(videos / "a.mkv", pictures(30), sound_s=1.2)
    write(videos / "sub" / "b.mp4", pictures(20), comment="mien synth")
    (videos / "notes.txt").write_text("no video")
    prepare([videos], tmp_path / "out", WHOLE, workers=0)
    shards = Shards(tmp_path / "out")
    assert shards.contract == WHOLE.contract
    rows = shards.manifest.rows()
    assert [(r["clip_id"], r["num_frames"], r["status"], r["origin"]) for r in rows] == [
        ("a.mkv/0/0", 30, "ok", "recorded"),
        ("sub/b.mp4/0/0", 20, "ok", "drawn"),
    ]
    assert rows[0]["fps"] == pytest.approx(25, rel=0.01)
    assert numbers_of(shards, rows[1]) == pytest.approx(list(range(20)), abs=1)
    clip = shards.clip(rows[0]["shard"], rows[0]["row"])
    np.testing.assert_allclose(clip.numbers("times_s"), np.arange(30) * 0.04, atol=1e-3)
    np.testing.assert_array_equal(clip.numbers("boxes")[0], [0, 0, 96, 64])
    assert np.isnan(clip.numbers("points")).all()
    assert len(clip.numbers("audio")) == pytest.approx(1.2 * 16000, abs=1100)  # AAC cuts its first block
    other = shards.clip(rows[1]["shard"], rows[1]["row"])
    assert len(other.numbers("audio")) == 0


def test_long_tracks_are_cut_into_rows_of_512_frames(tmp_path):
    path = write(tmp_path / "long.mp4", [pictures(40)[k % 40] for k in range(1100)])
    rows = prepare([path], tmp_path / "out", WHOLE, workers=0).rows()
    assert [(r["segment"], r["num_frames"]) for r in rows] == [(0, 512), (1, 512), (2, 76)]
    assert len({r["track"] for r in rows}) == 1
    assert rows[1]["start_s"] == pytest.approx(rows[0]["end_s"] + 0.04, abs=1e-3)


def test_resampling_and_grey(tmp_path):
    path = write(tmp_path / "a.mp4", pictures(26))
    config = PrepareConfig(contract_for("none", store=Store(size=32, color=False, fps=10)))
    row = prepare([path], tmp_path / "out", config, workers=0).rows()[0]
    assert row["num_frames"] == 11
    assert row["fps"] == pytest.approx(10)
    clip = Shards(tmp_path / "out").clip(row["shard"], row["row"])
    assert Image.open(io.BytesIO(bytes(clip.jpeg(0)))).mode == "L"


def test_what_cannot_be_used_is_a_row_with_a_reason(tmp_path):
    videos = tmp_path / "v"
    videos.mkdir()
    (videos / "zero.mp4").touch()
    (videos / "text.avi").write_text("nonsense " * 99)
    write_sound(videos / "sound.mp4")
    write(videos / "blank.mp4", pictures(10))  # no face for the detector
    manifest = prepare([videos], tmp_path / "out", workers=0)
    found = {r["source"]: (r["status"], r["reason"], r["track"], r["shard"]) for r in manifest.rows()}
    assert found == {
        "blank.mp4": ("no_face", "no face in 10 frames", -1, ""),
        "sound.mp4": ("unreadable", "no video stream (sound only)", -1, ""),
        "text.avi": ("unreadable", found["text.avi"][1], -1, ""),
        "zero.mp4": ("empty", "zero bytes", -1, ""),
    }
    assert "not a readable video" in found["text.avi"][1]
    assert len(manifest.ok()) == 0
    assert list((tmp_path / "out" / "shards").iterdir()) == []


def test_labels_cut_segments_that_may_overlap(tmp_path):
    path = write(tmp_path / "a.mp4", pictures(40))
    write(tmp_path / "plain.mp4", pictures(5))
    (tmp_path / "labels.csv").write_text(
        "path,start_s,end_s,emotion,valence,subject,split\n"
        "a.mp4,0.2,0.6,joy,0.5,7,train\n"
        "a.mp4,0.4,0.8,fear,,7,test\n"
        "a.mp4,3,4,late,0.1,7,test\n"
        "gone.mp4,,,joy,0.25,8,train\n"
        "plain.mp4,,,calm,1,9,train\n"
    )
    manifest = prepare([], tmp_path / "out", WHOLE, labels=tmp_path / "labels.csv", workers=0)
    rows = {r["clip_id"]: r for r in manifest.rows()}
    assert sorted(rows) == ["a.mp4#0.2-0.6/0/0", "a.mp4#0.4-0.8/0/0", "a.mp4#3-4", "gone.mp4", "plain.mp4/0/0"]
    shards = Shards(tmp_path / "out")
    first, second = rows["a.mp4#0.2-0.6/0/0"], rows["a.mp4#0.4-0.8/0/0"]
    assert numbers_of(shards, first) == pytest.approx(list(range(5, 15)), abs=1)
    assert numbers_of(shards, second) == pytest.approx(list(range(10, 20)), abs=1)
    assert (first["emotion"], first["valence"], first["subject"], first["split"]) == ("joy", 0.5, "7", "train")
    assert (second["emotion"], second["valence"]) == ("fear", None)
    assert (rows["a.mp4#3-4"]["status"], rows["a.mp4#3-4"]["emotion"]) == ("empty", "late")
    assert (rows["gone.mp4"]["status"], rows["gone.mp4"]["reason"]) == ("unreadable", "file not found")
    assert manifest.labels == ["emotion", "valence"]
    path.touch()


def test_new_labels_need_no_new_crops(tmp_path):
    write(tmp_path / "a.mp4", pictures(5))
    table = tmp_path / "labels.csv"
    table.write_text("path,label\na.mp4,old\n")
    prepare([tmp_path], tmp_path / "out", WHOLE, labels=table, workers=0)
    shard = next((tmp_path / "out" / "shards").iterdir())
    written = shard.stat().st_mtime_ns
    table.write_text("path,label,more\na.mp4,new,1\n")
    manifest = prepare([tmp_path / "a.mp4"], tmp_path / "out2", WHOLE, labels=table, workers=0)
    assert manifest.column("label") == ["new"]
    manifest = prepare([tmp_path], tmp_path / "out", WHOLE, labels=table, workers=0)
    assert (manifest.column("label"), manifest.column("more")) == (["new"], [1.0])
    assert shard.stat().st_mtime_ns == written


LABEL_ERRORS = {
    "path,label\na.mp4,x\na.mp4,y\n": "lines 2, 3 all label a.mp4",
    "path,label,label\na.mp4,x,y\n": "column label more than once",
    "path,status\na.mp4,x\n": "one that prepare writes itself",
    "file,label\na.mp4,x\n": "no column path",
    "path,start_s,end_s\na.mp4,3,2\n": "end_s 2 is not after start_s 3",
    "path,start_s\na.mp4,soon\n": "'soon'",
    "path,label\na.mp4,x,y\n": "more cells than the header",
    "path,split\na.mp4,holdout\n": "split 'holdout' is none of train, val, test",
    "path,frame\n" + "a.mp4,1\n" * 9: "lines 2, 3, 4, 5, 6, ... all label a.mp4",
}


def test_labels_as_spreadsheets_write_them(tmp_path):
    """Semicolons, spaces around names, parts in any case and by their other usual names."""
    parts = ("Train", "TEST", "dev", "Validation", "")
    lines = ["path ; label; split", *(f"{k}.mp4; happy;{part}" for k, part in enumerate(parts))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    rows = read_labels(tmp_path / "labels.csv")
    assert [r.values["split"] for r in rows] == ["train", "test", "val", "val", None]
    assert {r.values["label"] for r in rows} == {"happy"}


@pytest.mark.parametrize("text", LABEL_ERRORS)
def test_labels_that_cannot_be_meant(tmp_path, text):
    write(tmp_path / "a.mp4", pictures(2))
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=LABEL_ERRORS[text]):
        prepare([tmp_path], tmp_path / "out", WHOLE, labels=tmp_path / "labels.csv", workers=0)


def test_one_file_under_two_spellings_is_labelled_once(tmp_path):
    write(tmp_path / "a.avi", pictures(5))
    (tmp_path / "labels.csv").write_text("path,y\na.avi,x\n./a.avi,y\n")
    with pytest.raises(UserError, match=r"line 3 labels \./a\.avi a second time"):
        prepare([], tmp_path / "out", WHOLE, tmp_path / "labels.csv", workers=0)
    (tmp_path / "labels.csv").write_text("path,start_s,end_s,y\na.avi,0.1234561,0.2,x\na.avi,0.1234564,0.2,y\n")
    rows = prepare([], tmp_path / "out", WHOLE, tmp_path / "labels.csv", workers=0).rows()
    assert len({r["clip_id"] for r in rows}) == 2  # close stretches keep their own names and labels
    assert sorted(r["y"] for r in rows) == ["x", "y"]


def test_inputs_that_are_not_there(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    for videos, message in (
        ([], "nothing to prepare"),
        ([tmp_path / "nowhere.mp4"], "no such file"),
        ([tmp_path / "*.mp4"], "no file matches"),
        ([tmp_path / "images"], "--frames clip"),
    ):
        with pytest.raises(UserError, match=message):
            prepare(videos, tmp_path / "out", WHOLE, workers=0)


def test_globs_and_two_folders_with_the_same_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        Path(folder).mkdir()
        write(Path(folder) / "a.mp4", pictures(3))
    names = [r["source"] for r in prepare(["one", "two", "one/*.mp4"], "out", WHOLE, workers=0).rows()]
    assert sorted(names) == ["one/a.mp4", "two/a.mp4"]
    prepare(["one"], "again", WHOLE, workers=0)
    with pytest.raises(UserError, match="different folders"):
        prepare(["two"], "again", WHOLE, workers=0)


def test_more_videos_join_a_folder_and_changed_ones_are_done_again(tmp_path):
    first, second = write(tmp_path / "a.mp4", pictures(4)), write(tmp_path / "b.mp4", pictures(5))
    out = tmp_path / "out"
    prepare([first], out, WHOLE, workers=0)
    assert len(prepare([second], out, WHOLE, workers=0)) == 2
    write(first, pictures(9))
    rows = prepare([first], out, WHOLE, workers=0).rows()
    assert {Path(r["source"]).name: r["num_frames"] for r in rows} == {"a.mp4": 9, "b.mp4": 5}
    assert len(list((out / "shards").iterdir())) == 2  # the old crops are gone
    shards = Shards(out)
    assert [len(shards.clip(r["shard"], r["row"])) for r in rows] == [r["num_frames"] for r in rows]


def test_another_contract_is_refused(tmp_path):
    path = write(tmp_path / "a.mp4", pictures(3))
    prepare([path], tmp_path / "out", WHOLE, workers=0)
    with pytest.raises(UserError, match="size is 32 there and 48 here"):
        prepare([path], tmp_path / "out", PrepareConfig(contract_for("none", store=Store(size=48))), workers=0)


def test_folders_of_images_as_clips_and_as_stills(tmp_path):
    for name in ("x", "y"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for k, image in enumerate(pictures(6)):
            Image.fromarray(image).save(tmp_path / "set" / name / f"{k:05d}.png")
    (tmp_path / "set" / "y" / "00003.png").write_bytes(b"broken")
    base = {"contract": WHOLE.contract, "image_fps": 10.0}
    clips = prepare([tmp_path / "set"], tmp_path / "clips", PrepareConfig(frames="clip", **base), workers=0).rows()
    assert [(r["clip_id"], r["num_frames"]) for r in clips] == [("x/0/0", 6), ("y/0/0", 5)]
    assert clips[0]["fps"] == pytest.approx(10)
    assert clips[1]["reason"] == "partly unreadable: 1 of 6 images cannot be read"
    (tmp_path / "labels.csv").write_text("path,label\nx/00001.png,one\n")
    config = PrepareConfig(frames="stills", **base)
    stills = prepare([tmp_path / "set"], tmp_path / "stills", config, tmp_path / "labels.csv", workers=0)
    rows = {r["source"]: r for r in stills.rows()}
    assert len(rows) == 12
    assert sum(r["num_frames"] for r in rows.values()) == 11
    assert rows["y/00003.png"]["status"] == "unreadable"


def test_labelled_pictures_keep_their_label(tmp_path):
    (tmp_path / "set").mkdir()
    Image.fromarray(pictures(1)[0]).save(tmp_path / "set" / "a.png")
    (tmp_path / "labels.csv").write_text("path,label\na.png,one\n")
    config = PrepareConfig(WHOLE.contract, frames="stills")
    manifest = prepare([tmp_path / "set"], tmp_path / "out", config, tmp_path / "labels.csv", workers=0)
    assert manifest.column("label") == ["one"]
    assert manifest.column("num_frames") == [1]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two drawn people, the second there for the middle half only."""
    people = [Placed(1, (150, 150), 150, travel=(30, 10)), Placed(4, (450, 170), 130, present=(0.25, 0.75))]
    drawn = draw_scene(people, 60, 30, 600, 340, seed=3)
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    write_video(path, drawn.frames, 30)
    return path, drawn


def test_drawn_people_are_found_followed_and_aligned(scene):
    path, drawn = scene
    tracks: dict[int, list] = {}
    count = 0
    stream = stream_faces(path, PrepareConfig())
    for index, samples in enumerate(stream):
        count += 1
        assert stream.frame is not None
        assert stream.frame.index == index
        for s in samples:
            assert s.frame_idx == index
            tracks.setdefault(s.track, []).append(s)
    assert count == 60
    assert len(tracks) == 2
    first, second = sorted(tracks.values(), key=lambda t: t[0].box[0])
    assert len(first) == 60
    assert 22 <= len(second) <= 30
    for person, samples in ((0, first), (1, second)):
        truth = np.stack([drawn.points[s.frame_idx, person] for s in samples])
        found = np.stack([s.points for s in samples])
        eye_distance = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1)
        error = np.linalg.norm(found - truth, axis=2).mean(1) / eye_distance
        assert np.nanmedian(error) < 0.2
        assert all(s.crop.shape == (160, 160, 3) for s in samples)
        assert any(s.detected for s in samples)
        assert not all(s.detected for s in samples)


def test_given_boxes_replace_the_detector(scene, tmp_path):
    path, drawn = scene
    lines = ["path,time_s,x0,y0,x1,y1,track"]
    for k in range(0, 60, 6):
        box = drawn.boxes[k, 0]
        lines.append(f"scene.mp4,{k / 30:.4f}," + ",".join(f"{v:.2f}" for v in box) + ",5")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("\n".join(lines) + "\n")
    contract = contract_for("box", boxes=True, store=Store(size=48))
    config = PrepareConfig(contract, boxes=str(boxes))
    row = prepare([path], tmp_path / "out", config, workers=0).rows()[0]
    assert (row["track"], row["num_frames"], row["yaw"]) == (5, 55, None)
    clip = Shards(tmp_path / "out").clip(row["shard"], row["row"])
    np.testing.assert_allclose(clip.numbers("boxes"), drawn.boxes[:55, 0], atol=4)


def test_a_boxes_file_for_other_videos_says_so(scene, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("path,time_s,x0,y0,x1,y1\nother.mp4,0,1,2,30,40\n")
    config = PrepareConfig(contract_for("box", boxes=True, store=Store(size=48)), boxes=str(boxes))
    row = prepare([scene[0]], tmp_path / "out", config, workers=0).rows()[0]
    assert row["status"] == "no_face"
    assert "scene.mp4; its paths begin: other.mp4" in row["reason"]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "mien.verbs.main", "prepare", *map(str, arguments)]


def environment() -> dict[str, str]:
    source = str(Path(__file__).parents[2] / "src")
    return {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}


def heed_interrupts() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_without_loss_or_doubles(tmp_path, kill):
    videos, out = tmp_path / "v", tmp_path / "out"
    videos.mkdir()
    frames = pictures(40)  # long enough that the run cannot end before the signal comes, also on a busy machine
    for k in range(16):
        write(videos / f"{k:02d}.mp4", [frames[(i + k) % 40] for i in range(300 + k)])
    run = command(videos, "--out", out, "--crop", "none", "--size", "64", "--workers", "2")
    process = subprocess.Popen(
        run, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    )
    while process.poll() is None and len(list(out.glob("parts/*.parquet"))) < 2:
        time.sleep(0.002)
    process.send_signal(kill)
    _, complaint = process.communicate()
    assert process.returncode == (-9 if kill == signal.SIGKILL else 130)
    assert b"Traceback" not in complaint
    assert not (out / "manifest.parquet").exists()
    finished = {p: p.stat().st_mtime_ns for p in out.glob("parts/*.parquet")}
    assert 2 <= len(finished) < 8
    again = subprocess.run(run, env=environment(), capture_output=True, text=True, check=True)
    assert "finished before" in again.stdout
    rows = Manifest.read(out).rows()
    assert [(r["clip_id"], r["num_frames"]) for r in rows] == [(f"{k:02d}.mp4/0/0", 300 + k) for k in range(16)]
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    shards = Shards(out)
    for row in rows:
        start = int(Path(row["source"]).stem)
        assert numbers_of(shards, row)[:3] == pytest.approx([(start + i) % 40 for i in range(3)], abs=1)
    assert not list(out.rglob("*.tmp"))


def test_two_runs_into_one_folder_are_refused(tmp_path):
    import fcntl

    path = write(tmp_path / "a.mp4", pictures(3))
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another mien prepare"):
            prepare([path], tmp_path / "out", WHOLE, workers=0)


def kill_first_worker() -> None:
    """Waits for a worker that is at work, and kills it as the kernel does when memory runs out."""
    while not (children := multiprocessing.active_children()):
        time.sleep(0.01)
    pid = children[0].pid
    assert pid is not None
    while not any("long.mp4" in name for name in open_files(pid)):
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)


def open_files(pid: int) -> list[str]:
    """Of a process; without those that it closes while they are listed."""
    names = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(link))
    return names


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="watches the worker through /proc")
def test_a_worker_that_dies_costs_one_file(tmp_path):
    write(tmp_path / "long.mp4", [pictures(40)[k % 40] for k in range(1500)])
    other = write(tmp_path / "other.mp4", pictures(3))
    killer = threading.Thread(target=kill_first_worker)
    killer.start()
    rows = prepare([tmp_path / "long.mp4", other], tmp_path / "out", WHOLE, workers=1).rows()
    killer.join()
    found = {Path(r["source"]).name: (r["status"], r["reason"]) for r in rows}
    assert found == {"long.mp4": ("unreadable", "the process that read it died (SIGKILL)"), "other.mp4": ("ok", "")}
    again = prepare([tmp_path / "long.mp4", other], tmp_path / "out", WHOLE, workers=0).rows()
    assert {r["status"] for r in again} == {"ok"}  # nothing is lost: the next run tries it once more
    assert sum(r["num_frames"] for r in again) == 1503


def test_command_line(tmp_path, capsys):
    from mien.verbs.main import run

    path = write(tmp_path / "a.mp4", pictures(3))
    assert run(["prepare", str(path), "--out", str(tmp_path / "o"), "--crop", "none", "--workers", "0"]) == 0
    assert "1 clips" in capsys.readouterr().out
    (tmp_path / "zero.mp4").touch()
    assert run(["prepare", str(tmp_path / "zero.mp4"), "--out", str(tmp_path / "p"), "--workers", "0"]) == 2
    captured = capsys.readouterr()
    assert "zero bytes" in captured.out
    assert "no face in any of the inputs" in captured.err
    assert Manifest.read(tmp_path / "p").column("status") == ["empty"]
    assert run(["prepare", str(path), "--out", str(tmp_path / "o"), "--crop", "box", "--workers", "0"]) == 2
    assert "crop is 'none' there and 'box' here" in capsys.readouterr().err
    assert Shards(tmp_path / "o").contract == CropContract(WHOLE.contract.geometry, Store())


def test_holes_do_not_slow_the_frame_rate():
    seen = np.array([0, 1, 2, 3, 10, 11, 12]) / 30
    assert frame_rate(seen) == pytest.approx(30)
    milliseconds = np.round(np.arange(300) / 30, 3)  # as Matroska keeps times
    assert frame_rate(milliseconds) == pytest.approx(30, rel=1e-3)
    assert frame_rate(np.array([0.5])) == 0
