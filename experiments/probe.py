"""Linear probes of an encoder: what can be read off its features without changing it."""

from __future__ import annotations

from typing import Any

import numpy as np
from intervals import counts_by_person

PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Inverse strength of the L2 penalty; chosen on held-out training people."""


def probe(model: Any, shards: Any, frames: int) -> dict[str, Any]:
    """Confusion counts by person of multinomial logistic regression on standardised mean features."""
    rows = shards.manifest.ok()
    labels, people = (np.array(rows.column(c)) for c in ("label", "subject"))
    train = np.array(rows.column("split")) == "train"
    test = np.array(rows.column("split")) == "test"
    features = features_of(model, shards, rows, frames)
    best = max(PENALTIES, key=lambda c: held_out_uar(features[train], labels[train], people[train], c))
    predicted = fitted(features[train], labels[train], best).predict(features[test])
    return {"counts": counts_by_person(labels[test], predicted, people[test]).tolist(), "C": best}


def fitted(features: np.ndarray, labels: np.ndarray, penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(C=penalty, max_iter=500, class_weight="balanced")
    return make_pipeline(StandardScaler(), regression).fit(features, labels)


def held_out_uar(features: np.ndarray, labels: np.ndarray, people: np.ndarray, penalty: float) -> float:
    """Mean recall over four folds of training people."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold

    predicted = labels.copy()
    for a, b in GroupKFold(4).split(features, labels, people):
        predicted[b] = fitted(features[a], labels[a], penalty).predict(features[b])
    return float(balanced_accuracy_score(labels, predicted))


def features_of(model: Any, shards: Any, rows: Any, frames: int) -> np.ndarray:
    """Mean over space and over `frames` frames spread over the clip, ``[n, D]``; evaluation mode."""
    import torch

    from mien.data.dataset import ClipSet
    from mien.data.loader import EvalLoader, prepare_batch
    from mien.data.view import View

    views = {"clip": View(1, 1, "test", model.plain_augment())}
    found = np.zeros((len(rows), model.config.encoder.dim), np.float64)
    with torch.inference_mode():
        for batch in EvalLoader(ClipSet(shards, rows), views, 128, num_views=frames, workers=0):
            tokens = model.encoder(prepare_batch(batch, views, "cpu")["clip"]).tokens
            np.add.at(found, batch["index"].numpy(), tokens.mean(dim=1).numpy() / frames)
    return found
