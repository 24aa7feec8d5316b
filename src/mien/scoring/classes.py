"""Scoring a classifier: clips per video, softmax averaged, one prediction per labelled video (SVFAP 4.1.2), or of every annotated
frame. An entry without a prediction is wrong in every number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.annotation import read_annotation
from mien.corpora.record import read_record
from mien.data import select
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.sampling import nearest_indices
from mien.data.shards import Shards
from mien.errors import require
from mien.scoring.figures import draw_confusion
from mien.scoring.inference import Inference
from mien.scoring.kind import Kind, Scored
from mien.scoring.metrics import CLASS_METRICS, bootstrap, counts, per_class, rates, resampling_groups
from mien.scoring.options import Scoring
from mien.scoring.predictions import Predictions, pooled, read_columns

OTHER = "Other"  # Aff-Wild2's class of what is none of the seven


class Classes(Kind):
    """Probabilities of classes; the UAR chooses between models of clips, the macro F1 (ABAW) between those of frames."""

    metrics, percent, headline = CLASS_METRICS, True, ("uar", "war")
    chosen = {"clip": ("uar", "war"), "frame": ("macro_f1", "war")}
    units = {"clip": "videos", "frame": "frames"}
    missed = {"clip": "as errors", "frame": "not at all", "filled": "as class Other where the model has it"}

    def asked(self, spec: LabelSpec, scoring: Scoring, mapped: bool) -> LabelSpec:
        """The spec that is scored. Raises UserError for options that such models do not have."""
        require(spec.per == "frame" or scoring.smooth_s == 0, "--smooth-s is for classes of frames")
        require(spec.per == "clip" or not mapped, "--label-map is for models per clip")
        return replace(spec, target=(scoring.target,) if scoring.target else spec.target)

    def labelled(self, rows: Manifest, spec: LabelSpec, part: str) -> Manifest:
        """Rows of clips with a label. Raises UserError where there are none."""
        return select.labelled(rows, spec.column)

    def columns(self, spec: LabelSpec) -> tuple[str, ...]:
        return spec.target

    def truth(self, rows: Manifest, spec: LabelSpec) -> np.ndarray:
        return select.class_indices(rows, spec.column, spec.names)

    def bare(self, truth: np.ndarray, names: Sequence[str]) -> list[str]:
        """Classes that cannot be scored as too little is annotated: none, what does not occur takes no part."""
        return []

    def bare_in(self, shards: Shards, rows: Manifest, names: Sequence[str], per: str) -> list[str]:
        """The same before anything is predicted."""
        return []

    def of_frames(self, scored: Scored, scoring: Scoring, how: Inference) -> Predictions:
        """Of every annotated frame, with a face or without, or (`scoring.fill` off) of the stored ones."""
        spec, root, record = scored.spec, scored.shards.root, read_record(scored.shards.root)
        whole = read_annotation(root, spec.column) if scoring.fill else {}
        order = record.classes if record and record.classes else spec.names
        index = np.array([spec.names.index(n) if n in spec.names else -1 for n in order])
        nothing = Predictions([], [], np.zeros((0, 1)), np.zeros((0, len(spec.names))), times_s=np.zeros(0))
        videos = [(item, v.subjects[0], v) for item, v in self.of_videos(scored, how).items()]
        videos += [(r["clip_id"], r["subject"], nothing) for r in scored.failed.rows() if r["clip_id"] in whole]
        parts = []
        for item, subject, stored in videos:
            classes, outputs, times_s, filled = _of_annotated(stored, spec.names, whole.get(item), scoring.smooth_s)
            names, people = [item] * len(times_s), [subject] * len(times_s)
            parts.append(Predictions(names, people, index[classes], outputs, None, times_s, filled))
        found = pooled(parts)
        require(len(found.items) > 0, f"{root}: no frame is annotated")
        require(int(found.truth.min()) >= 0, f"the model knows no {sorted(set(order) - set(spec.names))}")
        return found

    def values(self, predictions: Predictions, spec: LabelSpec) -> dict[str, float]:
        found = rates(counts(predictions.truth, predictions.likeliest, len(spec.names)))
        return {name: float(value) for name, value in found.items()}

    def score(self, predictions: Predictions, spec: LabelSpec, seed: int = 0) -> dict[str, Any]:
        """Every metric with its 95 % interval, recalls, F1s and the confusion matrix; entries without a prediction are wrong.
        People are resampled where at least five are named."""
        names, truth, predicted = spec.names, predictions.truth, predictions.likeliest
        matrix = counts(truth, predicted, len(names))
        recall, f1 = (column.tolist() for column in per_class(matrix))
        groups, word = resampling_groups(predictions.items, predictions.subjects)
        intervals = bootstrap(truth, predicted, len(names), seed, groups)
        return {
            **self.values(predictions, spec),
            **{f"{name}_95": intervals[name].pair for name in CLASS_METRICS},
            "choices": CLASS_METRICS,
            "resampled": word,
            "num_videos": len(predictions.items),
            "num_failed": predictions.num_failed,
            "num_filled": 0 if predictions.filled is None else int(predictions.filled.sum()),
            "recall": {n: (None if np.isnan(r) else r) for n, r in zip(names, recall, strict=True)},
            "f1": dict(zip(names, f1, strict=True)),
            "confusion": matrix[:, :-1].tolist(),
            "names": list(names),
        }

    def spec_of(self, result: Mapping[str, Any]) -> LabelSpec:
        """What `score` has to know of the model of an ``evaluation.json``."""
        return LabelSpec(tuple(result["names"]))

    def table(self, predictions: Predictions, names: Sequence[str]) -> pa.Table:
        """A row per entry: item, subject, label, predicted ("" for none), ``p_<class>``; of frames time_s and filled."""
        found, words = predictions, np.array([*names, ""])
        columns = {"item": found.items, "subject": found.subjects, "label": words[found.truth].tolist()}
        columns |= {"predicted": words[found.likeliest].tolist()}
        columns |= {n: v for n, v in (("time_s", found.times_s), ("filled", found.filled)) if v is not None}
        return pa.table(columns | {f"p_{n}": found.outputs[:, k] for k, n in enumerate(names)})

    def read(self, path: Path, names: Sequence[str]) -> Predictions:
        """What `table` was written to. Raises UserError for a table of other classes."""
        outputs, table = read_columns(path, "p_", names, "classes"), pq.read_table(path)
        items, subjects, labels = (table.column(n).to_pylist() for n in ("item", "subject", "label"))
        truth, frames = np.array([names.index(v) for v in labels], np.int64), "time_s" in table.column_names
        times_s, filled = (table.column(n).to_numpy() if frames else None for n in ("time_s", "filled"))
        return Predictions(items, subjects, truth, outputs, None, times_s, filled)

    def draw(self, result: Mapping[str, Any], predictions: Predictions, out: Path, note: str) -> None:
        """Writes ``confusion.png``; the note is added to its title."""
        shares = f"UAR {100 * result['uar']:.1f} %, WAR {100 * result['war']:.1f} %"
        title = f"{shares}, {result['num_videos']} {self.units[result['per']]}{note}"
        draw_confusion(np.array(result["confusion"]), result["names"], out / "confusion.png", title)


def _of_annotated(
    stored: Predictions, names: Sequence[str], whole: tuple[np.ndarray, np.ndarray] | None, smooth_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Classes (in the shards' order), probabilities, times and whether they are filled of the annotated frames of one video.

    One without a stored face gets the prediction before it, and before the first the class Other, as the ABAW5 solution fills
    its test files (decisions: frames-without-a-face).

    Args:
        whole: times and classes of all annotated frames; None takes those of the stored ones.
    """
    assert stored.times_s is not None
    outputs = averaged_over(stored.times_s, stored.outputs, smooth_s) if smooth_s else stored.outputs
    annotated = whole or (stored.times_s, stored.truth[:, 0])
    times_s, classes = (values[np.isfinite(annotated[1])] for values in annotated)
    at, filled = last_before(stored.times_s, times_s)
    start = np.full((1, len(names)), np.nan)  # a model without such a class is wrong there
    if OTHER in names:
        start = np.eye(len(names))[[names.index(OTHER)]]
    return classes.astype(int), np.concatenate([start, outputs])[at + 1], times_s, filled


def averaged_over(times_s: np.ndarray, values: np.ndarray, window_s: float) -> np.ndarray:
    """Each row of ``[n, K]`` becomes the mean of those within half of `window_s` of its time (rising ``[n]``); a row without a
    prediction (NaN) takes no part, and gets none."""
    known = np.asarray(np.isfinite(values).all(axis=1))
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.where(known[:, None], values, 0), axis=0)])
    number = np.concatenate([[0], np.cumsum(known)])
    low = np.searchsorted(times_s, times_s - window_s / 2 - 1e-6)
    high = np.searchsorted(times_s, times_s + window_s / 2 + 1e-6, side="right")
    count = (number[high] - number[low])[:, None]
    return np.where(known[:, None], (sums[high] - sums[low]) / np.maximum(count, 1), np.nan)


def last_before(stored_s: np.ndarray, wanted_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted time (rising) the stored frame at it or the last one before it, -1 before the first; and whether there is
    none at it, to half the step of the wanted times."""
    if not len(stored_s):
        return np.full(len(wanted_s), -1), np.ones(len(wanted_s), bool)
    half = float(np.median(np.diff(wanted_s))) / 2 if len(wanted_s) > 1 else 1e-6
    nearest = nearest_indices(stored_s, wanted_s)
    there = abs(stored_s[nearest] - wanted_s) <= half
    return np.where(there, nearest, np.searchsorted(stored_s, wanted_s) - 1), ~there
