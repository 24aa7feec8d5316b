"""Scores on held-out training subjects, by which the best weights of a run are chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.scoring import classification, regression


def validation_scores(
    shards: Shards, rows: Manifest, batch_size: int, device: torch.device
) -> Callable[[Any], dict[str, float]]:
    """Scores on held-out training subjects, for ``--select best``; the first number chooses."""

    def call(model: Any) -> dict[str, float]:
        if model.spec.kind == "categorical" and model.spec.per == "frame":
            names = model.spec.names
            how = classification.FrameScoring(names, fill=False)
            frames = classification.predict_annotated_frames(model, model.spec, how, shards, rows, batch_size, device)
            result = classification.score(frames, names)
            return {"val_macro_f1": result["macro_f1"], "val_war": result["war"]}
        if model.spec.kind == "categorical":
            items = classification.predict_items(model, model.spec, shards, rows, batch_size, device)
            result = classification.score(items, model.spec.names)
            return {"val_uar": result["uar"], "val_war": result["war"]}
        found = regression.predict_items(model, shards, rows, batch_size, device)
        result = regression.score(found, model.spec)
        return {"val_ccc": result["ccc"], "val_mae": result["mae"]}

    return call


def chosen_by(spec: LabelSpec) -> str:
    """Name of the number that ``--select best`` goes by: the UAR of clips, the macro F1 of frames (ABAW), the CCC."""
    if spec.kind != "categorical":
        return "val_ccc"
    return "val_uar" if spec.per == "clip" else "val_macro_f1"
