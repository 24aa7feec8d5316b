from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest
import torch

import mien
from mien.contract import CropContract, Geometry
from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.methods.svfap import SVFAPConfig
from mien.models import Provenance, load, model_hash, save_model
from mien.models.card import model_card
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.tasks.sequence import SequenceConfig
from mien.transforms.clip import ClipSpec
from mien.transforms.sequence import SequenceAugment

ENCODER = TPSBTConfig(dim=16, num_heads=2, depths=(1, 2, 2), bottlenecks=2)
SPEC = LabelSpec(
    names=("calm", "glad"), target=('mood',), clip=ClipSpec(stride=2, frame_period_s=0.04, size=32), training_data="drawn",
    contract=CropContract(Geometry(margin=0.2)),
)  # fmt: skip
CONFIGS = [
    ClassifyConfig(spec=SPEC, encoder=ENCODER),
    SVFAPConfig(encoder=ENCODER, clip=ClipSpec(size=32), decoder_heads=2, decoder_dim=16),
]
PROVENANCE = Provenance((SPEC.contract,), "drawn", ("0123",), "classify", "4567", "fold_2", metrics={"val_uar": 0.5})


@pytest.mark.parametrize("config", CONFIGS, ids=["classifier", "pre-training"])
def test_round_trip(config, tmp_path):
    model = config.build()
    save_model(tmp_path / "run" / "model", model, config, PROVENANCE)
    for place in (tmp_path / "run" / "model", tmp_path / "run"):  # a model folder and a run folder alike
        folder = load(place)
        assert folder.config == config
        assert folder.provenance == PROVENANCE
        assert not folder.module.training
        assert all(
            torch.equal(a, b)
            for a, b in zip(folder.module.state_dict().values(), model.state_dict().values(), strict=True)
        )
    assert folder.hash == model_hash(tmp_path / "run")


def test_load_returns_logits(tmp_path):
    model = CONFIGS[0].build().eval()
    save_model(tmp_path, model, CONFIGS[0], PROVENANCE)
    clip = torch.randn(3, 3, 16, 32, 32)
    loaded = mien.load(tmp_path)
    logits = loaded(clip)
    assert repr(loaded).endswith("sees 16 frames of 32 x 32 pixels, 2 categorical outputs: calm, glad")
    assert logits.shape == (3, 2)
    assert torch.equal(logits, model(clip))


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = CONFIGS[0].build()
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = float("nan")
    save_model(tmp_path, model, CONFIGS[0], PROVENANCE)
    with pytest.raises(UserError, match="are not finite"):
        mien.load(tmp_path)


@pytest.mark.parametrize("clip", ["a.mp4", torch.zeros(1, 3, 16, 32, 32).double(), torch.zeros(0, 3, 16, 32, 32)])
def test_what_is_no_clip_is_refused(clip, tmp_path):
    save_model(tmp_path, CONFIGS[0].build(), CONFIGS[0], PROVENANCE)
    with pytest.raises(UserError, match="wanted a float32 tensor of normalised clips"):
        mien.load(tmp_path).predict(clip)


def test_the_card_says_what_it_is_and_is_not(tmp_path):
    save_model(tmp_path, CONFIGS[0].build(), CONFIGS[0], PROVENANCE)
    card = (tmp_path / "README.md").read_text()
    for words in (
        "`calm`, `glad`",
        "trained only on faces drawn by code",
        "margin 0.2",
        "16 frames, one every 0.080 s",
        "val_uar: 0.5",
    ):
        assert words in card


TINY = LipReadingConfig(width=4)
VALUES = LabelSpec(
    ("arousal", "valence"), "dimensional", "frame", range=(-1.0, 1.0), clip=ClipSpec(20, 1, 0.04, 32, (0.4,), (0.2,)),
)  # fmt: skip
TRAITS = replace(VALUES, kind="traits", per="clip", names=("openness",), range=None)
CROPPED = SequenceAugment(crop=28)
CARDS = {
    "frames": (
        RegressConfig(VALUES, TINY),
        ["regressor of `arousal`, `valence`", "values of each frame for `arousal`, `valence`", "cut to -1 to 1"],
    ),
    "traits": (
        RegressConfig(TRAITS, TINY),
        ["regressor of `openness`", "values of the clip for `openness`, in this order.", "never to choose, rank"],
    ),
    "sequence": (
        SequenceConfig(VALUES, TINY, 1, 4, augment=CROPPED),
        ["from its first one on, one every 0.040 s", "trained on stretches of 20", "of which the middle 28 x 28"],
    ),
}


@pytest.mark.parametrize("kind", CARDS)
def test_the_card_of_a_regressor_speaks_of_values(kind):
    config, expected = CARDS[kind]
    card = model_card(config, PROVENANCE)
    for words in expected:
        assert words in card
    assert "logits" not in card
    assert "classifier" not in card
    assert ("personality" in card) == (kind == "traits")


def test_the_card_names_data_of_both_trainings_once():
    twice = replace(PROVENANCE, contracts=PROVENANCE.contracts * 2, data=("0123", "0123", "89ab"))
    card = model_card(CONFIGS[0], twice)
    assert "Manifests: 0123, 89ab." in card
    assert card.count("- Crops: ") == 1


def test_bad_folders_are_explained(tmp_path):
    save_model(tmp_path / "m", CONFIGS[0].build(), CONFIGS[0], PROVENANCE)
    with pytest.raises(UserError, match="hub id"):
        mien.load(tmp_path / "nowhere" / "else" / "deep")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no model"):
        mien.load(tmp_path / "empty")
    save_model(tmp_path / "folds/fold_2/strict/model", CONFIGS[0].build(), CONFIGS[0], PROVENANCE)
    with pytest.raises(UserError, match="such as .*folds/fold_2/strict$"):
        mien.load(tmp_path / "folds")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["learner"]["encoder"]["dim"] = 32
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"do not fit: .* of another shape"):
        mien.load(tmp_path / "m")
    config["learner"]["kind_"] = "os.system"
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="not one of ours"):
        mien.load(tmp_path / "m")
    save_model(tmp_path / "m", CONFIGS[0].build(), CONFIGS[0], PROVENANCE)
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        mien.load(tmp_path / "m")


def test_a_hub_id_without_a_network_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = "import mien, mien.errors\ntry: mien.load('nobody/nothing')\nexcept mien.errors.UserError as e: print(e)"
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nobody/nothing is no local folder")
