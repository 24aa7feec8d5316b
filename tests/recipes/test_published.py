"""Recipes with labels: the published settings, what they cost and what score belongs to them, and the protocols they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mien.recipes
from mien.recipes import FINETUNE, index, recipe
from mien.scoring.protocols import PROTOCOLS
from mien.tasks.classify import ClassifyConfig
from mien.train.experiment import open_run
from mien.train.optim import rates

OURS = ("classify", "regress", "sequence", "sequence-micro")
"""Of no single benchmark: what they cost and give depends on the data."""
RELEASED = {
    "classify-svfap-released": ["dfew", "mafw"], "classify-ferv39k-svfap-released": ["ferv39k"],
    "classify-ferv39k-mae-dfer-released": ["ferv39k"], "frames-released": ["aff-wild2-expr"],
    "frames-resnet50-released": ["aff-wild2-expr"],
}  # fmt: skip
"""Protocols of the recipes that are no protocol's usual one."""
USUAL = {
    "dfew": "classify", "ferv39k": "classify-ferv39k", "mafw": "classify", "crema-d": "classify", "ravdess": "classify",
    "enterface05": "classify", "werewolf-xl": "regress-werewolf-xl", "avcaffe-arousal": "classify",
    "avcaffe-valence": "classify", "first-impressions": "regress-first-impressions", "aff-wild2-expr": "frames",
    "aff-wild2-va": "regress", "sewa": "sequence-sewa", "recola": "sequence-recola",
}  # fmt: skip
CLIPS = [name for name in index(FINETUNE) if not name.startswith(("frames", "sequence"))]


def made(name: str) -> Any:
    """The recipe, whatever its learner."""
    return recipe(name, FINETUNE)


def protocols_of(name: str) -> list[str]:
    return [p for p, usual in USUAL.items() if usual == name] + RELEASED.get(name, [])


def test_every_protocol_knows_its_usual_recipe():
    """Of the settings in both papers; "same as for DFEW" where they name none (decisions: fine-tuning-settings)."""
    assert {name: protocol.recipe for name, protocol in PROTOCOLS.items()} == USUAL


@pytest.mark.parametrize("name", index(FINETUNE))
def test_every_published_recipe_says_what_it_costs_and_gives(name: str, tmp_path: Path):
    experiment, said = made(name), getattr(mien.recipes, name.replace("-", "_")).__doc__ or ""
    assert experiment.name == name
    assert experiment.learner.spec.views == (2 if name in CLIPS else 1)
    if name not in OURS:
        assert "Cost:" in said or name.startswith("sequence")  # the paper does not say how long it trains
        assert "Expected" in said
        assert protocols_of(name)
    for protocol in protocols_of(name):
        assert (PROTOCOLS[protocol].kind == "categorical") == isinstance(experiment.learner, ClassifyConfig)
    open_run(tmp_path / "run", experiment, {})  # it can be written down


def test_batches_and_strides_are_the_published_ones():
    experiments = {name: made(name) for name in CLIPS}
    batches = {n: e.train.batch_size for n, e in experiments.items() if e.train.batch_size != 96}
    assert batches == {
        "classify-svfap-released": 64, "classify-ferv39k-svfap-released": 64, "classify-ferv39k-mae-dfer-released": 120,
    }  # fmt: skip
    strides = {n: e.learner.spec.clip.stride for n, e in experiments.items() if e.learner.spec.clip.stride != 4}
    assert strides == {n: 1 for n in experiments if "ferv39k" in n} | {"regress-werewolf-xl": 3}
    # learning rates 3.75e-4 at 96 clips, 4.6875e-4 at 120; 2.5e-4 at SVFAP's 64 (decisions: fine-tuning-batch)
    absolute = {n: e.optim.lr * e.train.batch_size / 256 for n, e in experiments.items()}
    assert absolute[PROTOCOLS["dfew"].recipe] == pytest.approx(3.75e-4)
    assert absolute["classify-ferv39k-mae-dfer-released"] == pytest.approx(4.6875e-4)
    assert absolute["classify-svfap-released"] == pytest.approx(2.5e-4)
    # steps per epoch of the published logs: 97 (DFEW fold 1), 259 (FERV39k)
    assert experiments[PROTOCOLS["dfew"].recipe].train.total_steps(9356) // 100 == 97
    assert experiments["classify-ferv39k-mae-dfer-released"].train.total_steps(31_088) // 100 == 259


@pytest.mark.parametrize("name", ["frames", "frames-released", "frames-resnet50-released"])
def test_settings_of_single_frames_are_the_published_ones(name: str):
    """SGD 0.005 at batch 128, cosine to 1e-5 after 100 of 8000 iterations from a tenth (decisions: single-frame-settings)."""
    experiment = made(name)
    train, optim, learner = experiment.train, experiment.optim, experiment.learner
    assert isinstance(learner, ClassifyConfig)
    assert train.batch_size == 128
    assert (train.total_steps(60_000), train.warmup_steps(60_000)) == (8000, 100)
    first, peak, last = (rates(optim, step, 8000, 100, 0.5).lr for step in (0, 100, 8000))
    assert (first, peak, last) == pytest.approx((0.0005, 0.005, 1e-5))
    assert (optim.kind, optim.momentum, optim.weight_decay) == ("sgd", 0.9, 0.01)
    augment = learner.augment
    assert (learner.spec.clip.size, learner.test_resize) == (224, 256)
    assert (augment.crop_area, augment.crop_aspect) == ((0.6, 1.0), (1.0, 1.0))
    assert learner.frames is not None
    assert learner.frames.redraw == (name == "frames")
    wanted = {"frames": ("srp", 3), "frames-released": ("tokens", -1), "frames-resnet50-released": ("srp", 2)}
    assert (learner.pool, learner.frozen_stages) == wanted[name]
