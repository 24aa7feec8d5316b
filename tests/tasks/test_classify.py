from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.data.labels import LabelSpec
from mien.encoders.tpsbt import TPSBTConfig
from mien.tasks.classify import Classifier, ClassifyConfig
from mien.transforms.clip import ClipAugment, ClipSpec
from mien.transforms.mix import Mix
from tests.encoders.test_conformance import idle

OFF = Mix(0.0, 0.0)
SPEC = LabelSpec(names=("calm", "glad", "sad"), clip=ClipSpec(num_frames=16, size=32))
TINY = ClassifyConfig(spec=SPEC, encoder=TPSBTConfig(dim=16, num_heads=2, depths=(1, 2, 2), bottlenecks=2), mix=OFF)


def batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {"clip": torch.randn(6, 3, 16, 32, 32, generator=generator), "label": torch.tensor([0, 1, 2, 0, 1, 2])}


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return TINY.build()


def test_predict_agrees_with_forward(model):
    clip = batch()["clip"]
    logits = model.eval()(clip)
    assert logits.shape == (6, 3)
    torch.testing.assert_close(model.predict(clip), logits.softmax(1))


def test_loss_against_a_hand_computation(model):
    """Smoothed targets: 0.9 + 0.1 / 3 on the label, 0.1 / 3 elsewhere (decisions: mixing)."""
    data, out = batch(), model.train()(batch())
    probabilities = model(data["clip"]).softmax(1).detach().double().numpy()
    target = np.full((6, 3), 0.1 / 3)
    target[np.arange(6), data["label"]] += 0.9
    assert out["loss"].item() == pytest.approx(-(target * np.log(probabilities)).sum(1).mean(), abs=1e-5)
    plain = model.eval()(data)["loss"].item()
    assert plain == pytest.approx(-np.log(probabilities[np.arange(6), data["label"]]).mean(), abs=1e-5)


def test_the_head_starts_almost_at_zero(model):
    assert model.eval()(batch()["clip"]).abs().max() < 0.01


def test_every_parameter_gets_a_gradient(model):
    with torch.no_grad():
        model.head.weight.mul_(1000)  # as it starts, gradients below the head are near the smallest number
    model.train()(batch())["loss"].backward()
    assert idle(model) == []


def test_it_can_learn_one_batch(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        loss = model.train()(batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.eval()(batch()["clip"]).argmax(1).tolist() == batch()["label"].tolist()


def test_a_frozen_encoder_stays_as_it_is():
    config = replace(TINY, frozen="all", encoder=replace(TINY.encoder, drop_path=0.5))
    model = config.build().train()
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {"fc_norm", "head"}
    clip = batch()["clip"]
    assert torch.equal(model(clip), model(clip))  # no stochastic depth in a fixed encoder


def test_mixing_is_a_function_of_torchs_generator():
    config = ClassifyConfig(spec=SPEC, encoder=TINY.encoder)
    model = config.build().train()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(model(batch())["loss"].item())
    assert losses[0] == losses[1] != losses[2]


def test_evaluation_never_augments():
    config = replace(TINY, augment=ClipAugment(crop="random_resized", flip=0.5, erase=1.0))
    frames = torch.randint(0, 255, (1, 16, 40, 40, 3), dtype=torch.uint8)
    plain = config.build().plain_augment()
    assert plain.draw(np.random.default_rng(0)) == {}
    assert torch.equal(plain.apply(frames, {}), plain.apply(frames, {}))


FRAMES = replace(TINY, spec=replace(SPEC, per="frame", target=("expression",)), weights=(1.0, 2.0, 0.5))


def frames() -> dict:
    """Two clips of 16 frames, of which five are annotated."""
    values = torch.full((2, 16, 1), float("nan"))
    values[0, :3, 0], values[1, 5:7, 0] = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([2.0, 2.0])
    values[1, 9] = -1  # not annotated, as Aff-Wild2 writes it
    return {"clip": batch()["clip"][:2], "values": values}


def test_the_loss_of_frames_against_a_hand_computation():
    torch.manual_seed(0)
    model, data = FRAMES.build(), frames()
    with torch.no_grad():
        model.head.weight.mul_(1000)
    out = model.train()(data)
    logits = model(data["clip"]).detach().double().log_softmax(-1).numpy()
    assert logits.shape == (2, 16, 3)
    terms = []
    for b, t, label in ((0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 5, 2), (1, 6, 2)):
        target = np.full(3, 0.1 / 3) + 0.9 * np.eye(3)[label]
        terms.append(-(target * np.array([1.0, 2.0, 0.5]) * logits[b, t]).sum())
    assert out["loss"].item() == pytest.approx(np.mean(terms), rel=1e-4)
    plain = model.eval()(data)["loss"].item()
    logits = model(data["clip"]).detach().double().log_softmax(-1).numpy()
    labelled = [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 5, 2), (1, 6, 2)]
    assert plain == pytest.approx(np.mean([-logits[at] for at in labelled]), rel=1e-4)
    torch.testing.assert_close(model.predict(data["clip"]).sum(-1), torch.ones(2, 16))


def test_a_batch_without_labelled_frames_has_a_loss_of_zero_with_gradient():
    model = FRAMES.build().train()
    out = model({"clip": frames()["clip"], "values": torch.full((2, 16, 1), float("nan"))})
    assert out["loss"].item() == 0
    out["loss"].backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters() if p.requires_grad)
