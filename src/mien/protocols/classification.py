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

from mien.data.manifest import Manifest
from mien.data.select import class_indices, main_tracks
from mien.data.shards import Shards
from mien.evaluate.crosscheck import check_classes
from mien.evaluate.metrics import CLASS_METRICS, bootstrap, confusion, resampling_groups, scores
from mien.protocols._predict import average, members_of, predict_frames, predict_rows
from mien.types import LabelSpec, UserError


@dataclass(frozen=True)
class Predictions:
    """One entry per labelled video (per frame: per annotated frame): its name, subject, true class and probabilities ``[n, K]``,
    NaN where nothing could be predicted."""

    items: list[str]
    subjects: list[str | None]
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """``[n]`` class indices; K where nothing was predicted."""
        known = np.isfinite(self.probabilities).all(axis=1)
        best = np.nan_to_num(self.probabilities).argmax(axis=1)
        return np.where(known, best, self.probabilities.shape[1])

    def table(self, names: Sequence[str]) -> pa.Table:
        """A row per entry: item, subject, label, predicted ("" for none), ``p_<class>``."""
        words = np.array([*names, ""])
        columns = {"item": self.items, "subject": self.subjects, "label": words[self.truth].tolist()}
        columns |= {"predicted": words[self.predicted].tolist()}
        return pa.table(columns | {f"p_{n}": self.probabilities[:, k] for k, n in enumerate(names)})


def read_predictions(path: Path, names: Sequence[str]) -> Predictions:
    """What `Predictions.table` was written to. Raises UserError for a table of other classes."""
    table = pq.read_table(path)
    if missing := [n for n in names if f"p_{n}" not in table.column_names]:
        raise UserError(f"{path} has no column {', '.join(f'p_{n}' for n in missing)}: it is of other classes")
    index = {n: k for k, n in enumerate(names)}
    truth = np.array([index[v] for v in table.column("label").to_pylist()], np.int64)
    probabilities = np.stack([table.column(f"p_{n}").to_numpy() for n in names], axis=1)
    return Predictions(table.column("item").to_pylist(), table.column("subject").to_pylist(), truth, probabilities)


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The entries of all folds, as if of one test set."""
    return Predictions(
        [i for p in parts for i in p.items], [s for p in parts for s in p.subjects],
        np.concatenate([p.truth for p in parts]), np.concatenate([p.probabilities for p in parts]),
    )  # fmt: skip


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


def predict_annotated_frames(
    model: nn.Module,
    spec: LabelSpec,
    order: Sequence[str],
    shards: Shards,
    rows: Manifest,
    batch_size: int,
    device: torch.device,
    workers: int = 2,
) -> Predictions:
    """Of every annotated frame, for a classifier per frame.

    Args:
        order: class names in the order of the shards' class indices.

    Raises:
        UserError: a class the model does not know.
    """
    rows = main_tracks(rows)
    truth, predicted = predict_frames(model, shards, rows, batch_size, device, workers)
    index = np.array([spec.names.index(n) if n in spec.names else -1 for n in order])
    subjects, items = rows.column("subject"), [i for i in members_of(rows).items()]
    entries: dict[str, list[Any]] = defaultdict(list)
    for item, members in items:
        for row in members:
            known = np.isfinite(truth[row][:, 0])
            entries["truth"].append(index[truth[row][known, 0].astype(int)])
            entries["probabilities"].append(predicted[row][known])
            entries["items"] += [item] * int(known.sum())
            entries["subjects"] += [subjects[row]] * int(known.sum())
    classes = np.concatenate(entries["truth"])
    if len(classes) == 0 or classes.min() < 0:
        unknown = sorted(set(order) - set(spec.names))
        raise UserError(
            f"{shards.root}: no frame is annotated" if not len(classes) else f"the model knows no {unknown}"
        )
    return Predictions(entries["items"], entries["subjects"], classes, np.concatenate(entries["probabilities"]))


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
        **{f"{name}_95": [intervals[name].low, intervals[name].high] for name in CLASS_METRICS},
        "checked_with": check_classes(truth, predicted, len(names), values),
        "choices": CLASS_METRICS,
        "resampled": word,
        "num_videos": len(predictions.items),
        "num_failed": int(missed.sum()),
        "recall": {n: (None if np.isnan(r) else r) for n, r in zip(names, result.recall, strict=True)},
        "f1": dict(zip(names, result.f1, strict=True)),
        "confusion": matrix.tolist(),
        "names": list(names),
    }
