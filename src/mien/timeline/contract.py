"""How the faces of a video are cropped for the models that are to see them: one detection pass, so one geometry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mien.contract import CropContract, Geometry
from mien.data.contract import mismatch
from mien.data.labels import LabelSpec
from mien.errors import UserError
from mien.faces.options import contract_for
from mien.timeline.options import FaceSource


def shared_contract(
    specs: Mapping[str, LabelSpec], source: FaceSource = "detect", allow_mismatch: bool = False
) -> tuple[CropContract, list[str]]:
    """The contract to crop by, and what the reader of the results must be told about it.

    The geometry is that of the first model, as far as `source` can give it. The store is the largest of the models'
    stores at the video's own rate: each model reduces it by itself, exactly as it does with shards.

    Raises:
        UserError: a model was trained on another geometry, and `allow_mismatch` is off.
    """
    stores = [s.contract.store for s in specs.values()]
    largest = max(stores, key=lambda s: (s.size, s.quality))
    store = replace(largest, color=any(s.color for s in stores), fps=None, movements=False)
    geometry = _reachable(next(iter(specs.values())).contract, source)
    contract = CropContract(geometry, store)
    found = {n: reason for n, s in specs.items() if (reason := mismatch(s, contract, stand_in=source == "detect"))}
    notes = [f"{n}: {reason}" for n, reason in found.items()]
    if notes and not allow_mismatch:
        hint = _way_out(specs[next(iter(found))].contract.geometry, source)
        raise UserError(f"{notes[0]}; {hint}, or accept it with --allow-contract-mismatch")
    notes += [
        f"{n} does not say for certain how the faces it was trained on were cropped: {s.contract.describe()} is assumed"
        for n, s in specs.items()
        if not s.contract.verified
    ]
    return contract, notes


def _reachable(contract: CropContract, source: FaceSource) -> Geometry:
    wanted = contract.geometry
    if source == "none":
        return contract_for("none").geometry
    if contract.stand_in is not None:
        wanted = contract.stand_in
    if source == "detect" and wanted.crop == "voxceleb2":
        return wanted  # a fixed patch of the frame: nothing to detect
    base = contract_for("face").geometry if wanted.crop in ("none", "voxceleb2") else wanted
    return replace(base, detector="given" if source == "given" else "centerface")


def _way_out(wanted: Geometry, source: FaceSource) -> str:
    if wanted.crop == "none" and source != "none":
        return "give it videos that are face crops already, with --crop none"
    if wanted.detector == "given" and source != "given":
        return "give it the face boxes with --boxes FILE"
    if source != "detect":
        return f"leave {'--boxes' if source == 'given' else '--crop none'} away"
    return "predict with one model at a time"
