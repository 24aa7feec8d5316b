"""What a model's outputs mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mien.contract import CropContract, Origin
from mien.transforms.clip import IMAGENET_MEAN, IMAGENET_STD

PERSONALITY_NOTE = (
    "apparent personality is what strangers read into a face, not what a person is: for research on such impressions only, "
    "never to choose, rank or judge people"
)


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
