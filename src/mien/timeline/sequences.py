"""Models that see a track from its first frame on: their state is carried along, and every frame is looked at once.

The faces of each frame go in as they come, one stream per model and stretch of a track; rows ask for the value at their time.
A stretch ends, and the state with it, where the windows' stretches end: when the face is unseen for half a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mien.data.labels import LabelSpec
from mien.errors import require
from mien.faces.faces import FaceSample
from mien.tasks.sequence import CHUNK, SequenceStream, SequenceTask, reach_of
from mien.timeline.windows import MAX_GAP_S, Moment, WindowShape

_EPS = 1e-6
KEPT_VALUES = 4096  # a line forgets values so many frames before the last one asked for


def as_sequence(name: str, model: object) -> SequenceTask | None:
    """The model, if it is one of these. Raises UserError for one that has to know the end of the video."""
    if not isinstance(model, SequenceTask):
        return None
    require(
        not model.config.bidirectional,
        f"{name} reads videos in both directions, so it has to wait for their end: train one without --bidirectional to predict",
    )
    return model


def shape_of(model: SequenceTask) -> WindowShape:
    """What must have been seen around a row before its value is known: the encoder's reach (a whole clip for encoders of
    clips), and as long as a face may be lost, after which the frame nearest to each moment is known."""
    reach, period_s = reach_of(model.config.encoder), model.spec.clip.period_s
    ahead = (model.spec.clip.num_frames if reach is None else reach) + 0.5 + MAX_GAP_S / 2 / period_s
    return WindowShape(2 * math.ceil(ahead) + 1, period_s)


@dataclass
class Line:
    """One stretch of one track: frames at the model's period from `start_s` on, and their values.

    Args:
        values: [K] of frame `first`, first + 1, ...
    """

    stream: SequenceStream
    period_s: float
    start_s: float
    last: FaceSample
    values: list[np.ndarray] = field(default_factory=list)
    first: int = 0
    num_frames: int = 0
    finished: bool = False

    def add(self, face: FaceSample) -> None:
        """The next frame of the stretch: moments nearer to the one before (or as near) are that one's."""
        self._take(self.last, (self.last.time_s + face.time_s) / 2)
        self.last = face

    def _take(self, face: FaceSample, until_s: float) -> None:
        frames = 0
        while self.start_s + (self.num_frames + frames) * self.period_s <= until_s + _EPS:
            frames += 1
        if frames:
            self.num_frames += frames
            self._keep(self.stream.push(torch.from_numpy(face.crop)[None].expand(frames, -1, -1, -1)))

    def _keep(self, found: Tensor) -> None:
        self.values += list(found.double().numpy())

    def finish(self) -> None:
        if not self.finished:
            self.finished = True
            self._take(self.last, self.last.time_s)
            self._keep(self.stream.finish())

    def at(self, time_s: float) -> np.ndarray:
        """[K] of the frame nearest to the time. A line that cannot know it yet has ended: rows wait for what they need."""
        wanted = max(0, round((time_s - self.start_s) / self.period_s))
        if wanted >= self.first + len(self.values) and not self.finished:
            self._keep(self.stream.flush())
        if wanted >= self.first + len(self.values):
            self.finish()
        position = min(wanted - self.first, len(self.values) - 1)
        found = self.values[position]
        if position > KEPT_VALUES:
            del self.values[:position]
            self.first += position
        return found


class SequenceRunner:
    """All tracks of a video for one model.

    Args:
        model: on its device, in evaluation mode.
    """

    def __init__(self, model: SequenceTask):
        self.model = model
        self._lines: dict[int, list[Line]] = {}

    def see(self, faces: Sequence[FaceSample]) -> None:
        """The faces of the next frame."""
        for face in faces:
            lines = self._lines.setdefault(face.track, [])
            if lines and face.time_s - lines[-1].last.time_s <= MAX_GAP_S + _EPS:
                lines[-1].add(face)
            else:
                lines.append(Line(self.model.stream(CHUNK), self.model.spec.clip.period_s, face.time_s, face))

    @torch.inference_mode()
    def __call__(self, moments: Sequence[Moment]) -> np.ndarray:
        """[n, K] values of moments that come in order of time within each track."""
        return np.stack([self._line(m).at(m.time_s) for m in moments])

    def forget(self, before_s: float) -> None:
        """No row before this time will be asked for: stretches that ended earlier are dropped."""
        for track in list(self._lines):
            kept = [line for line in self._lines[track] if line.last.time_s + MAX_GAP_S >= before_s - _EPS]
            if kept:
                self._lines[track] = kept
            else:
                del self._lines[track]

    def _line(self, moment: Moment) -> Line:
        """The stretch that a row lies in; those before it are no longer needed."""
        lines = self._lines[moment.track]
        while len(lines) > 1 and moment.time_s >= lines[1].start_s - _EPS:
            lines.pop(0).finish()
        return lines[0]


def step_of(specs: Mapping[str, LabelSpec], sequences: set[str], usual_s: float) -> float:
    """Seconds between rows where nobody says: a row per frame where all models give one, else the usual step."""
    return min(s.clip.period_s for s in specs.values()) if sequences == set(specs) else usual_s
