"""Scoring a regressor: predictions averaged over the views of a clip, or concatenated over the frames of all videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mien.data.manifest import Manifest
from mien.data.select import clip_values, main_tracks
from mien.data.shards import Shards
from mien.evaluate.metrics import bootstrap_values, concordance
from mien.protocols._predict import members_of, predict_frames, predict_rows


@dataclass(frozen=True)
class Values:
    """One entry per labelled video: its name, subject, true and predicted values ``[T_i, K]`` (T_i = 1 per clip)."""

    items: list[str]
    subjects: list[str | None]
    truth: list[np.ndarray]
    predicted: list[np.ndarray]


def predict_items(
    model: Any, shards: Shards, rows: Manifest, batch_size: int, device: torch.device, workers: int = 2
) -> Values:
    """Of the main track of each video: the mean over its rows, or per frame all of them in order."""
    rows = main_tracks(rows)
    members, subjects = members_of(rows), rows.column("subject")
    if model.spec.per == "frame":
        truth, predicted = predict_frames(model, shards, rows, batch_size, device, workers)
        parts = [
            (np.concatenate([truth[i] for i in m]), np.concatenate([predicted[i] for i in m])) for m in members.values()
        ]
    else:
        values, per_row = (
            clip_values(rows, model.spec.names),
            predict_rows(model, shards, rows, batch_size, device, workers),
        )
        frames = np.array(rows.column("num_frames"))
        parts = [(values[m[:1]], np.average(per_row[m], axis=0, weights=frames[m])[None]) for m in members.values()]
    firsts = [subjects[m[0]] for m in members.values()]
    return Values(list(members), firsts, [t for t, _ in parts], [p for _, p in parts])


def score(values: Values, names: tuple[str, ...], seed: int = 0) -> dict[str, Any]:
    """CCC (unbiased variances, as the sibling's metric has them, official.md 5.1), PCC, MAE and RMSE per target and their means,
    over all annotated values of all videos, with 95 % intervals over people (videos where fewer than five are named)."""
    by_subject = None not in values.subjects and len(set(values.subjects)) >= 5
    groups = values.subjects if by_subject else values.items
    truth, predicted = np.concatenate(values.truth), np.concatenate(values.predicted)
    result: dict[str, Any] = {"num_videos": len(values.items), "per_target": {}}
    for k, name in enumerate(names):
        result["per_target"][name] = concordance(truth[:, k], predicted[:, k])
    for metric in ("ccc", "pcc", "mae", "rmse"):
        result[metric] = float(np.mean([result["per_target"][name][metric] for name in names]))
    interval = bootstrap_values(values.truth, values.predicted, [str(g) for g in groups], seed)
    return result | {"ccc_95": [interval.low, interval.high], "resampled": "subjects" if by_subject else "videos"}
