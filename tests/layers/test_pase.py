"""PASE+: frames and values as pinned, filters and recurrence against their formulas, weights that fit or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import freqz

from mien.errors import UserError
from mien.layers.pase import LOWEST_HZ, RATE, PaseEncoder, QRNNLayer, SincConv, load_pase, mirrored


@pytest.fixture(scope="module")
def encoder() -> PaseEncoder:
    torch.manual_seed(0)
    return PaseEncoder().eval()


def test_a_frame_of_256_values_every_160_samples(encoder):
    with torch.inference_mode():
        assert encoder(torch.randn(1, 100_000) * 0.1).shape == (1, 256, 625)
        assert encoder(torch.randn(2, 16_001) * 0.1).shape == (2, 256, 100)


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
        low = LOWEST_HZ + conv.low_hz_.abs().numpy()[:, 0]
        high = low + LOWEST_HZ + conv.band_hz_.abs().numpy()[:, 0]
    assert filters.shape == (64, 251)
    for k in (20, 40, 60):
        frequency, response = freqz(filters[k], worN=4096, fs=RATE)
        power = np.abs(response) ** 2
        inside = (frequency > low[k] - 100) & (frequency < high[k] + 100)
        assert power[inside].sum() > 0.97 * power.sum()


def test_the_recurrence_is_that_of_its_formula():
    torch.manual_seed(0)
    layer = QRNNLayer(4, 3)
    x = torch.randn(1, 5, 4)
    with torch.no_grad():
        out = layer(x)[0].numpy()
    weight, bias = (p.detach().numpy() for p in layer.parameters())
    state, before = np.zeros(3), np.zeros(4)
    for t, now in enumerate(x[0].numpy()):
        z, f, o = np.split(weight @ np.concatenate([now, before]) + bias, 3)
        z, f, o, before = np.tanh(z), 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o)), now
        state = f * z + (1 - f) * state
        np.testing.assert_allclose(out[t], o * state, rtol=1e-5, atol=1e-6)


def test_weights_have_the_names_and_shapes_of_the_authors_code(encoder):
    """As `WaveFe` of their repository makes them with sincnet, denseskips, rnn_pool and norm_out; its QRNN is 512 wide."""
    shapes = {k: tuple(v.shape) for k, v in encoder.state_dict().items()}
    assert shapes["blocks.0.conv.low_hz_"] == shapes["blocks.0.conv.band_hz_"] == (64, 1)
    assert shapes["blocks.1.conv.weight"] == (64, 64, 20)
    assert shapes["blocks.7.norm.running_var"] == shapes["blocks.7.act.weight"] == (512,)
    assert shapes["denseskips.6.weight"] == (256, 512, 1)
    assert shapes["rnn.layers.0.linear.weight"] == (1536, 1024)
    assert (shapes["W.weight"], shapes["norm_out.running_mean"]) == ((256, 512, 1), (256,))
    assert not {k for k in shapes if k.startswith(("denseskips.7", "blocks.8", "norm_out.weight"))}


@pytest.mark.parametrize(("kernel", "stride", "before"), [(20, 10, 9), (11, 2, 4), (11, 1, 5)])
def test_borders_are_mirrored_as_theirs(kernel: int, stride: int, before: int):
    x = torch.arange(100.0)[None, None]
    padded = mirrored(x, kernel, stride)[0, 0]
    assert padded.shape[0] == 100 + before + kernel // 2
    assert padded[:before].tolist() == list(range(before, 0, -1))


def test_a_qrnn_of_another_width_loads(tmp_path):
    torch.save(PaseEncoder(256).state_dict(), tmp_path / "narrow.ckpt")
    assert load_pase(tmp_path / "narrow.ckpt").W.weight.shape == (256, 256, 1)


def test_its_own_weights_load(tmp_path, encoder):
    torch.save({"state_dict": encoder.state_dict()}, tmp_path / "pase.ckpt")
    loaded = load_pase(tmp_path / "pase.ckpt")
    sound = torch.randn(1, 3200)
    assert torch.equal(loaded(sound), encoder(sound))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_what_does_not_fit_is_named(tmp_path, encoder):
    state = dict(encoder.state_dict())
    state["V.bias"] = state.pop("W.bias")
    state["rnn.layers.0.linear.bias"] = state["rnn.layers.0.linear.bias"][:5]
    torch.save(state, tmp_path / "other.ckpt")
    with pytest.raises(UserError) as error:
        load_pase(tmp_path / "other.ckpt")
    said = str(error.value)
    assert "1 missing from the file (W.bias [256])" in said
    assert "1 unknown to us (V.bias [256])" in said
    assert "rnn.layers.0.linear.bias is [5], not [1536]" in said


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_pase(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("no weights")
    with pytest.raises(UserError, match="weights alone"):
        load_pase(tmp_path / "text.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(UserError, match="no tensors by name"):
        load_pase(tmp_path / "list.ckpt")
