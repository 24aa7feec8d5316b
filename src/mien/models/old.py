"""Model folders that mien wrote before 0.2, when what a model sees had no name: their config as it would be written now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mien.config import KIND

CLIP = ("num_frames", "stride", "size", "mean", "std")
LOOKS = ("first", "second", "third", "local")
RANDOM = ("crop", "crop_area", "crop_aspect", "scales", "flip", "erase")
SEQUENCE = ("crop", "enlarge", "flip", "squares", "squares_prob", "missing", "solarize", "salt_pepper")


def as_now(learner: dict[str, Any], provenance: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """JSON data of a learner's config and of its provenance, as `to_json` writes them now. What is of now stays as it is."""
    provenance = dict(provenance)
    period = provenance.pop("frame_period_s", None)
    change = CHANGES.get(learner[KIND])
    told = learner.get("spec") or learner
    return (change(learner, period) if change and "clip" not in told else learner), provenance


def _clip(data: dict[str, Any], period: float | None) -> dict[str, Any]:
    return {KIND: "ClipSpec", **{k: data[k] for k in CLIP if k in data}, "frame_period_s": period}


def _method(data: dict[str, Any], period: float | None) -> dict[str, Any]:
    """Of one whose fields said what it sees."""
    kept = {k: v for k, v in data.items() if k not in (*CLIP, "scales", "frame_rate")}
    if "scales" in data:
        kept["augment"] = {KIND: "ClipAugment", "crop": "multi_scale", "scales": data["scales"]}
    return kept | {"clip": _clip(data, 1 / data["frame_rate"] if "frame_rate" in data else period)}


def _siamese(data: dict[str, Any], period: float | None) -> dict[str, Any]:
    size = max(data[name]["size"] for name in LOOKS if name in data)
    return _method({**data, "size": size}, period)


def _spec(data: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in data.items() if k not in (*CLIP, "frame_period_s", "color", "target")}
    target = [data["target"]] if data["kind"] == "categorical" else data["names"]
    return kept | {"target": target, "clip": _clip(data, data["frame_period_s"])}


def _task(data: dict[str, Any], period: float | None) -> dict[str, Any]:
    now = {**data, "spec": _spec(data["spec"]), "frozen": "all" if data["frozen"] else "none"}
    old = data["augment"] or {}
    random = {k: old[k] for k in RANDOM if k in old}
    now["augment"] = {KIND: "ClipAugment", **random, "randaugment": bool(old.get("randaugment"))}
    if "mix" in data:
        mix = data["mix"] or {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}
        now["mix"] = {KIND: "Mix", "mixup": mix["mixup_alpha"], "cutmix": mix["cutmix_alpha"]}
        now |= {"weights": data["class_weights"], "class_weights": bool(data["class_weights"])}
    return now


def _sequence(data: dict[str, Any], period: float | None) -> dict[str, Any]:
    augment = {KIND: "SequenceAugment", **{k: data["augment"][k] for k in SEQUENCE if k in data["augment"]}}
    return {**data, "spec": _spec(data["spec"]), "augment": augment}


CHANGES: dict[str, Callable[[dict[str, Any], float | None], dict[str, Any]]] = {
    **dict.fromkeys(("SVFAPConfig", "MAEDFERConfig", "VideoMAEConfig", "LiRAConfig", "EncoderOnlyConfig"), _method),
    **dict.fromkeys(("BYOLConfig", "SimSiamConfig", "ContraWarpingConfig", "DINOConfig"), _siamese),
    **dict.fromkeys(("ClassifyConfig", "RegressConfig"), _task),
    "SequenceConfig": _sequence,
}
