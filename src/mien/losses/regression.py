"""Losses of dimensional targets. NaN in a target is "not annotated" and takes no part."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

RegressionLoss = Literal["mse", "l1", "ccc"]
EPS = 1e-8  # a batch in which nothing varies has no correlation: the loss is then 1, with a finite gradient


def regression_loss(kind: RegressionLoss, prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the targets of their losses over all annotated values of a batch.

    Args:
        prediction, target: ``[..., K]``; clips, or clips and frames, first.

    Returns:
        a scalar; 0 where nothing is annotated.
    """
    prediction, target = prediction.float().flatten(0, -2), target.float().flatten(0, -2)
    known = target.isfinite()
    filled = torch.where(known, target, prediction.detach())
    if kind == "ccc":
        losses = 1 - ccc(prediction, filled, known)
    else:
        difference = prediction - filled
        each = difference.square() if kind == "mse" else difference.abs()
        losses = each.sum(0) / known.sum(0).clamp(min=1)
    annotated = known.any(0)
    return torch.where(annotated, losses, 0.0).sum() / annotated.sum().clamp(min=1)


def ccc(prediction: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Concordance correlation per column over its known rows, with biased (1/n) variances (decisions: ccc; the difference
    of the means is squared, where SS-VAERR's Eq. 1 prints their sum). All ``[n, K]``, returns ``[K]``."""
    n, weight = known.sum(0).clamp(min=1), known.float()
    mean_p, mean_t = (prediction * weight).sum(0) / n, (target * weight).sum(0) / n
    p, t = (prediction - mean_p) * weight, (target - mean_t) * weight
    covariance, spread = (p * t).sum(0) / n, (p.square().sum(0) + t.square().sum(0)) / n
    return 2 * covariance / (spread + (mean_p - mean_t).square() + EPS)
