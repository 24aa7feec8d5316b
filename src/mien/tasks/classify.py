"""Classification of clips or of their frames: cross entropy on one label, on smoothed labels or on annotators' votes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.rng import generator
from mien.tasks.clip import ClipTask, ClipTaskConfig
from mien.transforms.mix import Mix, soft_targets


@dataclass(frozen=True)
class ClassifyConfig(ClipTaskConfig):
    """A classifier and how it is trained."""

    label_smoothing: float = 0.1
    mix: Mix | None = field(default_factory=Mix)
    """Of clips; frames are not mixed."""
    class_weights: tuple[float, ...] = ()
    """Weight of each class in the loss, mean 1 over the training clips (frames); () weighs all alike."""

    def build(self) -> Classifier:
        return Classifier(self)


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
        if self.training and config.mix:
            # The loop has set torch's generator from (seed, step, rank), so this draw is a function of them too.
            rng = generator("mix", int(torch.randint(2**62, ())))
            params = config.mix.draw(rng, (clip.shape[-2], clip.shape[-1]))
            clip, target = config.mix.apply(clip, target, params)
        if self.training and config.class_weights:
            target = target * target.new_tensor(config.class_weights)
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
        if self.training and self.config.class_weights:
            target = target * target.new_tensor(self.config.class_weights)
        logits = self.outputs(clip).float().flatten(0, 1)
        count = weight.sum().clamp(min=1)
        loss = (F.cross_entropy(logits, target, reduction="none") * weight).sum() / count
        correct = ((logits.argmax(1) == label).float() * weight).sum() / count
        return {"loss": loss, "accuracy": correct.detach()}

    def predict(self, clip: Tensor) -> Tensor:
        """Class probabilities ``[B, K]``, or ``[B, T, K]`` per frame."""
        return self.outputs(clip).float().softmax(dim=-1)
