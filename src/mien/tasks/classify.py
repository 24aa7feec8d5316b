"""Classification of clips or of their frames: cross entropy on one label, on smoothed labels or on annotators' votes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.data.dataset import Items
from mien.data.frames import FrameSampling, FrameSet, class_counts
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import class_indices, class_names, vote_shares
from mien.errors import require
from mien.learner import TrainingData
from mien.options import FLAT, HIDDEN
from mien.rng import generator
from mien.tasks.clip import ClipTask, ClipTaskConfig
from mien.transforms.mix import Mix, soft_targets


@dataclass(frozen=True)
class ClassifyConfig(ClipTaskConfig):
    """A classifier and how it is trained."""

    label_smoothing: float = 0.1
    """Share of the target that is spread over all classes."""
    mix: Annotated[Mix, FLAT] = field(default_factory=Mix)
    """Of clips; frames are not mixed."""
    soft_labels: bool = False
    """Train on the annotators' votes (columns votes_<class>) where a clip has them."""
    class_weights: bool = False
    """Weigh the loss by the inverse frequency of the class."""
    balanced_sampling: bool = False
    """Draw training clips so that every class comes equally often."""
    frames: Annotated[FrameSampling | None, FLAT] = None
    """Train on single frames in place of clips, and which; needs --per frame and --num-frames 1."""
    weights: Annotated[tuple[float, ...], HIDDEN] = ()
    """Of each class in the loss, mean 1 over the training clips (frames); () weighs all alike."""

    def __post_init__(self) -> None:
        super().__post_init__()
        smoothing, per = self.label_smoothing, self.spec.per
        require(0 <= smoothing <= 1, f"--label-smoothing {smoothing:g}: give a number from 0 to 1")
        clips = self.soft_labels or self.balanced_sampling
        require(not clips or per == "clip", "--soft-labels and --balanced-sampling are for --per clip")
        single = per == "frame" and self.spec.clip.num_frames == 1
        require(self.frames is None or single, "this recipe is of single frames: leave --per and --num-frames out")
        columns = " ".join(self.spec.target)
        require(len(self.spec.target) == 1, f"--target {columns}: a classifier has one label column")

    def named(self, spec: LabelSpec, data: TrainingData) -> LabelSpec:
        return class_spec(spec, data)

    def fitted(self, data: TrainingData) -> Self:
        fitted = super().fitted(data)
        return replace(fitted, weights=fitted.inverse_frequencies(data)) if self.class_weights else fitted

    def inverse_frequencies(self, data: TrainingData) -> tuple[float, ...]:
        names, column = self.spec.names, self.spec.column
        if self.spec.per == "frame":
            return inverse_shares(class_counts(data.clips, column, len(names)))
        return inverse_shares(np.bincount(class_indices(data.manifest, column, names), minlength=len(names)))

    def items(self, data: TrainingData) -> Items:
        if self.frames is None:
            return data.clips
        return FrameSet(data.clips, self.spec.target, self.frames, data.seed, len(self.spec.names))

    def targets(self, rows: Manifest) -> dict[str, np.ndarray]:
        if self.spec.per == "frame":
            return {}
        labels = class_indices(rows, self.spec.column, self.spec.names)
        if not self.soft_labels:
            return {"label": labels}
        return {"label": labels, "votes": vote_shares(rows, self.spec.names, labels)}

    def sampling_weights(self, rows: Manifest) -> np.ndarray | None:
        if not self.balanced_sampling:
            return None
        labels = class_indices(rows, self.spec.column, self.spec.names)
        return 1.0 / np.bincount(labels)[labels]

    def build(self) -> Classifier:
        return Classifier(self)


def class_spec(spec: LabelSpec, data: TrainingData) -> LabelSpec:
    """With classes in the corpus's order, with one that this training part lacks; else those of the labels, sorted."""
    found = class_names(data.manifest, spec.column) if spec.per == "clip" else ()
    names, root = data.classes or found, data.shards[0].root
    require(bool(names), f"{root} does not say which classes the frames' {spec.column} has: prepare --corpus")
    return replace(spec, names=names)


def inverse_shares(counts: np.ndarray) -> tuple[float, ...]:
    """Weight of each class [K]: mean 1 over what was counted."""
    return tuple((counts.sum() / (len(counts) * np.maximum(counts, 1))).round(6).tolist())


class Classifier(ClipTask):
    """``model(clip [B, C, T, H, W], normalised)`` returns logits ``[B, K]``, or ``[B, T, K]`` where the spec is per frame;
    ``model({"clip":, "label":})`` (per frame ``{"clip":, "values":}``) the loss."""

    config: ClassifyConfig

    def __init__(self, config: ClassifyConfig):
        super().__init__(config, len(config.spec.names))

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Of ``clip`` and class indices ``label [B]``, or ``votes [B, K]`` (shares of the annotators) in place of the label where
        the loader gives them: in training with smoothed targets and mixed clips, else the plain cross entropy."""
        if self.spec.per == "frame":
            return self._loss_of_frames(batch["clip"], batch["values"][..., 0])
        config, clip, label = self.config, batch["clip"], batch["label"]
        smoothing = config.label_smoothing if self.training else 0.0
        target = soft_targets(label, len(self.spec.names), smoothing)
        if self.training and "votes" in batch:
            target = batch["votes"] * (1 - smoothing) + smoothing / len(self.spec.names)
        if self.training and config.mix.on:
            # The loop has set torch's generator from (seed, step, rank), so this draw is a function of them too.
            rng = generator("mix", int(torch.randint(2**62, ())))
            params = config.mix.draw(rng, (clip.shape[-2], clip.shape[-1]))
            clip, target = config.mix.apply(clip, target, params)
        if self.training and config.weights:
            target = target * target.new_tensor(config.weights)
        logits = self.outputs(clip).float()
        correct = (logits.argmax(1) == label).float().mean()
        return {"loss": F.cross_entropy(logits, target), "accuracy": correct.detach()}

    def _loss_of_frames(self, clip: Tensor, values: Tensor) -> dict[str, Tensor]:
        """Mean over the annotated frames of the batch; `values` [B, T] are class indices, NaN or negative = not annotated.

        Without any the loss is 0, and its gradient too: every process of a distributed run has one.
        """
        known = torch.isfinite(values) & (values >= 0)
        label = torch.where(known, values, 0).long().flatten()
        weight = known.flatten().float()
        target = soft_targets(label, len(self.spec.names), self.config.label_smoothing if self.training else 0.0)
        if self.training and self.config.weights:
            target = target * target.new_tensor(self.config.weights)
        logits = self.outputs(clip).float().flatten(0, 1)
        count = weight.sum().clamp(min=1)
        loss = (F.cross_entropy(logits, target, reduction="none") * weight).sum() / count
        correct = ((logits.argmax(1) == label).float() * weight).sum() / count
        return {"loss": loss, "accuracy": correct.detach()}

    def predict(self, clip: Tensor) -> Tensor:
        """Class probabilities ``[B, K]``, or ``[B, T, K]`` per frame."""
        return self.outputs(clip).float().softmax(dim=-1)
