"""Regression: dimensions of affect or personality traits, for a clip or for each of its frames.

The papers' code for it is not public; the settings are those of the sibling HiCMAE (decisions: regression-settings): mean squared
error by default, no output activation, no mixing and no smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import clip_values
from mien.errors import require
from mien.learner import TrainingData
from mien.losses.regression import RegressionLoss, regression_loss
from mien.tasks.clip import ClipTask, ClipTaskConfig

TRAITS = ("extraversion", "agreeableness", "conscientiousness", "neuroticism", "openness", "interview")


@dataclass(frozen=True)
class RegressConfig(ClipTaskConfig):
    """A regressor and how it is trained. Targets are in the units of the data set; the model learns them in [0, 1] or [-1, 1]
    only where the data set has them so."""

    loss: RegressionLoss = "mse"
    """Mean squared error, mean absolute error, or 1 - CCC over the batch."""
    activation: Literal["none", "sigmoid", "tanh"] = "none"
    """Of the outputs."""

    def named(self, spec: LabelSpec, data: TrainingData) -> LabelSpec:
        return number_spec(spec, data)

    def targets(self, rows: Manifest) -> dict[str, np.ndarray]:
        """Per-clip values ``[n, K]``."""
        return {} if self.spec.per == "frame" else {"values": clip_values(rows, self.spec.names)}

    def build(self) -> Regressor:
        return Regressor(self)


def number_spec(spec: LabelSpec, data: TrainingData) -> LabelSpec:
    """With targets by their columns. Raises UserError for traits and other targets together."""
    names = spec.target
    traits = [n for n in names if n.lower() in TRAITS]
    require(not traits or len(traits) == len(names), "--target: train traits and other targets separately")
    kind = "traits" if traits else "dimensional"
    return replace(spec, names=names, kind=kind, range=spec.range or _bounds(spec, data))


def _bounds(spec: LabelSpec, data: TrainingData) -> tuple[float, float]:
    if spec.per == "frame":
        return -1.0, 1.0
    values = clip_values(data.manifest, spec.target)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return next((b for b in ((0.0, 1.0), (-1.0, 1.0)) if b[0] <= low and high <= b[1]), (low, high))


class Regressor(ClipTask):
    """``model(clip [B, C, T, H, W], normalised)`` returns ``[B, K]``, or ``[B, T, K]`` where the spec is per frame."""

    config: RegressConfig

    def __init__(self, config: RegressConfig):
        super().__init__(config, len(config.spec.names))

    def outputs(self, clip: Tensor) -> Tensor:
        values = super().outputs(clip)
        if self.config.activation == "none":
            return values
        return torch.sigmoid(values) if self.config.activation == "sigmoid" else torch.tanh(values)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Of ``clip`` and ``values``: ``[B, K]``, or ``[B, T, K]`` per frame; NaN is not annotated."""
        prediction = self.outputs(batch["clip"]).float()
        return {"loss": regression_loss(self.config.loss, prediction, batch["values"])}

    def predict(self, clip: Tensor) -> Tensor:
        """Values in the units of the targets, cut to their range: ``[B, K]`` or ``[B, T, K]``."""
        values = self.outputs(clip).float()
        return values if self.spec.range is None else values.clamp(*self.spec.range)
