"""Words that every layer shares: what a crop is, what a model's outputs mean, what a learner does.

Shape letters used everywhere: B batch, C channels, T frames, H W pixels, N tokens, K visible tubes, D width, M regions.
Times carry the suffix ``_s`` (seconds), counts the prefix ``num_``, positions the suffix ``_idx``.
"""

from __future__ import annotations

import hashlib
import json
import signal
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

# ImageNet statistics: what the published SVFAP and MAE-DFER weights were trained with (decisions: input-statistics).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Of grey faces: what the lip-reading models were trained with (decisions: input-statistics).
GREY_MEAN = (0.421,)
GREY_STD = (0.165,)

CropKind = Literal["face", "box", "voxceleb2", "none"]
DetectorName = Literal["centerface", "given", "none"]
# drawn: every face was made by code (`mien synth`); recorded: camera video; mixed: both.
Origin = Literal["drawn", "recorded", "mixed"]
PERSONALITY_NOTE = (
    "apparent personality is what strangers read into a face, not what a person is: for research on such impressions only, "
    "never to choose, rank or judge people"
)


class UserError(Exception):
    """Bad input from the person at the keyboard. The command line prints it without a traceback and exits with 2.

    No ValueError, because the option parser would catch that and print it in a frame of its own.

    The message says what was received, what is allowed and what to do.
    """


def require(condition: bool, message: str) -> None:
    """Raises UserError with `message` unless the condition holds."""
    if not condition:
        raise UserError(message)


def option(field: str) -> str:
    """The command-line name of a config field."""
    return f"--{field.replace('_', '-')}"


class Interrupted(Exception):
    """SIGTERM or Ctrl-C: what was done is saved, and the same command goes on. Exit code 128 + signal."""

    def __init__(self, signum: int, done: str):
        super().__init__(f"stopped by {signal.Signals(signum).name} after {done}; saved, the same command goes on")
        self.signum, self.done, self.exit_code = signum, done, 128 + signum

    def __reduce__(self) -> tuple[Any, ...]:
        return Interrupted, (self.signum, self.done)  # it may come from a worker process


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a crop come from. Two models may be compared only when this agrees, so only this is hashed."""

    detector: DetectorName = "centerface"
    crop: CropKind = "face"
    template: str = "five-point-1"
    """Name of the landmark template of `prepare.align`; "" for crops that use no landmarks."""
    margin: float = 0.0
    """Extra space around the template or box, as a fraction of the side of the crop."""
    border: Literal["replicate"] = "replicate"

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """How the crop is kept. A larger, coloured or faster store serves a smaller, grey or slower model."""

    size: int = 160
    color: bool = True
    fps: float | None = None
    """Frames per second after resampling; None keeps the frames of the video as they are."""
    codec: Literal["jpeg"] = "jpeg"
    quality: int = 90
    subsampling: Literal["420", "444"] = "420"


@dataclass(frozen=True)
class CropContract:
    """How faces were prepared: kept in shards, in checkpoints and in predictions (design: words)."""

    geometry: Geometry = field(default_factory=Geometry)
    store: Store = field(default_factory=Store)
    verified: bool = True
    """False for the stand-in geometry of a converted checkpoint or of ready-made crops ("assumed, not verified")."""
    stand_in: Geometry | None = None
    """For ready-made crops: how `predict` crops raw video for models trained on them ("assumed, not verified")."""

    def describe(self) -> str:
        g, s = self.geometry, self.store
        color, rate = "colour" if s.color else "grey", "source rate" if s.fps is None else f"{s.fps:g} fps"
        text = f"{g.detector}/{g.crop} margin {g.margin:g} [{g.hash}], {s.size} px {color}, {rate}"
        if self.stand_in is None:
            return text
        return f"{text}; on raw video {self.stand_in.crop} margin {self.stand_in.margin:g} [{self.stand_in.hash}]"


@dataclass(frozen=True)
class LabelSpec:
    """What a model's outputs mean and what it needs as input. `predict` and `evaluate` read nothing else."""

    names: tuple[str, ...]
    """Class names, or target names, in the order of the outputs."""
    kind: Literal["categorical", "dimensional", "traits"] = "categorical"
    per: Literal["clip", "frame"] = "clip"
    target: str = "label"
    """Manifest column the model was trained on."""
    range: tuple[float, float] | None = None
    """Range of dimensional outputs; None for class probabilities."""
    num_frames: int = 16
    stride: int = 4
    frame_period_s: float = 1 / 30
    """Seconds between neighbouring frames before the stride: `predict` samples by time, whatever the video's rate."""
    size: int = 160
    color: bool = True
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    views: int = 2
    """Clips per video whose probabilities are averaged at evaluation."""
    training_data: Origin = "recorded"
    contract: CropContract = field(default_factory=CropContract)

    @property
    def window_s(self) -> float:
        """Seconds from the first to the last frame of a clip, plus one frame period."""
        return ((self.num_frames - 1) * self.stride + 1) * self.frame_period_s


@runtime_checkable
class Learner(Protocol):
    """What the training loop trains: a method (self-supervised) or a task (supervised)."""

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``{"loss": scalar with gradient, ...detached scalars for the log}``."""
        ...

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step with progress in (0, 1]: moving averages, queues."""
        ...
