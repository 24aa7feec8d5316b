"""Published checkpoints to model folders, and back: the masked family here, convolutional encoders in `convert_conv`.

Strict: every tensor of the file must be one of the model's, and the other way round.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError, require
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.masked import MaskedConfig
from mien.models.convert_conv import conv_config_and_weights, conv_state
from mien.models.convert_file import read_state, some
from mien.models.convert_fit import Found, by_bare_name, check_fit, not_finite
from mien.models.convert_keys import ROOT, bare, official_key
from mien.models.convert_options import (
    ASSUMED_CROPS,
    CONVOLUTIONAL,
    FRAME_PERIOD_S,
    LABELS,
    PUBLISHED,
    assumed_crops,
)
from mien.models.encoder_only import EncoderOnlyConfig
from mien.models.folder import Model, Provenance, load, save_model
from mien.models.options import ConvertOptions
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.transforms.clip import ClipSpec

MASKED_SIZE = 160

# Registered in the published SVFAP code, which no fine-tuning model fits (decisions: svfap-width).
REGISTERED_WIDTH = 768


@dataclass(frozen=True)
class Conversion:
    """What came of a conversion. `notes`: what the reader must know."""

    config: Any
    num_values: int
    notes: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        if isinstance(self.config, ClassifyConfig):
            names = self.config.spec.names
            return f"classifier of {len(names)} classes ({', '.join(names)})"
        return "encoder" if isinstance(self.config, EncoderOnlyConfig) else "pre-training model"


def convert_official(source: Path, out: Path, options: ConvertOptions) -> Conversion:
    """Reads the authors' `source` and writes the model folder `out`.

    Raises:
        UserError: a file that is none of ours to read, or does not fit `options` in every tensor; `out` in use.
    """
    _check_out(out)
    config, weights, notes = config_and_weights(read_state(source), source, options)
    with torch.device("meta"):
        model = config.build()
    model.load_state_dict(weights, assign=True)
    with open(source, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    origin = f"{source.name} (SHA-256 {sha256}) as {options.name}"
    # A backbone was trained on pictures or mouths of its own, whose crop is nothing that ours could differ from.
    contracts = () if isinstance(config, EncoderOnlyConfig) else (ASSUMED_CROPS,)
    provenance = Provenance(contracts=contracts, recipe=options.name, converted_from=origin)
    save_model(out, model, config, provenance)
    return Conversion(config, sum(v.numel() for v in weights.values()), tuple(notes))


def config_and_weights(
    state: dict[str, Tensor], source: Path, options: ConvertOptions
) -> tuple[Any, dict[str, Tensor], list[str]]:
    """What a state dict of the authors' is, its tensors under our names, and notes on it. `source` is for messages.

    Raises:
        UserError: as `convert_official`.
    """
    if options.name in CONVOLUTIONAL:
        return conv_config_and_weights(state, source, options)
    found = by_bare_name(state, source)
    config, notes = _config_of(found, source, options)
    with torch.device("meta"):
        own = config.build().state_dict()
    pretraining = isinstance(config, MaskedConfig)
    wanted = {key: official_key(key, pretraining) for key in own}
    kind = "pre-training model" if pretraining else "classifier"
    check_fit(own, wanted, found, f"{source} does not fit {options.name} ({kind}){_hint(found, options.name)}")
    names = {key: bare(theirs) for key, theirs in wanted.items()}
    notes += not_finite(found[theirs] for theirs in names.values())
    return config, {ours: found[theirs][1] for ours, theirs in names.items()}, notes


def _check_out(out: Path) -> None:
    """An earlier conversion may be replaced, nothing else."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give a new folder")
    if out.is_dir() and any(out.iterdir()):
        try:
            earlier = json.loads((out / "config.json").read_text())["provenance"]["converted_from"]
        except (OSError, ValueError, KeyError, TypeError):
            earlier = ""
        require(bool(earlier), f"{out} is not empty and holds no converted model: give a new folder")


def _config_of(found: Found, source: Path, options: ConvertOptions) -> tuple[MaskedConfig | ClassifyConfig, list[str]]:
    """What the file holds, and notes on it.

    Raises:
        UserError: neither a pre-training model nor a classifier, or options that do not agree with it.
    """
    method = PUBLISHED[options.name]
    if any(k.startswith("decoder.") or k in ROOT.values() for k in found):
        _explain_registered(found, source)
        clip = ClipSpec(frame_period_s=FRAME_PERIOD_S, size=options.size or MASKED_SIZE)
        return replace(method, clip=clip), options.unused(source.name)
    if any(k.startswith(("head.", "fc_norm.")) for k in found):
        return _classifier(found, source, options)
    raise UserError(
        f"{source} holds neither the decoder of a pre-training model nor the head of a classifier: {some(sorted(found), 5)}"
    )


def _explain_registered(found: Found, source: Path) -> None:
    if _family(found) is TPSBTConfig and _width(found) == REGISTERED_WIDTH:
        raise UserError(
            f"{source} is the pre-training model that the published SVFAP code registers: 768 wide with 12 heads, where the "
            "paper and the published classifier are 512 wide with 8. Of the classifier's 385 tensors 375 do not fit it, so it is "
            "refused: pre-train with a width of 512, or ask the authors for such weights"
        )


def _classifier(found: Found, source: Path, options: ConvertOptions) -> tuple[ClassifyConfig, list[str]]:
    encoder = PUBLISHED[options.name].encoder
    pool = options.pool or encoder.pools[0]
    has_summary = "summary" in encoder.pools
    require(
        pool == "tokens" or (has_summary and pool != "fused"),
        f"--pool {pool}: {options.name} classifiers average tokens",
    )
    labels = LABELS[options.labels] if options.labels else None
    number = _num_classes(found, options)
    require(number >= 1, f"{source} is a classifier of 0 classes: its head has no outputs; allowed are 1 or more")
    if options.num_classes not in (None, number):
        raise UserError(f"{source} has {number} classes, --num-classes says {options.num_classes}")
    if labels and len(labels.names) != number:
        raise UserError(f"{source} has {number} classes, --labels {options.labels} has {len(labels.names)}")
    spec = LabelSpec(
        names=labels.names if labels else tuple(f"class_{i}" for i in range(number)),
        clip=ClipSpec(16, labels.stride if labels else 4, FRAME_PERIOD_S, options.size or MASKED_SIZE),
        contract=assumed_crops(options.size or MASKED_SIZE),
    )
    spec.clip.check(encoder)
    notes = ["how faces were cropped is assumed, not verified: our own default crop"]
    if not labels:
        notes.append(f"the file does not name its classes: give --labels {'|'.join(LABELS)} if it is one of these")
    return ClassifyConfig(spec=spec, encoder=encoder, pool=pool), notes


def _num_classes(found: Found, options: ConvertOptions) -> int:
    """Rows of the head's weight, else values of its bias, so that a damaged weight is the one thing that does not fit."""
    for name, dims in (("head.weight", 2), ("head.bias", 1)):
        if name in found and found[name][1].ndim == dims:
            return found[name][1].shape[0]
    return options.num_classes or 1


def _family(found: Iterable[str]) -> type:
    """Class of the encoder's config, by the tensors only that encoder has."""
    if "lg_region_tokens" in found:
        return type(PUBLISHED["mae-dfer-base"].encoder)
    pyramid = any(k.startswith("spatial_downsamples.") for k in found)
    return type(PUBLISHED["svfap-base" if pyramid else "videomae-base"].encoder)


def _width(found: Found) -> int:
    weight = found.get("patch_embed.proj.weight")
    return weight[1].shape[0] if weight and weight[1].ndim else 0


def _hint(found: Found, given: str) -> str:
    """Which model the file looks like, where that is not the one it was given for."""
    family, width = _family(found), _width(found)
    for name, method in PUBLISHED.items():
        if type(method.encoder) is family and method.encoder.dim == width and name != given:
            return f" but looks like {name}, so try --as {name}"
    return ""


def official_state(folder: Model) -> dict[str, Tensor]:
    """The tensors of a loaded model folder under the authors' names.

    Raises:
        UserError: a model that their code cannot hold.
    """
    config = folder.config
    require(
        not isinstance(config, RegressConfig),
        f"{folder.path} is a regressor: the authors' form holds classifiers and pre-training models, not the names, range and "
        "activation that its values need; give one of those",
    )
    if isinstance(config.encoder, (ResNetConfig, LipReadingConfig)):
        return conv_state(folder)[0]
    pretraining = isinstance(config, MaskedConfig)
    if not pretraining:
        kind = type(config).__name__.removesuffix("Config")
        held = "classifiers and masked pre-training models of Transformers, and convolutional encoders"
        require(isinstance(config, ClassifyConfig), f"{folder.path} is a {kind} model: the authors' forms hold {held}")
        require(
            config.head_norm == "layer", f"{folder.path}: the published classifiers have a LayerNorm before the head"
        )
        require(
            config.pool not in ("fused", "srp"), f"{folder.path}: the published classifiers average tokens of one stage"
        )
        require(config.over_time == "mean", f"{folder.path}: the published classifiers have no block over time")
    state: dict[str, Tensor] = {official_key(k, pretraining): v for k, v in folder.module.state_dict().items()}
    first = {k: v for k, v in state.items() if k == "mask_token"}  # as in their files (decisions: tensor-names)
    return {**first, **state}


def write_official(name: Path | str | Model, file: Path) -> Conversion:
    """Writes the model folder `name` as the authors' code would: ``{"model": state dict}``; of convolutional encoders as
    `convert_conv.conv_state` says.

    Raises:
        UserError: no model folder, one that their code cannot hold, or `file` is a folder.
    """
    require(not file.is_dir(), f"{file} is a folder: give a file name such as {file / 'checkpoint.pth'}")
    folder = load(name)
    state, notes = official_state(folder), []
    data: dict[str, Any] = {"model": state}
    if isinstance(folder.config.encoder, (ResNetConfig, LipReadingConfig)):
        _, data, notes = conv_state(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.tmp")
    torch.save(data, partial)
    os.replace(partial, file)
    if isinstance(folder.config, MAEDFERConfig) and folder.config.decoder_order == "raster":
        notes.append("the published code decodes in region order; this model was pre-trained in raster order")
    return Conversion(folder.config, sum(v.numel() for v in state.values()), tuple(notes))
