"""What a model predicted, for classes and for numbers alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mien.errors import require
from mien.scoring.inference import average


@dataclass(frozen=True)
class Predictions:
    """An entry for each labelled video, or for each annotated frame of it. One without a face, or that cannot be decoded, is
    there without a prediction.

    Args:
        items: names of the videos. subjects: who they show.
        truth: class indices ``[n]``, or numbers ``[n, K]``, NaN where none is annotated.
        outputs: probabilities or numbers ``[n, K]``, NaN where nothing could be predicted.
        frames: place ``[n]`` in the video, where entries are frames that are counted as one video.
        times_s: of frames, seconds ``[n]`` from the beginning of the video.
        filled: of classes of frames, bool ``[n]``: no face is stored, and the prediction is that of the frame before.
    """

    items: list[str]
    subjects: list[str | None]
    truth: np.ndarray
    outputs: np.ndarray
    frames: np.ndarray | None = None
    times_s: np.ndarray | None = None
    filled: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """bool ``[n]``: something was predicted."""
        return np.asarray(np.isfinite(self.outputs).all(axis=1))

    @property
    def likeliest(self) -> np.ndarray:
        """``[n]`` class indices; K where nothing was predicted."""
        best = np.nan_to_num(self.outputs).argmax(axis=1)
        return np.where(self.known, best, self.outputs.shape[1])

    @property
    def starts(self) -> np.ndarray:
        """First entry of everything that is counted as one."""
        return np.arange(len(self.items)) if self.frames is None else np.flatnonzero(self.frames == 0)

    @property
    def num_failed(self) -> int:
        """How many of these have an entry without a prediction."""
        return int((~np.logical_and.reduceat(self.known, self.starts)).sum())

    def grouped(self, groups: Sequence[str]) -> Predictions:
        """Probabilities averaged over the entries of a group (AVCAffe: the six-second clips of a task's video); one without a
        prediction takes no part unless all have none.

        Raises:
            UserError: entries of a group differ in their label.
        """
        members: dict[str, list[int]] = defaultdict(list)
        for i, group in enumerate(groups):
            members[group].append(i)
        for group, m in members.items():
            alike = len(set(self.truth[m].tolist())) == 1
            require(alike, f"clips of {group!r} have different labels: they cannot be scored as one")
        firsts = [m[0] for m in members.values()]
        averaged = np.stack([average(self.outputs[m], np.ones(len(m))) for m in members.values()])
        subjects = [self.subjects[i] for i in firsts]
        return replace(self, items=list(members), subjects=subjects, truth=self.truth[firsts], outputs=averaged)


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The entries of all parts, as if of one test set."""
    return Predictions(*(_joined([getattr(p, f.name) for p in parts]) for f in fields(Predictions)))


def read_columns(path: Path, prefix: str, names: Sequence[str], what: str) -> np.ndarray:
    """``[n, K]`` of the columns of a table of predictions. Raises UserError where one is not there."""
    columns, there = [f"{prefix}{name}" for name in names], pq.read_schema(path).names
    missing = ", ".join(c for c in columns if c not in there)
    require(not missing, f"{path} has no column {missing}: it is of other {what}")
    return np.stack([c.to_numpy() for c in pq.read_table(path, columns=columns).columns], axis=1)


def _joined(parts: Sequence[Any]) -> Any:
    if any(p is None for p in parts):
        return None
    return [v for p in parts for v in p] if isinstance(parts[0], list) else np.concatenate(parts)
