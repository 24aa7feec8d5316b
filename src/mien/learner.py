"""What the training loop trains: a method (self-supervised) or a task (supervised), and the config that it is built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa
from torch import Tensor, nn

from mien.contract import Origin
from mien.data.dataset import ClipSet, Items
from mien.data.manifest import Manifest
from mien.data.select import median_fps, rates_differ
from mien.data.shards import Shards
from mien.data.view import Transform, View
from mien.encoders.table import EncoderConfig
from mien.transforms.clip import ClipSpec


class Learner(Protocol):
    """A module that says what it wants to see, and what its loss is. Its encoder is what is kept."""

    @property
    def encoder(self) -> nn.Module: ...

    def views(self) -> dict[str, View]:
        """What the loader must produce, by name. The augmentation is part of it."""
        ...

    def plain_augment(self) -> Transform:
        """How clips are made ready for `features`: nothing random."""
        ...

    def features(self, clip: Tensor) -> Tensor:
        """What is kept of normalised clips ``[B, C, T, H, W]``: ``[B, D]``, or ``[B, T, D]`` of each frame."""
        ...

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Starts from an encoder's weights. Raises RuntimeError where they do not fit."""
        ...

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``{"loss": scalar with gradient, ...detached scalars for the log}``."""
        ...

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step with progress in (0, 1]: moving averages, queues."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


@dataclass(frozen=True)
class TrainingData:
    """Shards, and the rows of each that are trained on."""

    shards: tuple[Shards, ...]
    rows: tuple[Manifest, ...]
    seed: int = 0
    origin: Origin = "recorded"
    """Of every face the weights will have seen, those of the model that training starts from included."""
    classes: tuple[str, ...] = ()
    """Of the target, in the order of the corpus that the shards are of; () where none says it."""

    @property
    def clips(self) -> ClipSet:
        used = [(s, m) for s, m in zip(self.shards, self.rows, strict=True) if len(m)]
        return ClipSet([s for s, _ in used], [m for _, m in used])

    @property
    def manifest(self) -> Manifest:
        """The rows of the one folder of shards that tasks are trained on."""
        (rows,) = self.rows
        return rows

    @property
    def fps(self) -> float:
        """Frames per second, the median over clips."""
        return median_fps(Manifest(pa.concat_tables(m.table.select(["fps"]) for m in self.rows)))

    def rates_differ(self, fps: float) -> bool:
        return any(rates_differ(m, fps) for m in self.rows)


@dataclass(frozen=True)
class Solution:
    """A learner that was solved from the data at once.

    Args:
        config: with everything that was chosen; `module` is built of it.
        numbers: for the log and the model's card.
        words: what was chosen, on what.
    """

    config: LearnerConfig
    module: nn.Module
    numbers: dict[str, float]
    words: str


class LearnerConfig:
    """Base of all: what a runner asks of a method or a task. A config is a frozen dataclass and is changed by `replace` only."""

    encoder: Any
    """Its config, one of `EncoderConfig`."""
    solved: ClassVar[bool] = False
    """It is solved from the data at once (`solve`), and not trained by steps: its module needs `predict_rows` alone."""

    @property
    def sees(self) -> ClipSpec:
        """What the model sees of a face."""
        raise NotImplementedError

    def build(self) -> Any:
        """The `Learner`, with random weights."""
        raise NotImplementedError

    def begun(self, encoder: EncoderConfig, seen: ClipSpec) -> Self:
        """With the encoder it starts from, which was made for clips as `seen`. Methods say themselves which encoder they have."""
        return self

    def continuing(self, before: LearnerConfig) -> Self:
        """With what the weights it goes on from, those of the same method, were trained to."""
        return self

    @property
    def unusual(self) -> str:
        """What those who go on from its weights should know; "" for nothing."""
        return ""

    def fitted(self, data: TrainingData) -> Self:
        """With what only the data knows: class names, frame period, crop contract, clusters, where warps act.

        Raises:
            UserError: data that it cannot be trained on.
        """
        raise NotImplementedError

    def solve(self, data: TrainingData, validation: Manifest | None) -> Solution:
        """Of learners that are `solved`, `fitted` before.

        Args:
            validation: rows that settings are chosen on; None leaves it to training rows that are held out.
        """
        raise NotImplementedError

    def items(self, data: TrainingData) -> Items:
        """What is drawn in training: clips, single frames of them, or segments of whole tracks."""
        return data.clips

    def targets(self, rows: Manifest) -> dict[str, np.ndarray]:
        """What the loader brings along with each clip; targets of frames come from the shards.

        Raises:
            UserError: a label that the model does not know.
        """
        return {}

    def sampling_weights(self, rows: Manifest) -> np.ndarray | None:
        """Weight of each clip in drawing; None draws each once an epoch."""
        return None


def with_period(clip: ClipSpec, data: TrainingData) -> ClipSpec:
    """Clips of data whose frames lie so far apart, where that is not given."""
    return clip if clip.frame_period_s is not None else replace(clip, frame_period_s=1 / data.fps)
