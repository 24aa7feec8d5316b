"""What is asked of a kind of model (`scoring.table` has all of them), and what all kinds answer alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import annotated_tracks, item_of, main_tracks
from mien.data.shards import Shards
from mien.errors import require
from mien.scoring.inference import Inference, average, members_of, predict_frames, predict_rows, times_of
from mien.scoring.label_map import LabelMap
from mien.scoring.options import Scoring
from mien.scoring.predictions import Predictions, pooled
from mien.scoring.tracks import predict_tracks


@dataclass(frozen=True)
class Scored:
    """A model, and the labelled rows of shards that it is scored on.

    Args:
        spec: the model's, with the column and the classes that the truth is given in.
        ok: rows with a face. failed: those without.
        label_map: from the model's classes to those of the spec.
    """

    model: Any
    spec: LabelSpec
    shards: Shards
    ok: Manifest
    failed: Manifest
    label_map: LabelMap | None = None


@dataclass(frozen=True)
class Video:
    """The stored frames of one video: times ``[T]``, truth ``[T, J]`` and prediction ``[T, K]``."""

    item: str
    subject: str | None
    times_s: np.ndarray
    truth: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True)
class Kind(ABC):
    """Everything that differs between models of classes and models of numbers, from which rows count to the picture.

    Args:
        model: what such a model is called. what: what its K outputs are called.
        metrics: by name, and what is chosen in each.
        headline: metrics of a matrix over corpora.
        percent: metrics are shares.
    """

    model: str
    what: str
    metrics: Mapping[str, str]
    headline: tuple[str, ...]
    percent: bool

    def predict(self, scored: Scored, scoring: Scoring, how: Inference) -> Predictions:
        """Of every labelled video, or of every annotated frame; of clips, failures are entries without a prediction.

        Raises:
            UserError: labels the model does not know; nothing annotated.
        """
        if scored.spec.per == "frame":
            return self.of_frames(scored, scoring, how)
        found = self._with_failures(self._of_clips(scored, how), scored)
        if scoring.group_by is None:
            return found
        group = _groups([*scored.ok.rows(), *scored.failed.rows()], scoring.group_by)
        return found.grouped([group[i] for i in found.items])

    def _of_clips(self, scored: Scored, how: Inference) -> Predictions:
        """Of the main person of each video: the mean over the rows of the longest track."""
        rows = main_tracks(scored.ok)
        truth, subjects = self.truth(rows, scored.spec), rows.column("subject")
        per_row = predict_rows(scored.model, scored.shards, rows, how)
        frames = np.array(rows.column("num_frames"))  # the last row of a long video may hold a handful of frames
        members = members_of(rows)
        firsts = [m[0] for m in members.values()]
        outputs = np.stack([average(per_row[m], frames[m]) for m in members.values()])
        if scored.label_map:
            outputs = scored.label_map.fold(outputs, scored.model.spec.names)
        return Predictions(list(members), [subjects[i] for i in firsts], truth[firsts], outputs)

    def _with_failures(self, found: Predictions, scored: Scored) -> Predictions:
        known = set(found.items)
        failed = scored.failed.where(lambda r: r["clip_id"] not in known)
        if not len(failed):
            return found
        nothing = np.full((len(failed), found.outputs.shape[1]), np.nan)
        truth = self.truth(failed, scored.spec)
        return pooled([found, Predictions(failed.column("clip_id"), failed.column("subject"), truth, nothing)])

    def chosen_by(self, spec: LabelSpec) -> str:
        """Name of the number that ``--select best`` goes by."""
        return f"val_{self.selecting(spec.per)[0]}"

    def of_validation(self, scored: Scored, how: Inference) -> dict[str, float]:
        """Numbers to choose weights by, the first of which chooses."""
        found = self.predict(scored, Scoring(fill=False), how)
        values = self.values(found, scored.spec)
        return {f"val_{name}": values[name] for name in self.selecting(scored.spec.per)}

    def counts_frames(self, per: str) -> bool:
        """Whether each annotated frame is an entry by itself, with a face or without."""
        return False

    def unit(self, per: str) -> str:
        """What `num_videos` counts."""
        return "frames" if self.counts_frames(per) else "videos"

    def bare(self, truth: np.ndarray, names: Sequence[str]) -> list[str]:
        """Targets of which too little is annotated to score them."""
        return []

    def bare_in(self, shards: Shards, rows: Manifest, names: Sequence[str], per: str) -> list[str]:
        """The same of rows, before anything is predicted."""
        return []

    @abstractmethod
    def asked(self, spec: LabelSpec, scoring: Scoring, mapped: bool) -> LabelSpec:
        """The spec that is scored. Raises UserError for options that such models do not have."""

    @abstractmethod
    def labelled(self, rows: Manifest, spec: LabelSpec, part: str) -> Manifest:
        """Rows with a label; the annotation of frames is looked for in the shards. Raises UserError where there are none."""

    @abstractmethod
    def truth(self, rows: Manifest, spec: LabelSpec) -> np.ndarray:
        """Of each row ``[n]`` or ``[n, K]``. Raises UserError for a label that the spec does not have."""

    @abstractmethod
    def of_frames(self, scored: Scored, scoring: Scoring, how: Inference) -> Predictions:
        """Predictions of a model per frame."""

    @abstractmethod
    def values(self, predictions: Predictions, spec: LabelSpec) -> dict[str, float]:
        """Each of `metrics`."""

    @abstractmethod
    def selecting(self, per: str) -> tuple[str, ...]:
        """Metrics that are looked at to choose weights; the first chooses."""

    @abstractmethod
    def score(self, predictions: Predictions, spec: LabelSpec, seed: int = 0) -> dict[str, Any]:
        """`metrics` with 95 % intervals, and everything else that ``evaluation.json`` says of predictions.

        People are resampled where at least five are named.
        """

    @abstractmethod
    def spec_of(self, result: Mapping[str, Any]) -> LabelSpec:
        """What `score` needs to know of the model of an ``evaluation.json``."""

    @abstractmethod
    def table(self, predictions: Predictions, names: Sequence[str]) -> pa.Table:
        """The rows of ``predictions.parquet``."""

    @abstractmethod
    def read(self, path: Path, names: Sequence[str]) -> Predictions:
        """What `table` was written to. Raises UserError for a table of other names."""

    @abstractmethod
    def draw(self, result: Mapping[str, Any], predictions: Predictions, out: Path, note: str) -> None:
        """Writes the picture of an evaluation; the note is added to its title."""

    @abstractmethod
    def counted(self, result: Mapping[str, Any]) -> str:
        """How an evaluation counts what could not be predicted, in words."""


def predict_videos(scored: Scored, how: Inference) -> list[Video]:
    """Of a model per frame: of each video the person that the annotation follows, all tracks in order of time."""
    rows, whole = annotated_tracks(scored.ok), scored.model.whole_tracks
    truth, outputs = (predict_tracks if whole else predict_frames)(scored.model, scored.shards, rows, how)
    parts, subjects = (times_of(scored.shards, rows), truth, outputs), rows.column("subject")
    return [
        Video(item, subjects[m[0]], *(np.concatenate([part[i] for i in m]) for part in parts))
        for item, m in members_of(rows).items()
    ]


def _groups(rows: list[dict[str, Any]], column: str) -> dict[str, str]:
    """Item name to its group. Raises UserError for a missing column or an empty cell."""
    require(column in rows[0], f"--group-by {column}: the manifest has no such column")
    empty = [r["clip_id"] for r in rows if r[column] in (None, "")]
    require(not empty, f"--group-by {column}: empty for {len(empty)} clips, such as {empty[0] if empty else ''}")
    return {r["clip_id"] if r["status"] != "ok" else item_of(r["clip_id"]): str(r[column]) for r in rows}
