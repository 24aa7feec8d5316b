"""Sound that belongs to frames: cut by container times, silence where there is none, and nothing lost at row borders."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
import simplejpeg
import torch

from mien.contract import CropContract, Store
from mien.data.audio import RATE
from mien.data.dataset import ClipSet
from mien.data.loader import ClipLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.shards import Clip, ShardRow, Shards, ShardWriter, write_contract
from mien.data.view import Hearing, View
from mien.faces import pack
from mien.faces.options import PrepareConfig, contract_for
from mien.faces.pipeline import prepare
from mien.transforms.clip import Augment
from tests.data.video_files import pictures, write

FRAMES = 30
VIEW = View(10, 1, "pretrain", Augment(size=32), frame_period_s=0.04, hearing=Hearing())


def clock(start_s: float, seconds: float) -> np.ndarray:
    """int16 samples that tell their own time: each is the number of milliseconds since second 0, from 1 on."""
    return (1 + np.arange(round(start_s * RATE), round((start_s + seconds) * RATE)) // 16).astype(np.int16)


def write_row(root: Path, times_s: np.ndarray, audio: np.ndarray, audio_start_s: float) -> ClipSet:
    (root / "shards").mkdir(parents=True)
    jpeg = simplejpeg.encode_jpeg(np.full((32, 32, 3), 90, np.uint8), 90, "RGB", "420")
    blank = np.zeros((len(times_s), 10), np.float32)
    with ShardWriter(root / "shards" / "a.arrow") as writer:
        row = ShardRow("a/0/0", [jpeg] * len(times_s), times_s, blank[:, :4], blank, blank[:, 0], audio, audio_start_s)
        writer.add(row)
    Manifest.from_rows(
        [dict(clip_id="a/0/0", source="a", track=0, segment=0, start_s=float(times_s[0]), end_s=float(times_s[-1]),
              fps=25.0, num_frames=len(times_s), status="ok", reason="", origin="drawn", shard="a.arrow", row=0)]
    ).write(root)  # fmt: skip
    write_contract(root, CropContract(store=Store(size=32)))
    return ClipSet(Shards(root))


def heard_by(view: View, clip: Clip, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The times of the frames, and the sound."""
    picked = view.pick(clip, np.random.default_rng(seed))
    assert view.hearing
    return picked.times_s, view.hearing.cut(clip, picked)


@pytest.mark.parametrize("audio_start_s", [0.0, 2.0, 1.7])
def test_the_sound_is_that_of_the_frames_wherever_the_file_starts(tmp_path, audio_start_s):
    clips = write_row(tmp_path / "a", 2 + np.arange(FRAMES) / 25, clock(audio_start_s, 5), audio_start_s)
    for seed in range(5):
        times_s, found = heard_by(VIEW, clips[0], seed)
        np.testing.assert_array_equal(found["sound"], clock(times_s[0], 0.4))
        assert found["heard"].all()


def test_a_shift_of_the_sound_is_seen(tmp_path):
    times_s = 2 + np.arange(FRAMES) / 25
    right = write_row(tmp_path / "a", times_s, clock(1, 5), 1.0)
    late = write_row(tmp_path / "b", times_s, clock(1, 5), 1.2)
    sound, shifted = (heard_by(VIEW, c[0])[1]["sound"] for c in (right, late))
    np.testing.assert_array_equal(shifted.astype(int), sound.astype(int) - 200)  # what played 200 ms before


def test_windows_of_single_frames_and_margins(tmp_path):
    clip = write_row(tmp_path / "a", 2 + np.arange(FRAMES) / 25, clock(0, 5), 0.0)[0]
    times_s, after = heard_by(View(4, 5, "pretrain", Augment(size=32), hearing=Hearing(0.03, joined=False)), clip)
    assert after["sound"].shape == (4, 480)
    for t, sound in zip(times_s, after["sound"], strict=True):
        np.testing.assert_array_equal(sound, clock(t, 0.03))
    around = Hearing(0.03, joined=False, centred=True)
    times_s, found = heard_by(View(4, 5, "pretrain", Augment(size=32), hearing=around), clip)
    np.testing.assert_array_equal(found["sound"][2], clock(times_s[2] - 0.015, 0.03))
    wide = Hearing(margin_samples=160)
    times_s, found = heard_by(View(10, 1, "pretrain", Augment(size=32), frame_period_s=0.04, hearing=wide), clip)
    np.testing.assert_array_equal(found["sound"], clock(times_s[0] - 0.01, 0.42))


def test_where_there_is_none_is_silence_and_said_to_be(tmp_path):
    times_s = np.arange(10) / 25
    silent = write_row(tmp_path / "a", times_s, np.zeros(0, np.int16), 0.0)[0]
    _, found = heard_by(VIEW, silent)
    assert not found["sound"].any()
    assert not found["heard"].any()
    zeros = write_row(tmp_path / "z", times_s, np.zeros(RATE, np.int16), 0.0)[0]
    assert not heard_by(VIEW, zeros)[1]["heard"].any()
    part = write_row(tmp_path / "b", times_s, clock(0.1, 0.2), 0.1)[0]  # 0.1 to 0.3 s of 0 to 0.4 s
    _, found = heard_by(VIEW, part)
    np.testing.assert_array_equal(found["heard"], [False] * 3 + [True] * 4 + [False] * 3)
    assert not found["sound"][: int(0.1 * RATE)].any()
    assert not found["sound"][int(0.3 * RATE) :].any()


def test_frames_repeated_after_the_end_are_not_heard(tmp_path):
    clip = write_row(tmp_path / "a", np.arange(6) / 25, clock(0, 5), 0.0)[0]
    _, found = heard_by(VIEW, clip)
    np.testing.assert_array_equal(found["heard"], [True] * 6 + [False] * 4)


def test_variable_frame_rates_keep_the_sound_at_the_frames(tmp_path):
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.uniform(0.01, 0.05, 120))
    clip = write_row(tmp_path / "a", times_s, clock(0, 6), 0.0)[0]
    for seed in range(5):
        picked = VIEW.pick(clip, np.random.default_rng(seed))
        assert np.abs(times_s[picked.positions] - picked.times_s).max() < 0.026
        np.testing.assert_array_equal(heard_by(VIEW, clip, seed)[1]["sound"][0], clock(picked.times_s[0], 0.001)[0])
    unsteady = View(10, 1, "pretrain", Augment(size=32), hearing=Hearing())
    picked = unsteady.pick(clip, np.random.default_rng(0))
    beside = np.abs(picked.times_s - picked.times_s[0] - 0.04 * np.arange(10)) > 0.02
    assert beside.any()  # without sampling by time, frames that do not lie where the stretch says are left out
    np.testing.assert_array_equal(heard_by(unsteady, clip)[1]["heard"], ~beside)


def test_batches_bring_it(tmp_path):
    clips = write_row(tmp_path / "a", np.arange(FRAMES) / 25, clock(0, 5), 0.0)
    views = {"clip": VIEW, "other": View(4, 1, "pretrain", Augment(size=32), hearing=Hearing(joined=False))}
    batch = next(ClipLoader(clips, views, 2, seed=0, workers=0).batches(0, 1))
    ready = prepare_batch(batch, views, "cpu")
    assert ready["clip"].shape == (2, 3, 10, 32, 32)
    assert ready["sound"].dtype == torch.int16
    assert ready["sound"].shape == (2, 6400)
    assert ready["heard"].shape == (2, 10)
    assert ready["sound_other"].shape == (2, 4, 640)
    assert ready["heard_other"].shape == (2, 4)


def write_click(path: Path, at_s: float, shift_s: float) -> Path:
    """Fifty frames and two seconds of silence with a click, the sound moved in the container."""
    with av.open(str(path), "w") as container:
        video = cast(av.VideoStream, container.add_stream("libx264", rate=25))
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = cast(av.AudioStream, container.add_stream("pcm_s16le", rate=RATE, layout="mono"))
        samples = np.zeros((1, 2 * RATE), np.int16)
        samples[0, round(at_s * RATE)] = 20000
        wave = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        wave.sample_rate, wave.pts = RATE, round(shift_s * RATE)
        container.mux(audio.encode(wave))
        for image in pictures(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())
    return path


@pytest.mark.parametrize("shift_s", [0.0, 0.2])
def test_times_of_the_container_decide_which_frame_hears_what(tmp_path, shift_s):
    path = write_click(tmp_path / "a.mkv", 0.61, shift_s)
    prepare([path], tmp_path / "out", PrepareConfig(contract_for("none", store=Store(size=32))), workers=0)
    clip = ClipSet(Shards(tmp_path / "out"))[0]
    picked = View(40, 1, "pretrain", Augment(size=32), frame_period_s=0.04).pick(clip, np.random.default_rng(3))
    sound = Hearing(joined=False).cut(clip, picked)["sound"]
    loud = np.abs(sound).max(1)
    hit = int(loud.argmax())
    assert picked.times_s[hit] <= 0.61 + shift_s < picked.times_s[hit] + 0.04
    assert (np.delete(loud, hit) == 0).all()


def test_rows_of_one_track_hear_across_their_borders(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "MAX_ROW_FRAMES", 20)
    path = write(tmp_path / "a.mp4", pictures(50), sound_s=2.2)
    config = PrepareConfig(contract_for("none", store=Store(size=32)))
    shards = Shards((prepare([path], tmp_path / "out", config, workers=0), tmp_path / "out")[1])
    clips = ClipSet(shards)
    assert [len(clips[k]) for k in range(3)] == [20, 20, 10]
    step = Hearing(margin_samples=1600)
    view = View(10, 1, "pretrain", Augment(size=32), frame_period_s=0.04, hearing=step)
    for index in (1, 2):  # the first row misses what AAC cuts off the file's start
        picked = view.pick(clips[index], np.random.default_rng(0))
        found = step.cut(clips[index], picked)
        assert found["heard"].all()
        assert np.abs(found["sound"][:1600]).max() > 4000  # the tone goes on before the row
