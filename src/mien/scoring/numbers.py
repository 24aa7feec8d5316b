"""Scoring a regressor: predictions averaged over the views of a clip, or concatenated over the frames of all videos.

A clip without a face, or one that cannot be decoded, counts with the middle of the range as its prediction. The annotation of
frames without a face is not in the shards, and nothing can be counted for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.segments import frame_values
from mien.data.select import clip_values
from mien.data.shards import Shards
from mien.errors import require
from mien.models import load
from mien.scoring.figures import draw_scatter
from mien.scoring.kind import Kind
from mien.scoring.metrics import resampling_groups
from mien.scoring.options import Scoring
from mien.scoring.predictions import Predictions, read_columns
from mien.scoring.values import VALUE_METRICS, bootstrap_values, concordance


class Numbers(Kind):
    """Dimensions of affect, or traits."""

    metrics, percent, headline = VALUE_METRICS, False, ("ccc",)
    chosen = {"clip": ("ccc", "mae"), "frame": ("ccc", "mae")}
    units = {"clip": "videos", "frame": "videos"}
    missed = {
        "clip": "with the middle of the range",
        "frame": "not at all where no frame is stored: their annotation is not in the shards",
    }

    def asked(self, spec: LabelSpec, scoring: Scoring, mapped: bool) -> LabelSpec:
        """The spec that is scored. Raises UserError for options that such models do not have."""
        require(not mapped, "--label-map is for classifiers; this model predicts numbers")
        require(scoring.smooth_s == 0, "--smooth-s is for classes of frames")
        require(scoring.group_by is None, "--group-by is for classifiers: numbers of clips are not averaged")
        return spec

    def labelled(self, rows: Manifest, spec: LabelSpec, part: str) -> Manifest:
        """Rows of clips with a number. Raises UserError where there are none."""
        columns = [rows.column(name) for name in spec.names]
        rows = rows.take([i for i in range(len(rows)) if any(c[i] is not None for c in columns)])
        require(len(rows) > 0, f"no row of {part} has a number in {', '.join(spec.names)}")
        return rows

    def columns(self, spec: LabelSpec) -> tuple[str, ...]:
        return spec.names

    def truth(self, rows: Manifest, spec: LabelSpec) -> np.ndarray:
        return clip_values(rows, spec.names)

    def bare(self, truth: np.ndarray, names: Sequence[str]) -> list[str]:
        """Targets that cannot be scored, with fewer than two annotated values."""
        return [name for name, count in zip(names, np.isfinite(truth).sum(axis=0), strict=True) if count < 2]

    def bare_in(self, shards: Shards, rows: Manifest, names: Sequence[str], per: str) -> list[str]:
        """The same before anything is predicted."""
        frames = per == "frame"
        return self.bare(frame_values(ClipSet(shards, rows.ok()), names) if frames else clip_values(rows, names), names)

    def values(self, predictions: Predictions, spec: LabelSpec) -> dict[str, float]:
        """Means over the targets."""
        return _means(_per_target(predictions.truth, _filled(predictions, spec), spec.names))

    def score(self, predictions: Predictions, spec: LabelSpec, seed: int = 0) -> dict[str, Any]:
        """Every metric per target and their means over all annotated values of all videos, with 95 % intervals over people (over
        videos where fewer than five are named); of frames the concordance within each video too.

        The middle of the spec's range stands for a prediction that is missing.
        """
        names, truth, outputs, starts = spec.names, predictions.truth, _filled(predictions, spec), predictions.starts
        videos = [predictions.items[s] for s in starts]
        groups, word = resampling_groups(videos, [predictions.subjects[s] for s in starts])
        parts = np.split(truth, starts[1:]), np.split(outputs, starts[1:])
        intervals, per_target = bootstrap_values(*parts, groups, seed), _per_target(truth, outputs, names)
        result: dict[str, Any] = {"per_target": per_target, "choices": VALUE_METRICS, "names": list(names)}
        for metric, mean in _means(per_target).items():
            result |= {metric: mean, f"{metric}_95": intervals[metric][-1].pair}
        for k, found in enumerate(per_target.values()):
            found |= {f"{metric}_95": intervals[metric][k].pair for metric in VALUE_METRICS}
        if len(truth) > len(starts):
            result["per_video"] = per_video(videos, *parts, names)
        return result | {"resampled": word, "num_videos": len(starts), "num_failed": predictions.num_failed,
                         "num_values": int(np.isfinite(truth).any(axis=1).sum())}  # fmt: skip

    def spec_of(self, result: Mapping[str, Any]) -> LabelSpec:
        """What `score` has to know of the model of an ``evaluation.json``: the range is in the model alone."""
        spec = load(result["provenance"]["model"]).spec
        assert spec is not None, "what was evaluated has one"
        return spec

    def table(self, predictions: Predictions, names: Sequence[str]) -> pa.Table:
        """A row per value: item, subject, frame, ``true_<target>``, ``predicted_<target>``."""
        found, n = predictions, len(predictions.items)
        frames = np.zeros(n, np.int64) if found.frames is None else found.frames
        columns: dict[str, Any] = {"item": found.items, "subject": found.subjects, "frame": frames}
        columns |= {f"true_{name}": found.truth[:, k] for k, name in enumerate(names)}
        return pa.table(columns | {f"predicted_{name}": found.outputs[:, k] for k, name in enumerate(names)})

    def read(self, path: Path, names: Sequence[str]) -> Predictions:
        """What `table` was written to. Raises UserError for a table of other targets."""
        truth, outputs = (read_columns(path, prefix, names, "targets") for prefix in ("true_", "predicted_"))
        items, subjects, frames = pq.read_table(path, columns=["item", "subject", "frame"]).columns
        return Predictions(items.to_pylist(), subjects.to_pylist(), truth, outputs, frames.to_numpy())

    def draw(self, result: Mapping[str, Any], predictions: Predictions, out: Path, note: str) -> None:
        """Writes ``scatter.png``; the note is added to its title."""
        title = f"CCC {result['ccc']:.3f}, {result['num_videos']} {self.units[result['per']]}{note}"
        draw_scatter(predictions.truth, predictions.outputs, result["names"], out / "scatter.png", title)


def _filled(predictions: Predictions, spec: LabelSpec) -> np.ndarray:
    """Entries without a prediction get the middle of the range, 0 for a model without one."""
    middle = sum(spec.range) / 2 if spec.range else 0.0
    return np.where(np.isfinite(predictions.outputs), predictions.outputs, middle)


def _per_target(truth: np.ndarray, outputs: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {name: dict(concordance(truth[:, k], outputs[:, k])) for k, name in enumerate(names)}


def _means(per_target: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {m: float(np.mean([found[m] for found in per_target.values()])) for m in VALUE_METRICS}


def per_video(
    videos: Sequence[str], truth: Sequence[np.ndarray], outputs: Sequence[np.ndarray], names: Sequence[str]
) -> dict[str, Any]:
    """Concordance within each video by target (null where fewer than two values are annotated), and its mean over videos, which
    is mostly lower than that over all videos together: the latter also rewards telling videos apart."""
    items = {}
    for item, t, p in zip(videos, truth, outputs, strict=True):
        items[item] = {n: concordance(t[:, k], p[:, k])["ccc"] for k, n in enumerate(names)}
    known = {n: [v[n] for v in items.values() if np.isfinite(v[n])] for n in names}
    means = {n: float(np.mean(v)) if v else None for n, v in known.items()}
    return {
        "ccc": means,
        "items": {i: {n: c if np.isfinite(c) else None for n, c in v.items()} for i, v in items.items()},
    }
