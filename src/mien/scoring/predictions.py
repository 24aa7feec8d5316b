"""What a model predicted, for classes and for numbers alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mien.errors import require
from mien.scoring.inference import average


@dataclass(frozen=True)
class Predictions:
    """An entry for each labelled video, or for each annotated frame of it.

    A video without a face, or one that cannot be decoded, stays as an entry without a prediction.
    """

    items: list[str]
    """Names of the videos."""
    subjects: list[str | None]
    truth: np.ndarray
    """Class indices ``[n]``, or numbers ``[n, K]``, NaN where none is annotated."""
    outputs: np.ndarray
    """Probabilities or numbers ``[n, K]``, NaN where nothing could be predicted."""
    frames: np.ndarray | None = None
    """Numbers of frames: place ``[n]`` in the video's stored frames. None: an entry is by itself."""
    times_s: np.ndarray | None = None
    """Classes of frames: seconds ``[n]`` from the beginning of the video."""
    filled: np.ndarray | None = None
    """Classes of frames: bool ``[n]``, no face is stored and the prediction is that of the frame before it."""

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
        """First entry of each unit that is counted: a video, or a frame that is an entry by itself."""
        return np.arange(len(self.items)) if self.frames is None else np.flatnonzero(self.frames == 0)

    @property
    def num_failed(self) -> int:
        """Units with an entry without a prediction."""
        return int((~np.logical_and.reduceat(self.known, self.starts)).sum())

    def silent(self) -> list[str]:
        """Names of the entries without a prediction."""
        return [item for item, known in zip(self.items, self.known, strict=True) if not known]

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
        averaged = [average(self.outputs[m], np.ones(len(m))) for m in members.values()]
        subjects = [self.subjects[i] for i in firsts]
        return replace(
            self, items=list(members), subjects=subjects, truth=self.truth[firsts], outputs=np.stack(averaged)
        )


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The entries of all parts, as if of one test set."""
    return Predictions(*(_joined([getattr(p, f.name) for p in parts]) for f in fields(Predictions)))


def _joined(parts: Sequence[Any]) -> Any:
    if any(p is None for p in parts):
        return None
    return [v for p in parts for v in p] if isinstance(parts[0], list) else np.concatenate(parts)
