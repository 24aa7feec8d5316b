"""One geometry for all models: `pytest tests/timeline/test_contract.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mien.contract import CropContract, Store
from mien.data.labels import LabelSpec
from mien.errors import UserError
from mien.faces.options import contract_for
from mien.timeline.contract import shared_contract
from mien.transforms.clip import ClipSpec

FACE = contract_for("face")


def spec(contract: CropContract, size: int = 96) -> LabelSpec:
    return LabelSpec(("a", "b"), clip=ClipSpec(size=size), contract=contract)


def test_the_largest_store_serves_all_models():
    small, grey = contract_for("face", store=Store(96)), contract_for("face", store=Store(160, color=False, fps=25))
    contract, notes = shared_contract({"a": spec(small), "b": replace(spec(grey), clip=ClipSpec.usual(1, 96))})
    assert contract.geometry == FACE.geometry
    assert contract.store == Store(160, color=True, fps=None)
    assert notes == []


def test_models_of_different_geometry_do_not_mix():
    specs = {"a": spec(FACE), "wide": spec(contract_for("face", margin=0.3))}
    with pytest.raises(
        UserError, match="wide: crop geometry differs.*margin.*one model at a time.*--allow-contract-mismatch"
    ):
        shared_contract(specs)
    contract, notes = shared_contract(specs, allow_mismatch=True)
    assert contract.geometry == FACE.geometry
    assert len(notes) == 1
    assert notes[0].startswith("wide: ")


@pytest.mark.parametrize(
    ("trained", "source", "hint"),
    [
        (contract_for("none"), "detect", "--crop none"),
        (contract_for("box", boxes=True), "detect", "--boxes FILE"),
        (FACE, "none", "leave --crop none away"),
        (FACE, "given", "leave --boxes away"),
    ],
)
def test_the_error_names_the_way_out(trained: CropContract, source, hint: str):
    with pytest.raises(UserError, match=hint):
        shared_contract({"m": spec(trained)}, source)


@pytest.mark.parametrize(
    ("trained", "source"),
    [
        (contract_for("none"), "none"),
        (contract_for("voxceleb2"), "detect"),
        (contract_for("box", boxes=True), "given"),
        (contract_for("box", margin=0.4), "detect"),
    ],
)
def test_each_source_serves_the_models_trained_on_it(trained: CropContract, source):
    contract, notes = shared_contract({"m": spec(trained)}, source)
    assert contract.geometry == trained.geometry
    assert notes == []


def test_an_assumed_contract_is_said():
    _, notes = shared_contract({"m": spec(replace(FACE, verified=False))})
    assert len(notes) == 1
    assert "assumed" in notes[0]
