from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mien.data.labels import LabelSpec
from mien.encoders.tpsbt import TPSBTConfig, tpsbt_base
from mien.errors import UserError
from mien.tasks.classify import ClassifyConfig
from mien.train.checkpoint import load_checkpoint, save_checkpoint
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig, Rates, build_optimizer, layer_scales, rates, set_rates
from mien.train.schedule import warmup_cosine


def test_schedule_against_the_published_rule():
    """linspace(0, lr, warm-up), then final + 0.5 (base - final)(1 + cos(pi i / N)) (decisions: learning-rate-schedule)."""
    values = [warmup_cosine(s, 10, 4, 1.0, 0.1) for s in range(10)]
    assert values[:4] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert values[4:] == pytest.approx([0.1 + 0.45 * (1 + math.cos(math.pi * i / 6)) for i in range(6)])


def test_layer_decay_of_the_base_model():
    """0.75 per block, 21 blocks: the embedding trains at 0.75^22 = 0.00178, down-sampling and head at 1
    (decisions: layer-decay)."""
    with torch.device("meta"):
        model = ClassifyConfig(spec=LabelSpec(names=("a", "b")), encoder=tpsbt_base()).build()
    scales = layer_scales(model, 0.75)
    assert scales["encoder.patch_embed.proj.weight"] == pytest.approx(0.0017838, rel=1e-4)
    assert scales["encoder.blocks.20.norm1.weight"] == 0.75
    top = (
        "encoder.temporal_downsamples.0.weight",
        "encoder.spatial_downsamples.1.mlp.fc1.weight",
        "fc_norm.bias",
        "head.weight",
    )
    assert {scales[name] for name in top} == {1.0}


def test_one_dimensional_tensors_are_not_decayed():
    narrow = TPSBTConfig(dim=16, num_heads=1)  # the base model's 21 blocks
    model = ClassifyConfig(spec=LabelSpec(names=("a", "b")), encoder=narrow).build()
    optimizer = build_optimizer(model, OptimConfig(layer_decay=0.75))
    for group in optimizer.param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
    assert sum(p.numel() for g in optimizer.param_groups for p in g["params"]) == sum(
        p.numel() for p in model.parameters()
    )
    set_rates(optimizer, Rates(lr=2.0, peak_lr=3.0, weight_decay=0.05))
    assert {g["lr"] for g in optimizer.param_groups} == {2.0 * 0.75**k for k in range(23)}


class Siamese(nn.Module):
    constant_lr = ("predictor.",)

    def __init__(self):
        super().__init__()
        self.encoder, self.predictor = nn.Linear(3, 2), nn.Linear(2, 2)


def test_a_predictor_may_keep_the_peak_rate():
    model = Siamese()
    optimizer = build_optimizer(model, OptimConfig(kind="sgd"))
    set_rates(optimizer, Rates(lr=0.5, peak_lr=2.0, weight_decay=0.1))
    lr = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert {lr[id(p)] for p in model.encoder.parameters()} == {0.5}
    assert {lr[id(p)] for p in model.predictor.parameters()} == {2.0}


def test_rates_of_a_step():
    """Warm-up from a tenth (decisions: single-frame-settings) and DINO's weight decay, 0.04 to 0.4 along half a cosine
    (decisions: dino-settings)."""
    config = OptimConfig(lr=1.0, min_lr=0.0, warmup_from=0.1, weight_decay=0.04, final_weight_decay=0.4)
    first, middle, last = (rates(config, step, 100, 11, 0.5) for step in (0, 50, 100))
    assert (first.lr, first.peak_lr, first.weight_decay) == pytest.approx((0.05, 0.5, 0.04))
    assert rates(config, 5, 100, 11, 0.5).lr == pytest.approx(0.5 * 0.55)
    assert middle.weight_decay == pytest.approx(0.22)
    assert last.weight_decay == pytest.approx(0.4)


def test_lars_against_its_formula():
    """Two steps by hand in NumPy (You et al. 2017, decisions: byol-settings); the bias takes the plain gradient."""
    model = nn.Linear(3, 2)
    w, b = model.weight.detach().numpy().copy(), model.bias.detach().numpy().copy()
    optimizer = build_optimizer(model, OptimConfig(kind="lars", weight_decay=0.1))
    velocity, velocity_b = np.zeros_like(w), np.zeros_like(b)
    for step in range(2):
        g, gb = np.full_like(w, 0.5 + step), np.full_like(b, 0.25)
        model.weight.grad, model.bias.grad = torch.from_numpy(g.copy()), torch.from_numpy(gb.copy())
        set_rates(optimizer, Rates(lr=2.0, peak_lr=2.0, weight_decay=0.1))
        optimizer.step()
        g = g + 0.1 * w
        velocity = 0.9 * velocity + 1e-3 * np.linalg.norm(w) / np.linalg.norm(g) * g
        velocity_b = 0.9 * velocity_b + gb
        w, b = w - 2.0 * velocity, b - 2.0 * velocity_b
    np.testing.assert_allclose(model.weight.detach().numpy(), w, rtol=1e-5)
    np.testing.assert_allclose(model.bias.detach().numpy(), b, rtol=1e-5)


def test_the_newest_whole_checkpoint_is_loaded(tmp_path):
    for step in (5, 9, 12):
        save_checkpoint(tmp_path, step, {"weight": torch.full((2,), float(step))})
    (tmp_path / "step_000000020.tmp").mkdir()  # a process was killed while writing
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 12
    assert state["weight"].tolist() == [12, 12]
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".tmp") == ["step_000000009", "step_000000012"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(tmp_path):
    for step in (5, 9):
        save_checkpoint(tmp_path, step, {"weight": torch.full((2,), float(step))})
    newest = tmp_path / "step_000000009"
    whole = (newest / "state.pt").read_bytes()
    for damaged in (whole[:500], b"", b"no checkpoint"):
        (newest / "state.pt").write_bytes(damaged)
        with pytest.raises(UserError, match="step_000000009 .* delete this folder"):
            load_checkpoint(tmp_path)
    (newest / "state.pt").unlink()
    with pytest.raises(UserError, match="step_000000009 .* delete this folder"):
        load_checkpoint(tmp_path)
    newest.rmdir()
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 5


def test_epochs_and_steps():
    config = TrainConfig(batch_size=10, epochs=4, warmup_epochs=1)
    assert (config.total_steps(50), config.warmup_steps(50)) == (20, 5)
    shorter = TrainConfig(batch_size=10, epochs=4, warmup_epochs=1, steps=8)
    assert (shorter.total_steps(50), shorter.warmup_steps(50)) == (8, 2)
    with pytest.raises(UserError, match="--steps 0"):
        TrainConfig(steps=0).total_steps(5)
