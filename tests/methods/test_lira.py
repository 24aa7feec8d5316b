"""LiRA: the questions of every method, the loss by hand, and sound that is elsewhere, missing or shifted."""

from __future__ import annotations

import copy
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mien.data.acoustic import MFCC, LogMel
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.methods.lira import SILENT_STEPS, LiRA, LiRAConfig
from tests.encoders.test_conformance import idle

SMALL = LiRAConfig(
    LipReadingConfig(width=4), LogMel(bands=8), clip=replace(LiRAConfig().clip, num_frames=10, size=48), crop=40, dim=16,
    depth=1, heads=2, kernel=3, dropout=0.0,
)  # fmt: skip


@pytest.fixture
def method() -> LiRA:
    torch.manual_seed(0)
    return SMALL.build()


def batch(config: LiRAConfig = SMALL, seed: int = 0, clips: int = 2) -> dict[str, torch.Tensor]:
    """Brightness that comes and goes, and noise that is as loud as the picture is bright."""
    rng = np.random.default_rng(seed)
    frames, per_frame = config.clip.num_frames, round(config.frame_s * 16000)
    bright = rng.uniform(0, 1, (clips, frames))
    margin = config.target.margin_samples
    level = np.pad(np.repeat(bright, per_frame, axis=1), ((0, 0), (margin, margin)), mode="edge")
    sound = (8000 * level * rng.normal(0, 1, level.shape)).clip(-32767, 32767).astype(np.int16)
    clip = np.broadcast_to(bright[:, None, :, None, None], (clips, 1, frames, config.crop, config.crop))
    texture = 0.1 * rng.normal(0, 1, (1, 1, 1, config.crop, config.crop))
    return {
        "clip": torch.tensor(clip + texture, dtype=torch.float32),
        "sound": torch.from_numpy(sound),
        "heard": torch.ones(clips, frames, dtype=torch.bool),
    }


def test_only_the_loss_requires_grad(method):
    out = method(batch())
    assert [k for k, v in out.items() if v.requires_grad] == ["loss"]


@pytest.mark.parametrize(
    "target", [LogMel(bands=8), LogMel(bands=8, reduce="stack"), MFCC(coefficients=5, bands=20)], ids=repr
)
def test_every_parameter_gets_a_gradient(target):
    torch.manual_seed(0)
    config = replace(SMALL, target=target)
    method = config.build()
    method(batch(config))["loss"].backward()
    assert idle(method) == []


def test_it_can_learn_one_batch(method):
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    ratios = []
    for _ in range(40):
        out = method(batch())
        optimizer.zero_grad()
        out["loss"].backward()
        optimizer.step()
        ratios.append(out["loss"].item() / out["zero_loss"].item())
    assert ratios[-1] < 0.7 < ratios[0]


def test_a_deep_copy_goes_on_alike(method):
    twin = copy.deepcopy(method)
    assert torch.equal(method(batch(seed=1))["loss"], twin(batch(seed=1))["loss"])


def test_clips_are_independent(method):
    both = method.eval().predict(batch()["clip"])
    torch.testing.assert_close(both[1:], method.predict(batch()["clip"][1:]), rtol=1e-4, atol=1e-5)


def test_the_loss_is_that_of_its_formula(method):
    data = batch()
    data["heard"][0, 6:] = False
    raw = SMALL.target(data["sound"], 10).numpy()
    prediction = method.eval().predict(data["clip"]).detach().numpy()
    distances, zeros = [], []
    for b, count in enumerate((6, 10)):
        part = raw[b, :count]
        normal = (part - part.mean(0)) / part.std(0)
        distances.append(np.abs(prediction[b, :count] - normal))
        zeros.append(np.abs(normal))
    out = method(data)
    np.testing.assert_allclose(out["loss"].item(), np.concatenate(distances).mean(), rtol=1e-4)
    np.testing.assert_allclose(out["zero_loss"].item(), np.concatenate(zeros).mean(), rtol=1e-4)
    assert out["heard"].item() == pytest.approx(0.8)


def test_clips_without_sound_are_left_out(method):
    data = batch()
    data["heard"][1] = False
    other = {**data, "sound": data["sound"].clone()}
    other["sound"][1] = 0
    method.eval()
    assert torch.equal(method(data)["loss"], method(other)["loss"])
    data["heard"][:] = False
    out = method(data)
    assert out["loss"].item() == out["zero_loss"].item() == 0


def test_shifted_sound_has_shifted_targets(method):
    data = batch()
    heard = torch.ones(2, 8, dtype=torch.bool)
    margin = SMALL.target.margin_samples
    now = method.targets(data["sound"][:, : 8 * 640 + 2 * margin], heard)
    later = method.targets(data["sound"][:, 640 : 9 * 640 + 2 * margin], heard)
    raw = SMALL.target(data["sound"], 10)
    spread, middle = raw[:, 1:9].std(1, correction=0), raw[:, 1:9].mean(1)
    torch.testing.assert_close(later * spread[:, None] + middle[:, None], raw[:, 1:9], rtol=1e-3, atol=1e-3)
    assert (now - later).abs().mean() > 0.5


def test_running_statistics_are_those_of_the_sound_and_survive():
    config = replace(SMALL, normalize="running")
    torch.manual_seed(0)
    method = config.build()
    raw = []
    for seed in range(6):
        data = batch(seed=seed, clips=4)
        method.targets(data["sound"], data["heard"])
        raw.append(config.target(data["sound"], 10).flatten(0, 1))
    together = torch.cat(raw)
    torch.testing.assert_close(method.target_mean, together.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(method.target_var, together.var(0, correction=0), rtol=0.05, atol=1e-4)
    twin = config.build().eval()
    twin.load_state_dict(method.state_dict())
    data = batch(seed=9)
    expected = twin.targets(data["sound"], data["heard"])
    normal = (config.target(data["sound"], 10) - method.target_mean) / method.target_var.sqrt()
    torch.testing.assert_close(expected, normal)
    assert torch.equal(twin.target_mean, method.target_mean)  # nothing moves at evaluation


def test_training_without_any_sound_stops(method):
    data = batch()
    data["heard"][:] = False
    for _ in range(SILENT_STEPS - 1):
        method(data)
    with pytest.raises(UserError, match="no sound"):
        method(data)
    once = SMALL.build()
    once(batch())
    for _ in range(SILENT_STEPS + 1):
        once(data)


def test_the_encoder_is_the_front_end_alone(method):
    assert sum(p.numel() for p in LiRAConfig().encoder.build().parameters()) == 11_182_784
    assert {n.split(".")[0] for n, _ in method.encoder.named_parameters()} == {"frontend3D", "trunk"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frame_period_s": 1 / 30}, "divisor"),
        ({"crop": 64}, "crop"),
        ({"encoder": ViTConfig(tube=(2, 8, 8), channels=1)}, "single frames"),
        ({"heads": 3}, "heads"),
        ({"mean": (0.4, 0.4, 0.4)}, "channel"),
        ({"kernel": 4}, "odd"),
        ({"depth": 0}, "depth"),
        ({"stride": 0}, "stride"),
    ],
)
def test_what_cannot_be_is_refused(change, says):
    seen = {f.name for f in fields(SMALL.clip)} & change.keys()
    with pytest.raises(UserError, match=says):
        replace(SMALL, **({"clip": replace(SMALL.clip, **change)} if seen else change))


def test_features_are_those_of_each_frame(method):
    method.eval()
    data = batch()["clip"]
    found = method.features(data)
    assert found.shape == (2, 10, 32)
    later = data.clone()
    later[:, :, 6:] += 1  # the stem sees two frames ahead
    torch.testing.assert_close(method.features(later)[:, :4], found[:, :4])
    assert not torch.allclose(method.features(later)[:, 4], found[:, 4])
    torch.testing.assert_close(method.predict(data), method.head(method.conformer(method.embed(found))))
