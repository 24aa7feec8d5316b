from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from mien.data.labels import LabelSpec
from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.encoders.vit import ViTConfig
from mien.losses.regression import RegressionLoss, regression_loss
from mien.tasks.regress import RegressConfig
from mien.transforms.clip import ClipSpec
from tests.encoders.test_conformance import idle

SPEC = LabelSpec(("valence", "arousal"), "dimensional", clip=ClipSpec(size=32), range=(-1.0, 1.0))
FRAMES = replace(SPEC, per="frame")
PYRAMID = TPSBTConfig(dim=16, num_heads=2, depths=(1, 2, 2), bottlenecks=2)
REGIONS = LGIFormerConfig(dim=16, num_heads=2, depth=2, region=(2, 1, 2), grid=(8, 2, 2))
TASKS = {
    "clip": RegressConfig(SPEC, PYRAMID),
    "clip-ccc": RegressConfig(SPEC, PYRAMID, loss="ccc", activation="tanh"),
    "clip-regions": RegressConfig(SPEC, REGIONS, pool="summary", head_norm="batch"),
    "frame": RegressConfig(FRAMES, PYRAMID, loss="l1"),
    "frame-regions": RegressConfig(FRAMES, REGIONS, head_norm="batch"),
    "frame-vit": RegressConfig(FRAMES, ViTConfig(dim=16, num_heads=2, depth=2), loss="ccc"),
}


@pytest.fixture(params=TASKS, ids=str)
def config(request: pytest.FixtureRequest) -> RegressConfig:
    return TASKS[request.param]


def batch(config: RegressConfig) -> dict:
    rng = torch.Generator().manual_seed(0)
    shape = (6, 16, 2) if config.spec.per == "frame" else (6, 2)
    values = 2 * torch.rand(shape, generator=rng) - 1
    values[0] = torch.nan
    return {"clip": torch.randn(6, 3, 16, 32, 32, generator=rng), "values": values}


def test_shapes_and_range(config):
    torch.manual_seed(0)
    model = config.build().eval()
    with torch.no_grad():
        model.head.weight.mul_(1e5)  # far beyond the range
    predicted = model.predict(batch(config)["clip"])
    assert predicted.shape == batch(config)["values"].shape
    assert predicted.abs().max() <= 1
    assert model(batch(config)["clip"]).shape == predicted.shape


def test_every_parameter_gets_a_gradient(config):
    torch.manual_seed(0)
    model = config.build().train()
    with torch.no_grad():
        model.head.weight.mul_(1000)  # as it starts, gradients below the head are near the smallest number
    model(batch(config))["loss"].backward()
    assert idle(model) == []


def test_it_can_learn_one_batch(config):
    torch.manual_seed(0)
    model, data = config.build().train(), batch(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = model(data)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_frames_follow_the_encoders_slices_in_order():
    """A head that reads one channel: the prediction of a frame lies between those of the slices around it."""
    torch.manual_seed(0)
    model = TASKS["frame-vit"].build().eval()
    clip = batch(TASKS["frame-vit"])["clip"]
    tokens = model.encoder(clip).tokens.reshape(6, 8, 4, 16).mean(2)
    expected = np.stack(
        [np.interp((np.arange(16) + 0.5) / 2 - 0.5, np.arange(8), s) for s in tokens[0].detach().T.numpy()]
    )
    expected = model.fc_norm(torch.tensor(expected.T, dtype=torch.float32))
    torch.testing.assert_close(model.features(clip)[0], expected, atol=1e-5, rtol=1e-4)


def test_losses_against_numpy_with_gaps():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    target[:7, 0] = np.nan
    squares, distances, concordances = [], [], []
    for k in range(2):
        known = np.isfinite(target[:, k])
        p, t = prediction[known, k], target[known, k]
        squares.append(np.mean((p - t) ** 2))
        distances.append(np.mean(abs(p - t)))
        concordances.append(2 * np.cov(p, t, bias=True)[0, 1] / (p.var() + t.var() + (p.mean() - t.mean()) ** 2))
    means = (np.mean(squares), np.mean(distances), 1 - np.mean(concordances))
    for kind, expected in zip(get_args(RegressionLoss), means, strict=True):
        loss = regression_loss(kind, torch.tensor(prediction), torch.tensor(target))
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_nothing_annotated_costs_nothing():
    prediction = torch.randn(4, 2, requires_grad=True)
    for kind in ("mse", "l1", "ccc"):
        loss = regression_loss(kind, prediction, torch.full((4, 2), torch.nan))
        assert loss.item() == 0
        loss.backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
