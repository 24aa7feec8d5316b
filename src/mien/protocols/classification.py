"""Scoring a classifier: clips per video, softmax averaged, one prediction per labelled video (SVFAP 4.1.2).

A video without a face, or one that cannot be decoded, stays in every number as a wrong one, and is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from mien.corpora._annotation import read_annotation
from mien.data.manifest import Manifest
from mien.data.select import annotated_tracks, class_indices, main_tracks
from mien.data.shards import Shards
from mien.evaluate.crosscheck import check_classes
from mien.evaluate.metrics import CLASS_METRICS, bootstrap, confusion, resampling_groups, scores
from mien.protocols._predict import (
    average,
    averaged_over,
    last_before,
    members_of,
    predict_frames,
    predict_rows,
    times_of,
)
from mien.types import LabelSpec, UserError, require

OTHER = "Other"  # Aff-Wild2's class of what is none of the seven


@dataclass(frozen=True)
class Predictions:
    """One entry per labelled video (per frame: per annotated frame): its name, subject, true class and probabilities ``[n, K]``,
    NaN where nothing could be predicted."""

    items: list[str]
    subjects: list[str | None]
    truth: np.ndarray
    probabilities: np.ndarray
    times_s: np.ndarray | None = None
    """Per frame: seconds from the beginning of the video."""
    filled: np.ndarray | None = None
    """Per frame: bool, no face is stored and the prediction is that of the frame before it."""

    @property
    def predicted(self) -> np.ndarray:
        """``[n]`` class indices; K where nothing was predicted."""
        known = np.isfinite(self.probabilities).all(axis=1)
        best = np.nan_to_num(self.probabilities).argmax(axis=1)
        return np.where(known, best, self.probabilities.shape[1])

    def table(self, names: Sequence[str]) -> pa.Table:
        """A row per entry: item, subject, label, predicted ("" for none), ``p_<class>``; per frame time_s and filled."""
        words = np.array([*names, ""])
        columns = {"item": self.items, "subject": self.subjects, "label": words[self.truth].tolist()}
        columns |= {"predicted": words[self.predicted].tolist()}
        columns |= {n: v for n, v in (("time_s", self.times_s), ("filled", self.filled)) if v is not None}
        return pa.table(columns | {f"p_{n}": self.probabilities[:, k] for k, n in enumerate(names)})


def read_predictions(path: Path, names: Sequence[str]) -> Predictions:
    """What `Predictions.table` was written to. Raises UserError for a table of other classes."""
    table = pq.read_table(path)
    if missing := [n for n in names if f"p_{n}" not in table.column_names]:
        raise UserError(f"{path} has no column {', '.join(f'p_{n}' for n in missing)}: it is of other classes")
    index = {n: k for k, n in enumerate(names)}
    truth = np.array([index[v] for v in table.column("label").to_pylist()], np.int64)
    probabilities = np.stack([table.column(f"p_{n}").to_numpy() for n in names], axis=1)
    frames = [table.column(n).to_numpy() if n in table.column_names else None for n in ("time_s", "filled")]
    return Predictions(
        table.column("item").to_pylist(), table.column("subject").to_pylist(), truth, probabilities, *frames
    )


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The entries of all folds, as if of one test set."""
    return Predictions(
        [i for p in parts for i in p.items], [s for p in parts for s in p.subjects],
        np.concatenate([p.truth for p in parts]), np.concatenate([p.probabilities for p in parts]),
        _joined([p.times_s for p in parts]), _joined([p.filled for p in parts]),
    )  # fmt: skip


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [p for p in parts if p is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def predict_items(
    model: nn.Module,
    spec: LabelSpec,
    shards: Shards,
    rows: Manifest,
    batch_size: int,
    device: torch.device,
    workers: int = 2,
) -> Predictions:
    """Probabilities per labelled video: the mean over its rows (a long video has several). `rows` have a face."""
    rows = main_tracks(rows)
    per_row = predict_rows(model, shards, rows, batch_size, device, workers)
    truth = class_indices(rows, spec.target, spec.names)
    members = members_of(rows)
    firsts, subjects = [m[0] for m in members.values()], rows.column("subject")
    frames = np.array(rows.column("num_frames"))  # the last row of a long video may hold a handful of frames
    averaged = np.stack([average(per_row[m], frames[m]) for m in members.values()])
    return Predictions(list(members), [subjects[i] for i in firsts], truth[firsts], averaged)


@dataclass(frozen=True)
class FrameScoring:
    """What becomes of the probabilities of frames.

    Args:
        order: class names in the order of the shards' class indices.
        fill: annotated frames without a stored face get the prediction before them, and before the first the class Other, as
            the ABAW5 solution fills its test files; else they are left out, as it does for its validation
            (decisions: frames-without-a-face).
        smooth_s: probabilities become the mean over this many seconds around a frame; 0 smooths nothing.
    """

    order: tuple[str, ...]
    fill: bool = True
    smooth_s: float = 0.0


def predict_annotated_frames(
    model: nn.Module,
    spec: LabelSpec,
    frames: FrameScoring,
    shards: Shards,
    rows: Manifest,
    batch_size: int,
    device: torch.device,
    workers: int = 2,
    faceless: Manifest | None = None,
) -> Predictions:
    """Of every annotated frame, for a classifier per frame.

    Args:
        faceless: rows of videos without any face, whose annotation counts where frames are filled.

    Raises:
        UserError: a class the model does not know.
    """
    rows = annotated_tracks(rows)
    truth, predicted = predict_frames(model, shards, rows, batch_size, device, workers)
    times, subjects = times_of(shards, rows), rows.column("subject")
    whole = read_annotation(shards.root, spec.target) if frames.fill else {}
    parts = []
    for item, members in members_of(rows).items():
        stored = [np.concatenate([part[m] for m in members]) for part in (times, truth, predicted)]
        annotated = whole.get(item, (stored[0], stored[1][:, 0]))
        parts.append(_of_video(item, subjects[members[0]], spec, frames, annotated, stored[0], stored[2]))
    for row in faceless.rows() if faceless and frames.fill else ():
        if row["clip_id"] in whole:
            nothing = np.zeros(0), np.zeros((0, len(spec.names)))
            parts.append(_of_video(row["clip_id"], row["subject"], spec, frames, whole[row["clip_id"]], *nothing))
    found = pooled(parts)
    require(len(found.items) > 0, f"{shards.root}: no frame is annotated")
    unknown = sorted(set(frames.order) - set(spec.names))
    require(int(found.truth.min()) >= 0, f"the model knows no {unknown}")
    return found


def _of_video(
    item: str,
    subject: str | None,
    spec: LabelSpec,
    frames: FrameScoring,
    annotated: tuple[np.ndarray, np.ndarray],
    stored_s: np.ndarray,
    probabilities: np.ndarray,
) -> Predictions:
    """The annotated frames of one video, from times and classes [n] and the predictions ``[m, K]`` of its stored frames."""
    if frames.smooth_s and len(stored_s):
        probabilities = averaged_over(stored_s, probabilities, frames.smooth_s)
    index = np.array([spec.names.index(n) if n in spec.names else -1 for n in frames.order])
    times_s, classes = (values[np.isfinite(annotated[1])] for values in annotated)
    at, filled = last_before(stored_s, times_s)
    start = np.full((1, len(spec.names)), np.nan)  # a model without such a class is wrong there
    if OTHER in spec.names:
        start = np.eye(len(spec.names))[[spec.names.index(OTHER)]]
    found = np.concatenate([start, probabilities])[at + 1]
    count = len(times_s)
    return Predictions([item] * count, [subject] * count, index[classes.astype(int)], found, times_s, filled)


def with_failures(predictions: Predictions | None, failed: Manifest, spec: LabelSpec) -> Predictions:
    """Adds the labelled videos that gave no face (rows with another status than ok) as entries without a prediction."""
    known = set(predictions.items) if predictions else set()
    failed = failed.where(lambda r: r["clip_id"] not in known)
    if not len(failed):
        assert predictions is not None
        return predictions
    truth = class_indices(failed, spec.target, spec.names)
    nothing = np.full((len(failed), len(spec.names)), np.nan)
    missing = Predictions(failed.column("clip_id"), failed.column("subject"), truth, nothing)
    return pooled([predictions, missing]) if predictions else missing


def grouped(predictions: Predictions, groups: Sequence[str]) -> Predictions:
    """Probabilities averaged over the entries of a group (AVCAffe: the six-second clips of a task's video); one without a
    prediction takes no part unless all have none.

    Raises:
        UserError: entries of a group differ in their label.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    for group, m in members.items():
        if len(set(predictions.truth[m].tolist())) > 1:
            raise UserError(f"clips of {group!r} have different labels: they cannot be scored as one")
    firsts = [m[0] for m in members.values()]
    averaged = [average(predictions.probabilities[m], np.ones(len(m))) for m in members.values()]
    return replace(
        predictions, items=list(members), subjects=[predictions.subjects[i] for i in firsts],
        truth=predictions.truth[firsts], probabilities=np.stack(averaged),
    )  # fmt: skip


def score(predictions: Predictions, names: tuple[str, ...], seed: int = 0) -> dict[str, Any]:
    """Every metric with its 95 % interval, recalls, F1s and the confusion matrix; entries without a prediction are wrong.

    People are resampled where at least five are named. The metrics are checked against scikit-learn's.
    """
    truth, predicted = predictions.truth, predictions.predicted
    matrix = confusion(truth, predicted, len(names))
    missed = np.bincount(truth[predicted == len(names)], minlength=len(names))
    result = scores(np.concatenate([matrix, missed[:, None]], axis=1))
    groups, word = resampling_groups(predictions.items, predictions.subjects)
    intervals = bootstrap(truth, predicted, len(names), seed, groups)
    values = {name: getattr(result, name) for name in CLASS_METRICS}
    return {
        **values,
        **{f"{name}_95": intervals[name].pair for name in CLASS_METRICS},
        "checked_with": check_classes(truth, predicted, len(names), values),
        "choices": CLASS_METRICS,
        "resampled": word,
        "num_videos": len(predictions.items),
        "num_failed": int(missed.sum()),
        "num_filled": 0 if predictions.filled is None else int(predictions.filled.sum()),
        "recall": {n: (None if np.isnan(r) else r) for n, r in zip(names, result.recall, strict=True)},
        "f1": dict(zip(names, result.f1, strict=True)),
        "confusion": matrix.tolist(),
        "names": list(names),
    }
