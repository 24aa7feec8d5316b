"""The model card that travels with the weights."""

from __future__ import annotations

from typing import Any

from mien.models.encoder_only import EncoderOnlyConfig

DRAWN_WARNING = (
    "This model was trained only on faces drawn by code. What it says about real people has no meaning; "
    "it shows how the software works."
)
LIMITS = (
    "It describes the apparent expression of a face in a video, as annotators would name it. It does not know what a person "
    "feels, thinks or intends, and it fails differently for different people, cameras and light. Do not use it to judge, "
    "select or monitor people."
)


def model_card(config: Any, provenance: Any) -> str:
    """Markdown: what the model is, was trained on, needs as input, and is not."""
    spec = getattr(config, "spec", None)
    kind = f"classifier of `{spec.target}`" if spec else "self-supervised pre-training model"
    if isinstance(config, EncoderOnlyConfig):
        kind = "encoder without a head"
    lines = [
        "---",
        "library_name: mien",
        f"license: {'other' if provenance.converted_from else 'apache-2.0'}",
        "tags: [face-video, apparent-expression]",
        "---",
        "",
        f"# {provenance.recipe or 'model'}: {kind}",
        "",
    ]
    if provenance.training_data == "drawn":
        lines += [f"> **{DRAWN_WARNING}**", ""]
    lines += [
        f"Written by mien {provenance.mien}. Load it with `mien.load(FOLDER)` or `mien predict VIDEO --model FOLDER`.",
        "",
    ]
    if spec:
        rate = f"{spec.num_frames} frames, one every {spec.stride * spec.frame_period_s:.3f} s"
        lines += [
            "## Input and output",
            "",
            f"- Input: {rate}, {spec.size} x {spec.size} pixels, {'colour' if spec.color else 'grey'}, normalised with "
            f"mean {spec.mean} and standard deviation {spec.std}.",
            f"- Output: logits of {', '.join(f'`{n}`' for n in spec.names)}, in this order.",
            f"- Crop contract: {spec.contract.describe()}"
            + ("" if spec.contract.verified else " (assumed, not verified)"),
            "",
        ]
    lines += ["## Training", "", *(_converted(provenance) if provenance.converted_from else _trained(provenance))]
    return "\n".join([*lines, "", "## Limits", "", LIMITS, ""])


def _trained(provenance: Any) -> list[str]:
    return [
        f"- Faces: {provenance.training_data}. Manifests: {', '.join(provenance.data) or 'unknown'}.",
        *(f"- Crops: {c.describe()}" for c in provenance.contracts),
        f"- Started from: {provenance.init or 'random weights'}. Experiment {provenance.experiment or 'unknown'}.",
        *(f"- {name}: {value:.4g}" for name, value in provenance.metrics.items()),
    ]


def _converted(provenance: Any) -> list[str]:
    return [
        f"- Converted from a published checkpoint, not trained by mien: {provenance.converted_from}.",
        "- The weights are their authors' work: cite them, and ask them what you may do with the weights.",
        "- How the faces were cropped is assumed, not verified.",
    ]
