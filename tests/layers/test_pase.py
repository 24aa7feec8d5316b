"""PASE+: frames and values as pinned, filters and recurrence against their formulas, weights that fit or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import freqz

from mien.layers.pase import LOWEST_HZ, QRNN, RATE, PaseEncoder, SincConv, load_pase
from mien.types import UserError


@pytest.fixture(scope="module")
def encoder() -> PaseEncoder:
    torch.manual_seed(0)
    return PaseEncoder().eval()


def test_a_frame_of_256_values_every_160_samples(encoder):
    with torch.inference_mode():
        assert encoder(torch.randn(1, 100_000) * 0.1).shape == (1, 256, 625)
        assert encoder(torch.randn(2, 16_001) * 0.1).shape == (2, 256, 101)


def test_frames_describe_the_sound_at_their_place(encoder):
    """Of two sounds that differ only in one place, the frames differ most there."""
    torch.manual_seed(1)
    with torch.inference_mode():
        sound = torch.randn(1, 16_000) * 0.05
        other = sound.clone()
        other[:, 8000:8160] += 0.5 * torch.randn(160)
        change = (encoder(other) - encoder(sound))[0].square().sum(0)
    assert abs(int(change.argmax()) - 50) <= 2


def test_sinc_filters_pass_their_band():
    conv = SincConv()
    with torch.no_grad():
        filters = conv.filters()[:, 0].numpy()
        low = LOWEST_HZ + conv.low_hz.abs().numpy()[:, 0]
        high = low + LOWEST_HZ + conv.band_hz.abs().numpy()[:, 0]
    assert filters.shape == (64, 251)
    for k in (20, 40, 60):
        frequency, response = freqz(filters[k], worN=4096, fs=RATE)
        power = np.abs(response) ** 2
        inside = (frequency > low[k] - 100) & (frequency < high[k] + 100)
        assert power[inside].sum() > 0.97 * power.sum()


def test_the_recurrence_is_that_of_its_formula():
    torch.manual_seed(0)
    rnn = QRNN(4, 6)
    x = torch.randn(1, 5, 4)
    with torch.no_grad():
        out = rnn(x)[0].numpy()
        z, f, o = (g.numpy() for g in rnn.gates[1](x[0]).chunk(3, dim=-1))
    z, f, o = np.tanh(z), 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o))
    state = np.zeros(3)
    for t in (4, 3, 2, 1, 0):  # the second half runs backwards
        state = f[t] * state + (1 - f[t]) * z[t]
        np.testing.assert_allclose(out[t, 3:], o[t] * state, rtol=1e-5, atol=1e-6)


def test_its_own_weights_load(tmp_path, encoder):
    torch.save({"state_dict": encoder.state_dict()}, tmp_path / "pase.ckpt")
    loaded = load_pase(tmp_path / "pase.ckpt")
    sound = torch.randn(1, 3200)
    assert torch.equal(loaded(sound), encoder(sound))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_what_does_not_fit_is_named(tmp_path, encoder):
    state = dict(encoder.state_dict())
    state["W.weight"] = state.pop("proj.weight")
    state["rnn.gates.0.bias"] = state["rnn.gates.0.bias"][:5]
    torch.save(state, tmp_path / "other.ckpt")
    with pytest.raises(UserError) as error:
        load_pase(tmp_path / "other.ckpt")
    said = str(error.value)
    assert "1 missing from the file (proj.weight [256, 512, 1])" in said
    assert "1 unknown to us (W.weight [256, 512, 1])" in said
    assert "rnn.gates.0.bias is [5], not [768]" in said


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_pase(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("no weights")
    with pytest.raises(UserError, match="weights alone"):
        load_pase(tmp_path / "text.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(UserError, match="no tensors by name"):
        load_pase(tmp_path / "list.ckpt")
