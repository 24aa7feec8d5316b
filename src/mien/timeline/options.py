"""Settings of `predict`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from mien.errors import require
from mien.faces.options import GivenFaces
from mien.options import FLAT
from mien.options.shared import Batched, Mismatch, OnDevice, Personality
from mien.timeline.baseline import Baseline
from mien.timeline.thresholds import Thresholds

STEP_S = 0.25
Progress = Callable[[int], None]
"""Called with the number of frames read so far."""
FaceSource = Literal["detect", "given", "none"]
"""Where the faces come from: the detector, a file of boxes, or frames that are crops already."""


@dataclass(frozen=True, kw_only=True)
class PredictConfig(GivenFaces, OnDevice, Batched, Mismatch, Personality):
    """Settings of `predict_video`."""

    step_s: float | None = None
    """Seconds between rows of the timeline; 0.25 by default, or one row per frame of movements alone, and where all models
    predict
    sequences."""
    crop: Literal["contract", "none"] = "contract"
    """contract: crop faces as the model was trained. none: the frames are face crops already, detect nothing."""
    smooth_s: float = 0.0
    """Make each row the mean of its track's rows within half of this many seconds on both sides; 0 smooths nothing."""
    annotate: bool = False
    """Also write annotated.mp4: the video, without sound, with face boxes and the top class, the values or the movements."""
    movements: bool = False
    """With --model: also read the movements of the faces. Without one they are all that is read."""
    points: bool = False
    """Also write the 478 points of every face on every frame to movements.parquet."""
    baseline: str = "auto"
    """What the columns ending in _rel are relative to. auto: the face's own low values (their tenth part), left empty where too
    little of a face at rest is seen. none: no such columns. START-END: its mean between two seconds of the video."""
    thresholds: Annotated[Thresholds, FLAT] = Thresholds()

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.01 <= self.rows_s <= 60, f"--step-s {self.rows_s:g}; allowed 0.01 to 60 seconds")
        require(0 <= self.smooth_s <= 60, f"--smooth-s {self.smooth_s:g}; allowed 0 (off) to 60 seconds")
        Baseline.parse(self.baseline)
        clash = self.boxes is not None and self.crop == "none"
        require(not clash, "--boxes and --crop none exclude each other: frames that are crops have no boxes; give one")

    @property
    def rows_s(self) -> float:
        """Seconds between rows."""
        return STEP_S if self.step_s is None else self.step_s

    @property
    def neutral(self) -> Baseline:
        return Baseline.parse(self.baseline)

    @property
    def source(self) -> FaceSource:
        return "given" if self.boxes is not None else "none" if self.crop == "none" else "detect"
