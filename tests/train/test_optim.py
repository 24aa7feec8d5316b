from __future__ import annotations

import math

import pytest
import torch

from mien.encoders.tpsbt import TPSBTConfig, tpsbt_base
from mien.tasks.classify import ClassifyConfig
from mien.train.checkpoint import load_checkpoint, save_checkpoint
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig, build_optimizer, layer_scales, set_lr
from mien.train.schedule import warmup_cosine
from mien.types import LabelSpec, UserError


def test_schedule_against_the_published_rule():
    """official.md 4.1: linspace(0, lr, warm-up), then final + 0.5 (base - final)(1 + cos(pi i / N))."""
    values = [warmup_cosine(s, 10, 4, 1.0, 0.1) for s in range(10)]
    assert values[:4] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert values[4:] == pytest.approx([0.1 + 0.45 * (1 + math.cos(math.pi * i / 6)) for i in range(6)])


def test_layer_decay_of_the_base_model():
    """0.75 per block, 21 blocks: the embedding trains at 0.75^22 = 0.00178, down-sampling and head at 1 (official.md 4.1)."""
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
    set_lr(optimizer, 2.0)
    assert {g["lr"] for g in optimizer.param_groups} == {2.0 * 0.75**k for k in range(23)}


def test_the_newest_whole_checkpoint_is_loaded(tmp_path):
    for step in (5, 9, 12):
        save_checkpoint(tmp_path, step, {"weight": torch.full((2,), float(step))})
    (tmp_path / "step_000000020.tmp").mkdir()  # a process was killed while writing
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 12
    assert state["weight"].tolist() == [12, 12]
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".tmp") == ["step_000000009", "step_000000012"]


def test_epochs_and_steps():
    config = TrainConfig(batch_size=10, epochs=4, warmup_epochs=1)
    assert (config.total_steps(50), config.warmup_steps(50)) == (20, 5)
    shorter = TrainConfig(batch_size=10, epochs=4, warmup_epochs=1, steps=8)
    assert (shorter.total_steps(50), shorter.warmup_steps(50)) == (8, 2)
    with pytest.raises(UserError, match="--steps 0"):
        TrainConfig(steps=0).total_steps(5)
