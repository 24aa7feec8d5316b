"""Acoustic targets against scipy and NumPy, their place in time, and PASE+ from a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.signal import ShortTimeFFT

from mien.data.acoustic import MFCC, LogMel, Pase
from mien.data.audio import RATE
from mien.errors import UserError
from mien.layers.pase import PaseEncoder


def wave(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """int16: a falling tone with noise that comes and goes."""
    time_s = np.arange(round(RATE * seconds)) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.05, len(time_s)) * (1 + np.sin(9 * time_s))
    return np.round(20000 * (0.3 * np.sin(2 * np.pi * (900 - 400 * time_s) * time_s) + noise)).astype(np.int16)


def reference_log_mel(samples: np.ndarray, bands: int, low: float, high: float) -> np.ndarray:
    """[N, bands] with scipy's short-time Fourier transform and triangles drawn one by one."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    stft = ShortTimeFFT(hann, 160, RATE, mfft=512, phase_shift=None)
    count = (len(samples) - 400) // 160 + 1
    x = samples / 32768
    spectra = [stft.stft(x[160 * k : 160 * k + 400], p0=0, p1=1, k_offset=200)[:, 0] for k in range(count)]
    power = np.abs(np.array(spectra)) ** 2 / 400
    ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
    mel = np.linspace(ends[0], ends[1], bands + 2)
    hz = 700 * (10 ** (mel / 2595) - 1)
    frequency = np.arange(257) * RATE / 512
    out = np.zeros((count, bands))
    for b in range(bands):
        out[:, b] = power @ np.interp(frequency, hz[b : b + 3], [0, 1, 0], left=0, right=0)
    return np.log(out + 1e-6)


def slopes(x: np.ndarray) -> np.ndarray:
    return np.array([[np.polyfit(np.arange(-2, 3), x[k - 2 : k + 3, d], 1)[0] for d in range(x.shape[1])]
                     for k in range(2, len(x) - 2)])  # fmt: skip


def test_log_mel_is_that_of_scipy():
    target, samples = LogMel(), wave()
    m = target.margin_samples
    found = target(torch.from_numpy(samples[None, 8000 - m : 8000 + 6400 + m]), 10)
    expected = reference_log_mel(samples[8000 - 120 : 8000 + 6400 + 120], 80, 20, 7600)
    assert found.shape == (1, 10, 80)
    np.testing.assert_allclose(found[0], expected.reshape(10, 4, 80).mean(1), rtol=1e-3, atol=1e-3)
    stacked = LogMel(reduce="stack")(torch.from_numpy(samples[None, 8000 - m : 8000 + 6400 + m]), 10)
    np.testing.assert_allclose(stacked[0], expected.reshape(10, 320), rtol=1e-3, atol=1e-3)
    assert LogMel(reduce="stack").dim(25) == 320


def test_mfcc_and_its_deltas_are_those_of_scipy():
    target, samples = MFCC(reduce="stack"), wave()
    m = target.margin_samples
    found = target(torch.from_numpy(samples[None, 8000 - m : 8000 + 1600 + m]), 5)
    mel = reference_log_mel(samples[8000 - m : 8000 + 1600 + m], 40, 20, 7600)
    coefficients = np.asarray(dct(mel, norm="ortho", axis=1))[:, :13]
    first = slopes(coefficients)
    second = slopes(first)
    expected = np.concatenate([coefficients[4:-4], first[2:-2], second], axis=1)
    assert expected.shape == (10, 39)
    np.testing.assert_allclose(found[0], expected.reshape(5, 78), rtol=1e-3, atol=2e-3)
    assert target.dim(25) == 156
    assert MFCC(deltas=0).width == 13


def test_targets_lie_where_the_sound_is():
    """A click in one video frame is loud in that frame and in no other."""
    for target in (LogMel(), MFCC(deltas=0)):
        m = target.margin_samples
        sound = np.zeros(2 * m + 640 * 10, np.int16)
        sound[m + 640 * 6 + 320] = 30000
        loud = target(torch.from_numpy(sound[None]), 10)[0, :, :].numpy()
        loud = loud.mean(1) if isinstance(target, LogMel) else loud[:, 0]
        assert int(loud.argmax()) == 6
        assert (np.delete(loud, 6) < loud[6] - 1).all()


def test_batches_are_what_single_sounds_are():
    target = MFCC()
    sounds = torch.from_numpy(np.stack([wave(0.2 + 2 * target.margin_samples / RATE, seed) for seed in range(3)]))
    torch.testing.assert_close(target(sounds, 5)[1:2], target(sounds[1:2], 5), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(target(sounds.float() / 32768, 5), target(sounds, 5))


def test_pase_runs_from_its_file(tmp_path):
    torch.manual_seed(0)
    encoder = PaseEncoder().eval()
    torch.save(encoder.state_dict(), tmp_path / "pase.ckpt")
    target = Pase(file=str(tmp_path / "pase.ckpt"))
    sound = torch.from_numpy(wave(0.4 + 0.5)[None])
    found = target(sound, 10)
    assert found.shape == (1, 10, 256)
    with torch.inference_mode():
        whole = encoder(sound.float() / 32768)[0].T
    torch.testing.assert_close(found[0], whole[25:-25].reshape(10, 4, 256).mean(1))


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="weights"):
        Pase()(torch.zeros(1, 640 + 2 * 4000, dtype=torch.int16), 1)
    with pytest.raises(UserError, match="divisor"):
        LogMel().check(30)
    LogMel().check(12.5)
    with pytest.raises(UserError, match="give fewer"):
        LogMel(bands=300)
    with pytest.raises(UserError, match="Hz"):
        LogMel(high_hz=9000)
    with pytest.raises(UserError, match="coefficients"):
        MFCC(coefficients=41)
    with pytest.raises(ValueError, match="do not divide"):
        LogMel()(torch.zeros(1, 240 + 1600), 3)
