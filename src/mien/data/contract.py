"""Whether crops that were prepared in some way serve a model (design: crop contract): one that is used, one that is fine-tuned
and one that is pre-trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mien.contract import CropContract
from mien.data.labels import LabelSpec
from mien.data.shards import Shards
from mien.errors import UserError, require
from mien.transforms.clip import GREY_MEAN, GREY_STD, ClipSpec

RATE_TOLERANCE = 1.05
GREY_OPTIONS = f"--encoder.channels 1 --mean {GREY_MEAN[0]} --std {GREY_STD[0]}"


def mismatch(spec: LabelSpec, data: CropContract, stand_in: bool = False) -> str | None:
    """Why crops made as `data` says do not serve a model of this spec, or None.

    Args:
        stand_in: take the stand-in geometry of a model trained on ready-made crops for its own.
    """
    model = spec.contract
    served = {model.geometry.hash, model.stand_in.hash if stand_in and model.stand_in else ""}
    if data.geometry.hash not in served:
        pairs = [(k, getattr(model.geometry, k), getattr(data.geometry, k)) for k in vars(model.geometry)]
        parts = [f"{k} {a!r} against {b!r}" for k, a, b in pairs if a != b]
        return f"crop geometry differs, the model's against the data's: {', '.join(parts)}"
    clip = spec.clip
    if data.store.size < clip.size:
        return f"crops are {data.store.size} px, the model needs {clip.size} px"
    if clip.color and not data.store.color:
        return "crops are grey, the model needs colour"
    wanted_s = clip.step_s
    if data.store.fps is not None and 1 / data.store.fps > wanted_s * RATE_TOLERANCE:
        return f"crops were kept at {data.store.fps:g} frames per second, the model samples {1 / wanted_s:g} (--fps)"
    return None


def check_contract(spec: LabelSpec, data: CropContract, allow_mismatch: bool = False) -> str | None:
    """None when the crops serve the model; the mismatch when they do not and that is allowed (print it beside every number).

    Raises:
        UserError: they do not serve it, with the way out.
    """
    reason = mismatch(spec, data)
    if reason and not allow_mismatch:
        g = spec.contract.geometry
        raise UserError(
            f"{reason}. Prepare the videos as the model was trained (mien prepare --crop {g.crop} --margin {g.margin:g} "
            f"--size {spec.clip.size}), or pass --allow-contract-mismatch, which is then printed beside every number"
        )
    return reason


def check_finetuning(spec: LabelSpec, shards: Shards) -> None:
    """Raises UserError for shards that a model of this spec cannot be trained on."""
    reason, color = mismatch(spec, shards.contract), ", in colour" if spec.clip.color else ""
    require(not reason, f"{shards.root}: {reason}; prepare it again with --size {spec.clip.size}{color}")


def check_pretraining(clip: ClipSpec, shards: Shards) -> None:
    """Raises UserError for crops smaller than a method's clips, or grey ones for clips in colour."""
    store = shards.contract.store
    wanted = f"prepare again with --size {clip.size}" + (", in colour" if clip.color else "")
    held = f"{shards.root} holds crops of {store.size} px"
    require(store.size >= clip.size, f"{held}, the recipe needs {clip.size}: {wanted}")
    grey = f"{shards.root} holds grey crops, the recipe needs colour: {wanted}"
    require(store.color or not clip.color, f"{grey}; or train a grey encoder on them: {GREY_OPTIONS}")


def check_features(config: Any, seen: Sequence[CropContract], shards: Shards, allow_mismatch: bool) -> str | None:
    """What differs between the crops that a model of any config has seen and these, where it may.

    Raises:
        UserError: the crops do not serve the model.
    """
    spec: LabelSpec | None = getattr(config, "spec", None)
    if spec is not None:
        return check_contract(spec, shards.contract, allow_mismatch)
    check_pretraining(config.sees, shards)
    return None if is_known(seen, shards) else f"pre-trained on crops {'; '.join(c.describe() for c in seen)}"


def is_known(seen: Sequence[CropContract], shards: Shards) -> bool:
    """Whether the pixels of these crops come from where those that a model has seen do; True where it does not say."""
    return not seen or shards.contract.geometry.hash in {c.geometry.hash for c in seen}
