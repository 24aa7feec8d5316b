"""The model card that travels with the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mien.data.labels import LabelSpec
from mien.data.notes import PERSONALITY_NOTE
from mien.models.encoder_only import EncoderOnlyConfig
from mien.tasks.movements import MovementsConfig
from mien.tasks.sequence import SequenceConfig, reach_of

DRAWN_WARNING = (
    "This model was trained only on faces drawn by code. What it says about real people has no meaning; "
    "it shows how the software works."
)
LIMITS = (
    "It describes the apparent expression of a face in a video, as annotators would name it. It does not know what a person "
    "feels, thinks or intends, and it fails differently for different people, cameras and light. Do not use it to judge, "
    "select or monitor people."
)
TRAITS_LIMIT = f"{PERSONALITY_NOTE[0].upper()}{PERSONALITY_NOTE[1:]}."
UNVERIFIED = " (assumed, not verified)"


def model_card(config: Any, provenance: Any) -> str:
    """Markdown: what the model is, was trained on, needs as input, and is not."""
    spec: LabelSpec | None = getattr(config, "spec", None)
    lines = [
        "---",
        "library_name: mien",
        f"license: {'other' if provenance.converted_from else 'apache-2.0'}",
        "tags: [face-video, apparent-expression]",
        "---",
        "",
        f"# {provenance.recipe or 'model'}: {_kind(config, spec)}",
        "",
    ]
    if provenance.training_data == "drawn":
        lines += [f"> **{DRAWN_WARNING}**", ""]
    lines += [
        f"Written by mien {provenance.mien}. Load it with `mien.load(FOLDER)` or `mien predict VIDEO --model FOLDER`.",
        "",
    ]
    if spec:
        lines += ["## Input and output", "", _input(config, spec), _output(spec)]
        lines += [f"- Crop contract: {spec.contract.describe()}{'' if spec.contract.verified else UNVERIFIED}", ""]
    lines += ["## Training", "", *(_converted(provenance) if provenance.converted_from else _trained(provenance))]
    limits = [LIMITS, "", TRAITS_LIMIT, ""] if spec and spec.kind == "traits" else [LIMITS, ""]
    return "\n".join([*lines, "", "## Limits", "", *limits])


def _kind(config: Any, spec: LabelSpec | None) -> str:
    if isinstance(config, EncoderOnlyConfig):
        return "encoder without a head"
    if spec is None:
        return "self-supervised pre-training model"
    return f"classifier of `{spec.column}`" if spec.kind == "categorical" else f"regressor of {_names(spec.names)}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _input(config: Any, spec: LabelSpec) -> str:
    if isinstance(config, MovementsConfig):
        what = f"{config.features} over {config.pooling}, {config.axes} principal axes"
        own = ", less the person's own mean" if config.per_person else ""
        return f"- Input: movements of a face as mien prepare --movements stores them ({what}{own}). No pixels."
    clip = spec.clip
    every = f"one every {clip.step_s:.3f} s"
    frames, side = f"{clip.num_frames} frames, {every}", f"{clip.size} x {clip.size} pixels"
    if isinstance(config, SequenceConfig):
        whole = reach_of(config.encoder) is None
        pieces = f"in clips of {clip.num_frames}" if whole else f"trained on stretches of {clip.num_frames}"
        frames = f"a face's frames from its first one on, {every}, with the state carried along ({pieces})"
        cut = config.transform(training=False).out_size
        if cut != clip.size:
            side += f", of which the middle {cut} x {cut} are kept"
    color = "colour" if clip.color else "grey"
    return f"- Input: {frames}, {side}, {color}, normalised with mean {clip.mean} and standard deviation {clip.std}."


def _output(spec: LabelSpec) -> str:
    each = "of each frame" if spec.per == "frame" else "of the clip"
    if spec.kind == "categorical":
        return f"- Output: logits {each} for {_names(spec.names)}, in this order."
    low_high = f"; predictions are cut to {spec.range[0]:g} to {spec.range[1]:g}" if spec.range else ""
    return f"- Output: values {each} for {_names(spec.names)}, in this order{low_high}."


def _trained(provenance: Any) -> list[str]:
    return [
        f"- Faces: {provenance.training_data}. Manifests: {', '.join(dict.fromkeys(provenance.data)) or 'unknown'}.",
        *dict.fromkeys(f"- Crops: {c.describe()}" for c in provenance.contracts),
        f"- Started from: {provenance.init or 'random weights'}. Experiment {provenance.experiment or 'unknown'}.",
        *(f"- {name}: {value:.4g}" for name, value in provenance.metrics.items()),
    ]


def _converted(provenance: Any) -> list[str]:
    return [
        f"- Converted from a published checkpoint, not trained by mien: {provenance.converted_from}.",
        "- The weights are their authors' work: cite them, and ask them what you may do with the weights.",
        "- How the faces were cropped is assumed, not verified.",
    ]
