"""What models of classes and models of numbers have in common (`scoring.table` has all kinds)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import annotated_tracks, item_of, main_tracks
from mien.data.shards import Shards
from mien.errors import require
from mien.scoring.inference import Inference, average, members_of, predict_frames, predict_rows
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
class Kind(ABC):
    """Everything that differs between kinds of models, from which rows count to the picture that is drawn."""

    what: str
    """What its K outputs are called."""
    metrics: ClassVar[Mapping[str, str]]
    """By name, and what is chosen in each."""
    percent: ClassVar[bool]
    """Metrics are shares."""
    headline: ClassVar[tuple[str, ...]]
    """Metrics of a matrix over corpora."""
    chosen: ClassVar[Mapping[str, tuple[str, ...]]]
    """Per clip and per frame, the metrics that weights are chosen by: the first of them."""
    units: ClassVar[Mapping[str, str]]
    """Per clip and per frame, what `num_videos` counts."""
    missed: ClassVar[Mapping[str, str]]
    """Per clip, per frame and filled, how what could not be predicted is counted."""

    @abstractmethod
    def columns(self, spec: LabelSpec) -> tuple[str, ...]:
        """Where the truth stands, in the manifest or in the shards."""

    @abstractmethod
    def truth(self, rows: Manifest, spec: LabelSpec) -> np.ndarray:
        """Of each row, ``[n]`` or ``[n, K]``. Raises UserError for a label that the spec does not have."""

    @abstractmethod
    def values(self, predictions: Predictions, spec: LabelSpec) -> dict[str, float]:
        """Each of `metrics`."""

    def chosen_by(self, spec: LabelSpec) -> str:
        """Name of the number that ``--select best`` goes by."""
        return f"val_{self.chosen[spec.per][0]}"

    def validate(self, model: Any, shards: Shards, rows: Manifest, how: Inference) -> dict[str, float]:
        """Numbers to choose weights by, on rows with a face."""
        scored = Scored(model, model.spec, shards, rows, rows.take([]))
        values = self.values(self.predict(scored, Scoring(fill=False), how), model.spec)
        return {f"val_{name}": values[name] for name in self.chosen[model.spec.per]}

    def predict(self, scored: Scored, scoring: Scoring, how: Inference) -> Predictions:
        """Of every labelled video, or of every annotated frame; a clip that failed is an entry without a prediction.

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
        truth, nothing = self.truth(failed, scored.spec), np.full((len(failed), found.outputs.shape[1]), np.nan)
        return pooled([found, Predictions(failed.column("clip_id"), failed.column("subject"), truth, nothing)])

    def of_frames(self, scored: Scored, scoring: Scoring, how: Inference) -> Predictions:
        """Of every stored frame of the person that the annotation follows, all tracks in order of time."""
        return pooled(list(self.of_videos(scored, how).values()))

    def of_videos(self, scored: Scored, how: Inference) -> dict[str, Predictions]:
        """The same by video; truth ``[T, J]`` as the shards hold it."""
        model, shards, rows = scored.model, scored.shards, annotated_tracks(scored.ok)
        outputs = (predict_tracks if model.whole_tracks else predict_frames)(model, shards, rows, how)
        clips, columns, subjects, found = ClipSet(shards, rows), self.columns(scored.spec), rows.column("subject"), {}
        for item, members in members_of(rows).items():
            stored = [clips[i] for i in members]
            truth = np.concatenate([np.stack([clip.target(c) for c in columns], axis=1) for clip in stored])
            times_s, values = (
                np.concatenate(p) for p in ([c.numbers("times_s") for c in stored], [outputs[i] for i in members])
            )
            n = len(times_s)
            found[item] = Predictions([item] * n, [subjects[members[0]]] * n, truth, values, np.arange(n), times_s)
        return found


def _groups(rows: list[dict[str, Any]], column: str) -> dict[str, str]:
    """Item name to its group. Raises UserError for a missing column or an empty cell."""
    require(column in rows[0], f"--group-by {column}: the manifest has no such column")
    empty = [r["clip_id"] for r in rows if r[column] in (None, "")]
    require(not empty, f"--group-by {column}: empty for {len(empty)} clips, such as {empty[0] if empty else ''}")
    return {r["clip_id"] if r["status"] != "ok" else item_of(r["clip_id"]): str(r[column]) for r in rows}
