"""Scoring a regressor: predictions averaged over the views of a clip, or concatenated over the frames of all videos.

A clip without a face, or one that cannot be decoded, counts with the middle of the range as its prediction, and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import annotated_tracks, clip_values, main_tracks
from mien.data.shards import Shards
from mien.errors import UserError
from mien.scoring.crosscheck import check_values
from mien.scoring.inference import average, members_of, predict_frames, predict_rows
from mien.scoring.metrics import resampling_groups
from mien.scoring.tracks import predict_tracks
from mien.scoring.values import VALUE_METRICS, bootstrap_values, concordance


@dataclass(frozen=True)
class Values:
    """One entry per labelled video: its name, subject, true and predicted values ``[T_i, K]`` (T_i = 1 per clip); predictions
    are NaN where there are none."""

    items: list[str]
    subjects: list[str | None]
    truth: list[np.ndarray]
    predicted: list[np.ndarray]

    def table(self, names: Sequence[str]) -> pa.Table:
        """A row per value: item, subject, frame, ``true_<target>``, ``predicted_<target>``."""
        counts = [len(t) for t in self.truth]
        truth, predicted = np.concatenate(self.truth), np.concatenate(self.predicted)
        columns: dict[str, Any] = {
            "item": np.repeat(np.array(self.items, object), counts),
            "subject": np.repeat(np.array(self.subjects, object), counts),
            "frame": np.concatenate([np.arange(n) for n in counts]),
        }
        columns |= {f"true_{n}": truth[:, k] for k, n in enumerate(names)}
        return pa.table(columns | {f"predicted_{n}": predicted[:, k] for k, n in enumerate(names)})


def read_values(path: Path, names: Sequence[str]) -> Values:
    """What `Values.table` was written to. Raises UserError for a table of other targets."""
    table = pq.read_table(path)
    if missing := [n for n in names if f"true_{n}" not in table.column_names]:
        raise UserError(f"{path} has no column {', '.join(f'true_{n}' for n in missing)}: it is of other targets")
    frames = table.column("frame").to_numpy()
    starts = np.flatnonzero(frames == 0)
    items, subjects = (table.column(c).to_pylist() for c in ("item", "subject"))
    truth, predicted = (
        np.split(np.stack([table.column(f"{kind}_{n}").to_numpy() for n in names], axis=1), starts[1:])
        for kind in ("true", "predicted")
    )
    return Values([items[s] for s in starts], [subjects[s] for s in starts], truth, predicted)


def pooled(parts: Sequence[Values]) -> Values:
    """The entries of all folds, as if of one test set."""
    lists = ([v for p in parts for v in getattr(p, name)] for name in ("items", "subjects", "truth", "predicted"))
    return Values(*lists)


def predict_items(
    model: Any, shards: Shards, rows: Manifest, batch_size: int, device: torch.device, workers: int = 2
) -> Values:
    """Of the main person of each video: the mean over the rows of the longest track, or per frame all tracks in order of time.
    `rows` have a face."""
    rows = annotated_tracks(rows) if model.spec.per == "frame" else main_tracks(rows)
    members, subjects = members_of(rows), rows.column("subject")
    firsts = [subjects[m[0]] for m in members.values()]
    if model.spec.per == "frame":
        if hasattr(model, "predict_track"):
            both = predict_tracks(model, shards, rows, device)
        else:
            both = predict_frames(model, shards, rows, batch_size, device, workers)
        truth, predicted = ([np.concatenate([part[i] for i in m]) for m in members.values()] for part in both)
        return Values(list(members), firsts, truth, predicted)
    values, frames = clip_values(rows, model.spec.names), np.array(rows.column("num_frames"))
    per_row = predict_rows(model, shards, rows, batch_size, device, workers)
    averaged = [average(per_row[m], frames[m])[None] for m in members.values()]
    return Values(list(members), firsts, [values[m[:1]] for m in members.values()], averaged)


def with_failures(values: Values | None, failed: Manifest, spec: LabelSpec) -> Values:
    """Adds the labelled clips that gave no face as entries without a prediction (per frame their annotation is not in the
    shards, and nothing can be added)."""
    known = set(values.items) if values else set()
    failed = failed.where(lambda r: r["clip_id"] not in known)
    if spec.per == "frame" or not len(failed):
        if values is None:
            raise UserError(f"none of the {len(failed)} videos has a face; see manifest.parquet, column reason")
        return values
    truth = clip_values(failed, spec.names)
    nothing = [np.full((1, len(spec.names)), np.nan)] * len(failed)
    missing = Values(failed.column("clip_id"), failed.column("subject"), list(truth[:, None]), nothing)
    return pooled([values, missing]) if values else missing


def filled(values: Values, middle: float) -> Values:
    """Entries without a prediction get the middle of the range."""
    predicted = [np.where(np.isfinite(p), p, middle) for p in values.predicted]
    return Values(values.items, values.subjects, values.truth, predicted)


def unpredicted(values: Values) -> list[str]:
    """Names of the entries without a prediction, or with frames without one."""
    return [i for i, p in zip(values.items, values.predicted, strict=True) if not np.isfinite(p).all()]


def middle_of(spec: LabelSpec) -> float:
    """Middle of the range of the targets; 0 for a model without one."""
    return sum(spec.range) / 2 if spec.range else 0.0


def score(values: Values, spec: LabelSpec, seed: int = 0) -> dict[str, Any]:
    """Every metric per target and their means over all annotated values of all videos, with 95 % intervals over people (over
    videos where fewer than five are named). The metrics are checked against torchmetrics, scipy and scikit-learn.

    The middle of the spec's range stands for a prediction that is missing.
    """
    names, missing = spec.names, unpredicted(values)
    values = filled(values, middle_of(spec))
    groups, word = resampling_groups(values.items, values.subjects)
    truth, predicted = np.concatenate(values.truth), np.concatenate(values.predicted)
    intervals = bootstrap_values(values.truth, values.predicted, groups, seed)
    result: dict[str, Any] = {"per_target": {}, "checked_with": {}, "choices": VALUE_METRICS, "names": list(names)}
    for k, name in enumerate(names):
        found: dict[str, Any] = concordance(truth[:, k], predicted[:, k])
        result["checked_with"] |= check_values(truth[:, k], predicted[:, k], found)
        result["per_target"][name] = found | {f"{m}_95": intervals[m][k].pair for m in VALUE_METRICS}
    for metric in VALUE_METRICS:
        result[metric] = float(np.mean([result["per_target"][name][metric] for name in names]))
        result[f"{metric}_95"] = intervals[metric][-1].pair
    if any(len(t) > 1 for t in values.truth):
        result["per_video"] = per_video(values, names)
    return result | {"resampled": word, "num_videos": len(values.items), "num_failed": len(missing),
                     "num_values": int(np.isfinite(truth).any(axis=1).sum())}  # fmt: skip


def per_video(values: Values, names: tuple[str, ...]) -> dict[str, Any]:
    """Concordance within each video by target (null where fewer than two values are annotated), and its mean over videos, which
    is mostly lower than that over all videos together: the latter also rewards telling videos apart."""
    items = {}
    for item, t, p in zip(values.items, values.truth, values.predicted, strict=True):
        items[item] = {n: concordance(t[:, k], p[:, k])["ccc"] for k, n in enumerate(names)}
    known = {n: [v[n] for v in items.values() if np.isfinite(v[n])] for n in names}
    means = {n: float(np.mean(v)) if v else None for n, v in known.items()}
    return {
        "ccc": means,
        "items": {i: {n: c if np.isfinite(c) else None for n, c in v.items()} for i, v in items.items()},
    }
