"""The sequence task: shapes, gradients, what is frozen, what is scored, and prediction in pieces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.losses.composite import CompositeLoss, Discrete
from mien.models import Provenance, load, save_model
from mien.tasks.sequence import SequenceConfig, SequenceTask
from mien.transforms.clip import ClipSpec
from tests.encoders.test_conformance import idle

SIZE, T = 32, 12
SPEC = LabelSpec(
    ("arousal", "valence"), "dimensional", "frame", range=(-1.0, 1.0),
    clip=ClipSpec(T, 1, 0.04, SIZE, (0.4,), (0.2,)), views=1,
)  # fmt: skip
ALL = CompositeLoss((1.0,), (0.5,), (0.5,), (0.5,))
DISCRETE = Discrete(centroids=((-0.6, -0.1, 0.2, 0.8), (-0.5, 0.0, 0.1, 0.5)), num_bins=5)
SMALL = SequenceConfig(
    SPEC, LipReadingConfig(width=4), gru_hidden=8, loss=ALL, discrete=DISCRETE, activation="tanh"
)  # fmt: skip
COLOUR = replace(SPEC, clip=replace(SPEC.clip, mean=(0.4,) * 3, std=(0.2,) * 3))
CONFIGS = {
    "lips": SMALL,
    "lips-normed": replace(SMALL, feature_norm="batch"),
    "lips-both-ways": replace(SMALL, bidirectional=True, gru_layers=1),
    "frames": replace(SMALL, encoder=ResNetConfig(width=4), spec=COLOUR),
    "clips": replace(SMALL, encoder=ViTConfig(dim=16, num_heads=2, depth=1), spec=COLOUR),
}


@pytest.fixture(params=CONFIGS, ids=str)
def config(request: pytest.FixtureRequest) -> SequenceConfig:
    return CONFIGS[request.param]


def built(config: SequenceConfig, **fields) -> SequenceTask:
    torch.manual_seed(0)
    return replace(config, **fields).build()


def batch(config: SequenceConfig) -> dict:
    rng = torch.Generator().manual_seed(0)
    values = 2 * torch.rand(3, T, 2, generator=rng) - 1
    values[0, :4] = torch.nan
    return {"clip": torch.randn(3, 3 if config.spec.clip.color else 1, T, SIZE, SIZE, generator=rng), "values": values}


def track(config: SequenceConfig, count: int) -> torch.Tensor:
    return torch.randint(0, 255, (count, SIZE, SIZE, 3 if config.spec.clip.color else 1), dtype=torch.uint8)


def test_shapes_and_terms(config):
    model = built(config).train()
    out = model(batch(config))
    assert set(out) == {"loss", "ccc", "mse", "ce", "ncce"}
    assert [k for k, v in out.items() if v.requires_grad] == ["loss"]
    predicted = model.eval().predict(batch(config)["clip"])
    assert predicted.shape == (3, T, 2)
    assert predicted.abs().max() <= 1


def test_every_parameter_gets_a_gradient(config):
    model = built(config).train()
    model(batch(config))["loss"].backward()
    assert idle(model) == []


def test_it_can_learn_one_batch(config):
    model, data = built(config).train(), batch(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = model(data)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("frozen", ["none", "first", "all"])
def test_what_is_frozen_does_not_move(frozen):
    model = built(SMALL, frozen=frozen).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(batch(SMALL))["loss"].backward()
    optimizer.step()
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    stem = {k for k in before if k.startswith("encoder.frontend3D.")}
    trunk = {k for k in before if k.startswith("encoder.trunk.")}
    assert bool(moved & stem) == (frozen == "none")  # running statistics included
    assert bool(moved & trunk) == (frozen != "all")
    assert any(k.startswith("gru.") for k in moved)


def test_what_is_scored_is_the_head_that_was_asked_for():
    data = batch(SMALL)["clip"]
    values = {o: built(SMALL, output=o).eval().predict(data) for o in ("regression", "expectation", "argmax")}
    model = built(SMALL).eval()
    hidden, _ = model.recurrent(model.frame_features(data))
    torch.testing.assert_close(values["regression"], model.numbers(hidden))
    scores = model.logits(hidden)["ce"].detach().numpy()
    middles = np.array([-0.8, -0.4, 0.0, 0.4, 0.8])
    soft = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(values["expectation"].detach().numpy(), (soft * middles).sum(-1), atol=1e-6)
    np.testing.assert_allclose(values["argmax"].detach().numpy(), middles[scores.argmax(-1)], atol=1e-6)
    clusters = built(SMALL, output="argmax", loss=CompositeLoss(ncce=(1.0,))).eval().predict(data)
    assert torch.isin(clusters[..., 0], torch.tensor(DISCRETE.centroids[0])).all()


def test_outputs_without_a_loss_are_refused():
    for output, loss in (
        ("regression", CompositeLoss((0.0,), ce=(1.0,))),
        ("expectation", CompositeLoss((1.0,), ce=(0.0, 0.3))),
    ):
        with pytest.raises(UserError, match=f"--output {output}"):
            built(SMALL, output=output, loss=loss)


@pytest.mark.parametrize("name", ["lips", "lips-normed", "lips-both-ways", "frames"])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_pieces_equal_the_whole(name, chunk):
    config = CONFIGS[name]
    model, frames = built(config).eval(), track(config, 40)
    whole = model.predict(model.plain_augment().apply(frames[None], {}))[0]
    pieces = list(model.predict_track(frames.split([3, 20, 0, 1, 16]), chunk))
    torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-5, rtol=0)
    if chunk == 7 and name != "lips-both-ways":
        assert sum(map(len, pieces[:-1])) >= 28  # it does not wait for the end


def test_frames_are_forgotten():
    model = built(SMALL).eval()
    stream = model.stream(8)
    for _ in range(50):
        stream.push(track(SMALL, 4))
        assert len(stream._frames) <= 8 + 4 + 2 * 2
    assert stream.total == 200


def test_a_flush_gives_what_is_known_already():
    model, frames = built(SMALL).eval(), track(SMALL, 20)
    stream = model.stream(64)
    first = [stream.push(frames[:9]), stream.flush()]
    assert [len(f) for f in first] == [0, 7]
    rest = [stream.push(frames[9:]), stream.finish()]
    whole = model.predict(model.plain_augment().apply(frames[None], {}))[0]
    torch.testing.assert_close(torch.cat([*first, *rest]), whole, atol=1e-5, rtol=0)


def test_an_encoder_of_whole_clips_sees_clips_of_its_length():
    config = CONFIGS["clips"]
    model, frames = built(config).eval(), track(config, 2 * T + 5)
    found = torch.cat(list(model.predict_track(frames.split(10))))
    padded = torch.cat([frames, frames[-1:].expand(T - 5, -1, -1, -1)])
    clips = model.plain_augment().apply(padded.reshape(3, T, SIZE, SIZE, 3), {})
    features = model.frame_features(clips).reshape(1, 3 * T, -1)
    expected = model.cut(model.values_of(model.recurrent(features)[0]))[0, : 2 * T + 5]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_it_lives_in_a_model_folder(tmp_path: Path):
    model = built(SMALL, bidirectional=True)
    save_model(tmp_path, model, model.config, Provenance())
    folder = load(tmp_path)
    assert folder.config == model.config
    data = batch(SMALL)["clip"]
    assert torch.equal(folder.module.predict(data), model.eval().predict(data))  # pyright: ignore[reportCallIssue]
