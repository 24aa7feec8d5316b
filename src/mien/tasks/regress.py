"""Regression: dimensions of affect or personality traits, for a clip or for each of its frames.

The papers' code for it is not public; the settings are those of the sibling HiCMAE (decisions: regression-settings): mean squared
error by default, no output activation, no mixing and no smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mien.losses.regression import RegressionLoss, regression_loss
from mien.tasks._clip import ClipTask, ClipTaskConfig


@dataclass(frozen=True)
class RegressConfig(ClipTaskConfig):
    """A regressor and how it is trained. Targets are in the units of the data set; the model learns them in [0, 1] or [-1, 1]
    only where the data set has them so."""

    loss: RegressionLoss = "mse"
    activation: Literal["none", "sigmoid", "tanh"] = "none"

    def build(self) -> Regressor:
        return Regressor(self)


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
