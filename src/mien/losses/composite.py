"""SS-VAERR's composite loss: ``w_ccc (1 - CCC) + w_mse MSE + w_ce CE + w_ncce nCCE`` for each target (its Eq. 6).

Misprints corrected: Eq. 6 adds CCC itself, where the text before Eq. 1 says that 1 - CCC is the loss; Eq. 1 has the sum of the
means (`regression.ccc`), Eq. 4 no minus sign (`ordinal.cost_sensitive`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from mien.errors import require
from mien.losses.ordinal import cost_sensitive, cross_entropy, nearest_centroid, uniform_bins
from mien.losses.regression import ccc
from mien.options import HIDDEN

Over = Literal["batch", "segment"]
Weights = tuple[float, ...]
TERMS = ("ccc", "mse", "ce", "ncce")


@dataclass(frozen=True)
class CompositeLoss:
    """Weights of the four terms: one number for all targets, or one for each.

    `ccc_over`: "batch" takes the concordance over all annotated frames of the batch, "segment" that of each segment, then their
    mean; the paper does not say. The default is the batch: the score is a concordance over concatenated videos, and within a
    segment in which the rating hardly moves every prediction's concordance is near 0, so such segments only add noise.
    """

    ccc: Weights = (1.0,)
    """Of 1 - CCC: one weight for all targets, or one for each."""
    mse: Weights = (0.0,)
    """Of the mean squared error."""
    ce: Weights = (0.0,)
    """Of the cross entropy of uniform bins."""
    ncce: Weights = (0.0,)
    """Of the cost-sensitive cross entropy of k-means clusters."""
    ccc_over: Over = "batch"
    """Take the concordance over the batch, or the mean of that of its segments."""

    def check(self, num_targets: int) -> None:
        """Raises UserError for weights that do not fit the targets."""
        for term in TERMS:
            weights = getattr(self, term)
            listed = " ".join(f"{w:g}" for w in weights)
            fits = len(weights) in (1, num_targets) and all(0 <= w < math.inf for w in weights)
            require(
                fits, f"--loss.{term} {listed}: give one weight of 0 or more, or one for each of {num_targets} targets"
            )
        for k in range(num_targets):
            weight = sum(self.weight(term, k) for term in TERMS)
            require(
                weight > 0, f"target {k + 1} has no loss: give one of --loss.{' --loss.'.join(TERMS)} a weight above 0"
            )

    def weight(self, term: str, target: int) -> float:
        weights: Weights = getattr(self, term)
        return weights[0] if len(weights) == 1 else weights[target]

    def uses(self, term: str) -> bool:
        return any(w > 0 for w in getattr(self, term))


@dataclass(frozen=True)
class Discrete:
    """How numbers become classes."""

    bounds: Annotated[tuple[float, float], HIDDEN] = (-1.0, 1.0)
    """Of the uniform bins: the range of the targets."""
    num_bins: int = 20
    """Uniform bins, and clusters, of each target."""
    centroids: Annotated[tuple[Weights, ...], HIDDEN] = ()
    """``[K, L]`` of the clusters of each target, rising; () where nCCE is not used."""

    def __post_init__(self) -> None:
        require(self.num_bins >= 2, f"--num-bins {self.num_bins}: give 2 or more")


def concordance_loss(prediction: Tensor, target: Tensor, over: Over) -> Tensor:
    """1 - CCC of one target, ``[B, T]`` each; 0 where no segment (or the batch) has two annotated frames."""
    known = target.isfinite()
    filled = torch.where(known, target, prediction.detach())
    columns = (x.reshape(-1, 1) if over == "batch" else x.T for x in (prediction, filled, known))
    found = 1 - ccc(*columns)
    counted = (known.sum().reshape(1) if over == "batch" else known.sum(1)) >= 2
    return torch.where(counted, found, 0.0).sum() / counted.sum().clamp(min=1)


def composite_loss(
    loss: CompositeLoss, discrete: Discrete, values: Tensor, logits: dict[str, Tensor], target: Tensor
) -> dict[str, Tensor]:
    """Mean over the targets of the weighted sum, as ``loss``, and each term that is used, unweighted: its mean over the targets
    whose weight for it is not 0.

    Args:
        values: ``[B, T, K]`` predicted numbers.
        logits: ``[B, T, K, L]`` by term, for "ce" and "ncce" where they are used.
        target: ``[B, T, K]``; NaN is not annotated.
    """
    values, target, count = values.float(), target.float(), target.shape[-1]
    terms = [term for term in TERMS if loss.uses(term)]
    each = {term: [_term(term, loss, discrete, values, logits, target, k) for k in range(count)] for term in terms}
    weighted = [loss.weight(term, k) * each[term][k] for term in terms for k in range(count)]
    found = {"loss": torch.stack(weighted).sum() / count}
    used = {t: [each[t][k] for k in range(count) if loss.weight(t, k) > 0] for t in terms}
    return found | {term: torch.stack(used[term]).mean().detach() for term in terms}


def _term(
    term: str,
    loss: CompositeLoss,
    discrete: Discrete,
    values: Tensor,
    logits: dict[str, Tensor],
    target: Tensor,
    k: int,
) -> Tensor:
    """One term of target k."""
    truth, known = target[..., k], target[..., k].isfinite()
    if term == "ccc":
        return concordance_loss(values[..., k], truth, loss.ccc_over)
    if term == "mse":
        square = (values[..., k] - torch.where(known, truth, values[..., k].detach())).square()
        return square.sum() / known.sum().clamp(min=1)
    scores = logits[term][..., k, :]
    if term == "ce":
        return cross_entropy(scores, uniform_bins(truth, discrete.bounds, discrete.num_bins), known)
    centroids = values.new_tensor(discrete.centroids[k])
    return cost_sensitive(scores, nearest_centroid(truth, centroids), centroids, known)
