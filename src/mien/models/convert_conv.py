"""ResNets in torchvision's form, the released models of the ABAW5 solution and lip-reading checkpoints.

Names as published (decisions: convolutional-tensor-names).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.errors import UserError, require
from mien.layers.resnet import Activation
from mien.models.convert_fit import Found, by_bare_name, check_fit, not_finite
from mien.models.convert_keys import bare
from mien.models.convert_options import CONVOLUTIONAL, FRAME_PERIOD_S, LABELS, assumed_crops
from mien.models.encoder_only import EncoderOnlyConfig
from mien.models.folder import Model
from mien.models.options import ConvertOptions
from mien.tasks.classify import ClassifyConfig
from mien.tasks.table import TaskConfig
from mien.transforms.clip import GREY_MEAN, GREY_STD, ClipSpec
from mien.transforms.mix import Mix

RESNET_SIZE, RESNET_TEST_RESIZE = 224, 256
LIP_READING_SIZE = 96
NUM_FRAMES = 16  # ours: what the recipes take of a clip; the front end takes any number
COUNTER = "num_batches_tracked"
LIPS = ("frontend3D.", "trunk.")
LAST_STAGE = "layer4.0.conv1.weight"
PRELU = ("frontend3D.2.weight", "relu1.weight", "relu2.weight")

Converted = tuple[EncoderOnlyConfig | ClassifyConfig, dict[str, Tensor], list[str]]
"""What it is, its tensors under our names, notes."""


def conv_config_and_weights(state: dict[str, Tensor], source: Path, options: ConvertOptions) -> Converted:
    """As `convert.config_and_weights`, for the names of `CONVOLUTIONAL`."""
    if options.name == "lipreading-resnet18":
        return _lip_reading(state, source, options)
    state, inside = _one_resnet(state, source, options.prefix)
    found = by_bare_name(state, source)
    if any(key.startswith(("head.", "neck.")) for key in found):
        config, notes = _recogniser(found, source, options)
    else:
        config, notes = _backbone(found, source, options)
    weights, more = _fitted(config, found, source, options.name)
    return config, weights, inside + notes + more


def _one_resnet(state: dict[str, Tensor], source: Path, prefix: str | None) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of one network without what stands before their names, and a note on the rest. Files of self-supervised methods
    hold two, with their projections; those of torchvision and of ABAW5 have nothing, or what every loader knows, before them."""
    prefixes = sorted(key.removesuffix(LAST_STAGE) for key in state if key.endswith(LAST_STAGE))
    if prefix is None and len(prefixes) != 1:
        listed = ", ".join(f"--prefix {p}" for p in prefixes)
        require(not prefixes, f"{source} holds several networks, take one: {listed}")
        return state, []
    taken = prefixes[0] if prefix is None else prefix
    there = ", ".join(p or "nothing before the names" for p in prefixes) or f"no {LAST_STAGE}"
    require(taken in prefixes, f"--prefix {taken}: {source} has {there}")
    if prefix is None and bare(taken + LAST_STAGE) == LAST_STAGE:
        return state, []
    rest = Counter(key.partition(".")[0] for key in state if not key.startswith(taken))
    left = "; left out: " + ", ".join(f"{name}.* ({n} tensors)" for name, n in rest.items()) if rest else ""
    inside = {key.removeprefix(taken): value for key, value in state.items() if key.startswith(taken)}
    return inside, [f"the network is {taken}*{left}"]


def _backbone(found: Found, source: Path, options: ConvertOptions) -> tuple[EncoderOnlyConfig, list[str]]:
    """The encoder; the classifier ``fc`` is taken out of `found`."""
    dropped = [found.pop(key)[0] for key in sorted(found) if key.startswith("fc.")]
    notes = [f"the classifier is left out: {', '.join(dropped)}"] if dropped else []
    notes.append("pixels are normalised with ImageNet's mean and deviation, which the file does not say")
    return EncoderOnlyConfig(CONVOLUTIONAL[options.name], ClipSpec(1, 1, FRAME_PERIOD_S, options.size or RESNET_SIZE)), [
        *options.unused(source.name), *notes,
    ]  # fmt: skip


def _recogniser(found: Found, source: Path, options: ConvertOptions) -> tuple[ClassifyConfig, list[str]]:
    """The classifier of single frames, with SRP or with global average pooling."""
    pool = "srp" if any(key.startswith("neck.") for key in found) else "tokens"
    weight = found.get("head.fc.weight")
    number = weight[1].shape[0] if weight and weight[1].ndim == 2 else options.num_classes or 8
    labels = options.labels or ("aff-wild2" if number == len(LABELS["aff-wild2"].names) else None)
    names = LABELS[labels].names if labels else tuple(f"class_{i}" for i in range(number))
    require(number >= 1, f"{source} is a classifier of 0 classes: its head has no outputs; allowed are 1 or more")
    require(
        options.num_classes in (None, number),
        f"{source} has {number} classes, --num-classes says {options.num_classes}",
    )
    require(len(names) == number, f"{source} has {number} classes, --labels {labels} has {len(names)}")
    require(options.pool in (None, pool), f"--pool {options.pool}: the file has {pool}")
    size = options.size or RESNET_SIZE
    resize = RESNET_TEST_RESIZE if size == RESNET_SIZE else None
    spec = LabelSpec(
        names, per="frame", clip=ClipSpec(1, 1, FRAME_PERIOD_S, size), views=1, contract=assumed_crops(resize or size)
    )
    notes = ["how faces were cropped is assumed, not verified: our own default crop"]
    if labels and not options.labels:
        notes.append(f"8 classes are taken to be Aff-Wild2's, in the published order: {', '.join(names)}")
    config = ClassifyConfig(
        spec, CONVOLUTIONAL[options.name], pool=pool, head_norm="none", label_smoothing=0.0, mix=Mix(0.0, 0.0),
        test_resize=resize,
    )  # fmt: skip
    return config, notes


def _lip_reading(state: dict[str, Tensor], source: Path, options: ConvertOptions) -> Converted:
    """The front end, wherever in the names it stands; what is beside it is left out."""
    prefixes = sorted({key.partition(LIPS[0])[0] for key in state if LIPS[0] in key})
    require(len(prefixes) <= 1, f"{source} holds several front ends: {', '.join(p + LIPS[0] + '*' for p in prefixes)}")
    require(bool(prefixes), f"{source} holds no {LIPS[0]}*: it is no lip-reading model of this family")
    inside = tuple(prefixes[0] + part for part in LIPS)
    found: Found = {k.removeprefix(prefixes[0]): (k, v) for k, v in state.items() if k.startswith(inside)}
    dropped = Counter(key.partition(".")[0] for key in state if not key.startswith(inside))
    notes = options.unused(source.name)
    if dropped:
        notes.append(f"left out: {', '.join(f'{name}.* ({n} tensors)' for name, n in dropped.items())}")
    activation, more = _activation(found, source, options)
    clip = ClipSpec(NUM_FRAMES, 1, FRAME_PERIOD_S, options.size or LIP_READING_SIZE, mean=GREY_MEAN, std=GREY_STD)
    config = EncoderOnlyConfig(LipReadingConfig(activation), clip)
    weights, odd = _fitted(config, found, source, options.name)
    return config, weights, [*notes, *more, *odd]


def _activation(found: Found, source: Path, options: ConvertOptions) -> tuple[Activation, list[str]]:
    prelu = any(key.endswith(PRELU) for key in found)
    if prelu:
        require(options.activation in (None, "prelu"), f"{source} has PReLU, --activation says {options.activation}")
        return "prelu", []
    require(options.activation != "prelu", f"{source} has no weights of a PReLU: give --activation relu or swish")
    if options.activation:
        return options.activation, []
    return "relu", ["the file does not say whether its activation is ReLU, which is taken, or --activation swish"]


def _theirs(key: str) -> str:
    """Our name of a tensor of an encoder or classifier to the bare form of the authors'."""
    return key.removeprefix("encoder.") if key.startswith("encoder.") else key.replace("head.", "head.fc.")


def _fitted(config: Any, found: Found, source: Path, name: str) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors under our names. Raises UserError unless every tensor is there, in its shape, and no other."""
    with torch.device("meta"):
        own = config.build().state_dict()
    wanted, notes = {key: _theirs(key) for key in own}, []
    if not any(key.endswith(COUNTER) for key in found):
        # Files older than torch 0.4.1. Only BatchNorm with a cumulative average, which nobody here has, reads the counters.
        found |= {
            name: (name, torch.zeros((), dtype=torch.int64)) for name in wanted.values() if name.endswith(COUNTER)
        }
        notes = ["the file is older than BatchNorm's counters of batches: they begin at 0"]
    kind = "classifier of frames" if isinstance(config, ClassifyConfig) else "encoder"
    check_fit(own, wanted, found, f"{source} does not fit {name} ({kind}){_hint(found, name)}")
    notes += not_finite(found[theirs] for theirs in wanted.values())
    return {ours: found[theirs][1] for ours, theirs in wanted.items()}, notes


def _hint(found: Found, given: str) -> str:
    """Which model the file looks like, where that is not the one it was given for."""
    if "layer4.2.conv3.weight" in found and "layer4.3.conv3.weight" not in found:
        like = "resnet50" if "layer3.6.conv3.weight" not in found else given
    else:
        like = "resnet18" if "layer4.1.conv2.weight" in found and "layer4.2.conv1.weight" not in found else given
    return f" but looks like {like}, so try --as {like}" if like != given else ""


def conv_state(folder: Model) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """The tensors of a model folder under the authors' names, what their files hold them in, and notes.

    A ResNet is a bare state dict as torchvision's, a classifier ``{"state_dict": ...}`` with ``backbone.``, ``neck.`` and
    ``head.fc.``, a lip-reading front end ``{"model_state_dict": ...}``. Of a pre-training model the encoder is written.

    Raises:
        UserError: a supervised model that their code cannot hold.
    """
    config, tensors = folder.config, folder.module.state_dict()
    if isinstance(config, get_args(TaskConfig)):
        _check_recogniser(folder)
        state = {f"backbone.{_theirs(k)}" if k.startswith("encoder.") else _theirs(k): v for k, v in tensors.items()}
        return state, {"state_dict": state}, []
    encoder: Any = folder.module.encoder
    state = encoder.state_dict()
    left = len(tensors) - len(state)
    notes = [f"the encoder alone is written, without the other {left} tensors of the method"] if left else []
    return state, {"model_state_dict": state} if isinstance(config.encoder, LipReadingConfig) else state, notes


def _check_recogniser(folder: Model) -> None:
    config = folder.config
    fits = isinstance(config, ClassifyConfig) and isinstance(config.encoder, ResNetConfig)
    if not fits or config.head_norm != "none" or config.over_time != "mean":
        raise UserError(
            f"{folder.path}: of supervised models the authors' form holds classifiers with a ResNet, average or spatial "
            'reserve pooling and nothing before the head (head_norm "none"); give such a one, or the pre-training model'
        )
