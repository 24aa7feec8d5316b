"""The sound of drawn faces: it follows the mouth, at the right time, into the file and out of `prepare`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.corpora.synthetic import SynthConfig, clip_labels, speak, write_clips
from mien.corpora.synthetic.voice import RATE
from mien.data.audio import read_audio
from mien.data.dataset import ClipSet
from mien.data.shards import Shards
from mien.data.view import Hearing, Picked
from mien.errors import UserError
from mien.faces.from_corpus import plan_corpus, prepare_corpus
from mien.faces.options import PrepareOptions

TALKING = SynthConfig(clips=6, subjects=6, frames=64, fps=25, size=64, sound=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("talking")
    write_clips(out, TALKING)
    return out


def test_it_is_loud_where_the_mouth_is_open_and_silent_where_it_is_closed():
    config = SynthConfig(frames=100, fps=25)
    seen = 0
    for subject in range(8):
        motion = clip_labels(config, subject, 0).motion
        sound = speak(motion, 25, 0, subject, 0, noise=0.0) / 32768
        assert len(sound) == 4 * RATE
        level = np.sqrt(np.mean(sound.reshape(100, 640) ** 2, axis=1))
        shut = (motion.mouth == 0) & (np.append(motion.mouth[1:], 0) == 0)  # a frame's sound leads to the next frame
        assert not level[shut].any()
        if motion.mouth.std() > 0.05:
            between = (motion.mouth[:-1] + motion.mouth[1:]) / 2
            assert np.corrcoef(between, level[:-1])[0, 1] > 0.9
            seen += 1
    assert seen >= 3


def test_noise_is_as_loud_as_asked_for():
    motion = clip_labels(SynthConfig(frames=50, fps=25), 0, 0).motion
    quiet, noisy = (speak(motion, 25, 0, 0, 0, noise=n) / 32768 for n in (0.0, 0.05))
    assert (noisy - quiet).std() == pytest.approx(0.05, rel=0.03)


def test_files_hold_the_sound_at_its_time(drawn):
    motion = clip_labels(TALKING, 3, 0).motion
    written = speak(motion, 25, 0, 3, 0, TALKING.noise).astype(float)
    found = read_audio(drawn / "clips" / "s003_000.mp4")
    assert found.start_s == pytest.approx(0, abs=0.001)
    read, part = found.samples.astype(float), written[8000:30000]
    lags = range(-1100, 1101)
    assert abs(max(lags, key=lambda k: float(part @ read[8000 + k : 30000 + k]))) <= 16  # one millisecond


def test_prepared_clips_hold_sound_and_mouth_together(drawn, tmp_path):
    planned = plan_corpus("synthetic", drawn, PrepareOptions(crop="none", size=64))
    prepare_corpus(planned, tmp_path / "out", 0, None)
    clips = ClipSet(Shards(tmp_path / "out"))
    hearing = Hearing(0.04, joined=False, centred=True)
    loud, mouth = [], []
    for index in range(len(clips)):
        clip = clips[index]
        found = hearing.cut(clip, Picked(np.arange(len(clip)), clip.numbers("times_s")))
        level = np.sqrt(np.mean((found["sound"] / 32768) ** 2, axis=1))
        loud.append(level[found["heard"]])
        mouth.append(clip.target("mouth")[found["heard"]])
        assert found["heard"][1:-1].all()
    both = np.concatenate(mouth), np.concatenate(loud)
    assert np.corrcoef(*both)[0, 1] > 0.85
    later = np.concatenate([m[:-6] for m in mouth]), np.concatenate([s[6:] for s in loud])
    assert np.corrcoef(*later)[0, 1] < np.corrcoef(*both)[0, 1] - 0.1


def test_the_same_command_goes_on_and_other_sound_is_drawn_anew(tmp_path):
    config = SynthConfig(clips=1, subjects=1, frames=16, size=64)
    path = tmp_path / "clips" / "s000_000.mp4"

    def written(config: SynthConfig) -> tuple[int, int]:
        write_clips(tmp_path, config)
        return path.stat().st_mtime_ns, len(read_audio(path).samples)

    silent, same, talking = written(config), written(config), written(replace(config, sound=True))
    assert silent == same
    assert silent[1] == 0 < talking[1]
    assert written(replace(config, sound=True, noise=0.02))[0] != talking[0]
    with pytest.raises(UserError, match="noise"):
        SynthConfig(noise=2.0).check()
