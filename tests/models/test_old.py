"""Model folders that mien wrote before 0.2. `old_configs.json` is what commit dc85dc9 wrote, one line for each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien.config import from_json
from mien.learner import LearnerConfig
from mien.models.folder import CLASSES
from mien.models.old import as_now
from mien.transforms.clip import GREY_MEAN, GREY_STD, ClipAugment, ClipSpec
from mien.transforms.mix import Mix
from mien.transforms.sequence import SequenceAugment

OLD: dict[str, Any] = json.loads(Path(__file__).with_name("old_configs.json").read_text())
GREY: dict[str, Any] = {"mean": GREY_MEAN, "std": GREY_STD}
SEEN = {
    "pretrain-svfap": ClipSpec(16, 4, 1 / 30, 64),
    "pretrain-mae-dfer-region": ClipSpec(16, 4, 1 / 30, 64),
    "pretrain-contrawarping": ClipSpec(1, 1, 1 / 30, 64),
    "pretrain-dino": ClipSpec(1, 1, 1 / 30, 64),
    "pretrain-lira": ClipSpec(25, 1, 1 / 25, 64, **GREY),
    "classify-class-weights": ClipSpec(16, 4, 1 / 30, 64),
    "classify-frozen": ClipSpec(16, 4, 1 / 30, 64),
    "classify-plain": ClipSpec(16, 4, 1 / 30, 64),
    "regress-traits": ClipSpec(16, 4, 1 / 30, 64),
    "frames": ClipSpec(1, 1, 1 / 30, 80),
}


def config_of(name: str) -> Any:
    learner, provenance = as_now(OLD[name]["learner"], OLD[name]["provenance"])
    from_json(provenance, CLASSES)
    return from_json(learner, CLASSES)


@pytest.mark.parametrize("name", OLD)
def test_what_is_of_now_stays_as_it_is(name):
    now, provenance = as_now(OLD[name]["learner"], OLD[name]["provenance"])
    assert as_now(now, provenance) == (now, provenance)
    assert isinstance(config_of(name), LearnerConfig)


@pytest.mark.parametrize("name", SEEN)
def test_what_a_model_sees_has_a_name_now(name):
    seen = config_of(name).sees
    assert replace(seen, frame_period_s=None) == replace(SEEN[name], frame_period_s=None)
    assert seen.frame_period_s == pytest.approx(SEEN[name].frame_period_s, rel=1e-3)


def test_a_classifier_keeps_how_it_was_trained():
    weighted, frozen, plain = (config_of(n) for n in ("classify-class-weights", "classify-frozen", "classify-plain"))
    assert weighted.spec.target == ("label",)
    assert weighted.class_weights
    assert len(weighted.weights) == len(weighted.spec.names) == 7
    assert weighted.augment == ClipAugment("random_resized", flip=0.5, randaugment=True, erase=0.25)
    assert (weighted.mix, weighted.frozen, frozen.frozen) == (Mix(), "none", "all")
    assert (plain.mix, plain.spec.target) == (Mix(0.0, 0.0), ("dynamics",))


def test_numbers_keep_their_targets_and_frames_their_choice():
    traits, frames, sequence = (config_of(n) for n in ("regress-traits", "frames", "sequence-composite"))
    assert traits.spec.target == traits.spec.names == ("openness", "extraversion")
    assert traits.spec.kind == "traits"
    assert (frames.spec.per, frames.test_resize, frames.pool) == ("frame", 96, "srp")
    assert sequence.spec.target == ("arousal", "valence")
    assert sequence.augment == SequenceAugment(54, True, 0.5, 0.25, 1.0, 0.1, 0.2, 0.05)
    assert sequence.transform(training=False).out_size == 64


def test_a_masked_method_keeps_its_crops_and_its_order():
    svfap, region = config_of("pretrain-svfap"), config_of("pretrain-mae-dfer-region")
    assert svfap.augment == ClipAugment("multi_scale", scales=(1.0,))
    assert region.decoder_order == "region"
