"""The published models through `mien convert`, reproduced to the digit: weights and clip by a rule, outputs measured on the
published code (decisions: golden-outputs)."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import mien
from mien.methods.mae_dfer import MAEDFER
from mien.methods.svfap import SVFAPConfig
from mien.tasks.classify import Classifier
from mien.verbs.main import run
from tests.methods.test_conformance import PYRAMID
from tests.models import official_keys as official


def converted(folder: Path, name: str, shapes: official.Shapes) -> Any:
    """The model that a file of the authors' form becomes."""
    official.checkpoint(folder / "theirs.pth", shapes, args=Namespace(model=name), epoch=99)
    assert run(["convert", str(folder / "theirs.pth"), "--as", name, "--out", str(folder / "ours")]) == 0
    (folder / "theirs.pth").unlink()
    model = mien.load(folder / "ours").module
    (folder / "ours" / "model.safetensors").unlink()
    return model


def check(values: Tensor, mean: float, std: float, first: Sequence[float], last: Sequence[float]) -> None:
    """First values of sample 0 and last ones of sample 1, and their statistics over all."""
    values = values.double()
    assert values.mean().item() == pytest.approx(mean, abs=1e-4)
    assert values.std(correction=0).item() == pytest.approx(std, abs=1e-4)
    assert values[0].flatten()[: len(first)].tolist() == pytest.approx(first, abs=1e-4)
    assert values[1].flatten()[-len(last) :].tolist() == pytest.approx(last, abs=1e-4)


@torch.inference_mode()
def features_and_logits(model: Any) -> tuple[Tensor, Tensor]:
    assert isinstance(model, Classifier)
    features = model.features(official.clip())
    return features, model.head(features)


def test_svfap_base_classifier(tmp_path: Path):
    model = converted(tmp_path, "svfap-base", official.classifier("svfap-base"))
    features, logits = features_and_logits(model)
    first = [1.87418, 1.93720, 0.23895, -1.37477, 0.41825]
    check(logits, 0.556556, 1.063222, first, [0.45630, 0.42341, 0.31929])
    first = [1.28400, 0.80793, 0.71670, 0.47972, -0.01089]
    check(features, 0.003393, 1.001522, first, [-0.89047, 0.94082, -1.57675])


def test_mae_dfer_base_classifier(tmp_path: Path):
    model = converted(tmp_path, "mae-dfer-base", official.classifier("mae-dfer-base"))
    features, logits = features_and_logits(model)
    first = [0.17865, 0.36675, -0.82330, -1.46058, -0.97747]
    check(logits, -0.216229, 0.796177, first, [-0.61838, 0.49241, 0.49596])
    first = [-0.41873, 0.42890, -0.41696, -0.01455, 0.45567]
    check(features, 0.002833, 0.999932, first, [1.78192, -0.67317, -1.86272])


@pytest.fixture(scope="module")
def mae_dfer(tmp_path_factory: pytest.TempPathFactory) -> MAEDFER:
    folder = tmp_path_factory.mktemp("mae-dfer")
    return converted(folder, "mae-dfer-base", official.pretraining("mae-dfer-base"))


@torch.inference_mode()
def test_mae_dfer_base_pretraining_in_region_order(mae_dfer: MAEDFER):
    assert mae_dfer.config.decoder_order == "region"
    first = [-0.48586, -1.02404, -1.39995, 0.73099, -1.60451]
    output = mae_dfer.reconstruct(official.clip(), official.keep())
    check(output, -0.026410, 0.971360, first, [-0.67402, -0.31158, -0.26382])


@torch.inference_mode()
def test_mae_dfer_base_pretraining_in_raster_order(mae_dfer: MAEDFER):
    """The same weights in the order of our own training."""
    with torch.device("meta"):
        raster = replace(mae_dfer.config, decoder_order="raster").build().eval()
    raster.load_state_dict(mae_dfer.state_dict(), assign=True)
    first = [-0.48547, -1.02465, -1.40602, 0.73249, -1.60818]
    output = raster.reconstruct(official.clip(), official.keep())
    check(output, -0.026411, 0.971403, first, [-0.67523, -0.31264, -0.25725])


def test_targets():
    """No weights take part in the target, so a small encoder does."""
    targets = SVFAPConfig(encoder=PYRAMID).build().targets(official.clip(), official.keep())
    assert targets.shape == (2, 720, 1536)
    assert targets[0].flatten()[:4].tolist() == pytest.approx([-1.58365, -0.39435, -1.40337, -0.54203], abs=1e-4)
    assert targets[0].flatten()[768:772].tolist() == pytest.approx([-1.20903, -0.29427, -1.35319, 0.93040], abs=1e-4)
    assert targets.double().std(correction=0).item() == pytest.approx(0.999018, abs=1e-4)
