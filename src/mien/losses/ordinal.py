"""Classification of a number: uniform bins (SS-VAERR's CE) and k-means clusters with a cost of distance (its nCCE).

A target of NaN is "not annotated" and takes no part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import UserError
from mien.rng import generator

MAX_CLUSTERED = 200_000  # values that k-means looks at: more change the fourth digit of a centroid and take minutes


def bin_centres(bounds: tuple[float, float], num_bins: int) -> list[float]:
    """Middles of `num_bins` bins of equal width between the bounds."""
    low, high = bounds
    width = (high - low) / num_bins
    return [low + (k + 0.5) * width for k in range(num_bins)]


def uniform_bins(target: Tensor, bounds: tuple[float, float], num_bins: int) -> Tensor:
    """Index of each value's bin; the upper edge, and what lies beyond either, falls into the last bin on its side.

    NaN gives any index.
    """
    low, high = bounds
    place = (target.nan_to_num() - low) * (num_bins / (high - low))
    return place.floor().long().clamp(0, num_bins - 1)


def nearest_centroid(target: Tensor, centroids: Tensor) -> Tensor:
    """Index of each value's cluster. NaN gives any index.

    Args:
        target: ``[...]``. centroids: ``[L]``, rising.
    """
    edges = (centroids[1:] + centroids[:-1]) / 2
    return torch.bucketize(target.nan_to_num().contiguous(), edges)


def cross_entropy(logits: Tensor, classes: Tensor, known: Tensor) -> Tensor:
    """Mean over the known frames (SS-VAERR Eq. 3); 0 without one.

    Args:
        logits: ``[..., L]``. classes, known: ``[...]``.
    """
    return _mean(_each(logits, classes), known)


def cost_sensitive(logits: Tensor, classes: Tensor, centroids: Tensor, known: Tensor) -> Tensor:
    """Cross entropy, each frame weighted by ``1 + |its centroid - the expected one|``, mean over the known frames.

    SS-VAERR Eq. 4 and 5, with the minus sign that its Eq. 4 lacks. The targets are single numbers, so the norm of Eq. 5 is an
    absolute value, and the sum over the one-hot truth picks its centroid. The gradient goes through the cost too: the
    equations are one function of the prediction.

    Args:
        logits: ``[..., L]``. classes, known: ``[...]``. centroids: ``[L]``.
    """
    expected = (logits.float().softmax(-1) * centroids).sum(-1)
    return _mean((1 + (centroids[classes] - expected).abs()) * _each(logits, classes), known)


def _each(logits: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), classes.flatten(), reduction="none").reshape(classes.shape)


def _mean(each: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, each, 0.0).sum() / known.sum().clamp(min=1)


def clusters(values: np.ndarray, number: int, seed: int) -> tuple[float, ...]:
    """Rising k-means centroids of the annotated values ``[n]``.

    Raises:
        UserError: fewer different values than clusters.
    """
    from sklearn.cluster import KMeans

    known = values[np.isfinite(values)].astype(np.float64)
    different = len(np.unique(known))
    if different < number:
        raise UserError(
            f"{different} different values cannot make {number} clusters: give --num-bins {different} or fewer"
        )
    known = generator("k-means", seed).permutation(known)[:MAX_CLUSTERED]
    means: Any = KMeans(number, random_state=seed)  # one start, by k-means++
    found = means.fit(known[:, None]).cluster_centers_[:, 0]
    return tuple(float(f"{c:.6g}") for c in np.sort(found))
