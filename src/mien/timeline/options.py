"""Settings of `predict`, what came of a video, and what the record and the page are written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mien.contract import CropContract
from mien.data.labels import LabelSpec
from mien.data.video import VideoInfo
from mien.errors import UserError
from mien.timeline.contract import FaceSource
from mien.timeline.table import Column
from mien.timeline.tracks import TrackSummary

Device = Literal["auto", "cpu", "cuda"]
STEP_S = 0.25
DRAWN_BANNER = "trained only on drawn faces: the numbers on real people mean nothing yet"


@dataclass(frozen=True)
class PredictConfig:
    """Settings of `predict_video`."""

    step_s: float | None = None
    """Seconds between rows of the timeline. None: 0.25, or one row per frame where all models predict sequences."""
    batch_size: int = 16
    """Windows per forward pass, of all tracks together."""
    device: Device = "auto"
    boxes: str | None = None
    """CSV of face boxes to use instead of the detector."""
    ready_crops: bool = False
    """The frames are face crops already: detect nothing."""
    allow_contract_mismatch: bool = False
    allow_personality: bool = False
    """Serve models of personality traits; the report and the record then say what they must not be used for."""
    smooth_s: float = 0.0
    """Each row becomes the mean of its track's rows within half of this many seconds; 0 smooths nothing."""
    annotate: bool = False
    """Also write ``annotated.mp4``."""

    def __post_init__(self) -> None:
        if self.step_s is not None and not 0.01 <= self.step_s <= 60:
            raise UserError(f"--step-s {self.step_s:g}; allowed 0.01 to 60 seconds")
        if not 1 <= self.batch_size <= 4096:
            raise UserError(f"--batch-size {self.batch_size}; allowed 1 to 4096 windows")
        if not 0 <= self.smooth_s <= 60:
            raise UserError(f"--smooth-s {self.smooth_s:g}; allowed 0 (off) to 60 seconds")
        if self.boxes is not None and self.ready_crops:
            raise UserError("--boxes and --crop none exclude each other: frames that are crops have no boxes; give one")

    @property
    def rows_s(self) -> float:
        """Seconds between rows."""
        return STEP_S if self.step_s is None else self.step_s

    @property
    def source(self) -> FaceSource:
        return "given" if self.boxes is not None else "none" if self.ready_crops else "detect"


def subject_of(specs: Iterable[LabelSpec]) -> str:
    """apparent expression, affect and personality, as far as the models go"""
    words = {"categorical": "expression", "dimensional": "affect", "traits": "personality"}
    kinds = {s.kind for s in specs}
    *rest, last = [text for kind, text in words.items() if kind in kinds]
    return f"apparent {', '.join(rest)} and {last}" if rest else f"apparent {last}"


@dataclass(frozen=True)
class Outcome:
    """What came of one video. `status` is that of a manifest row."""

    video: Path
    out: Path
    status: Literal["ok", "no_face", "unreadable", "empty"]
    reason: str = ""
    num_tracks: int = 0
    num_rows: int = 0
    num_frames: int = 0
    wall_s: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass
class Run:
    """One way through one video.

    Args:
        models: label specs by model name. hashes: of the weights, by model name where known.
        contract: how the faces were cropped.
        warnings: what a reader of the numbers must know.
    """

    video: VideoInfo
    models: dict[str, LabelSpec]
    hashes: dict[str, str]
    config: PredictConfig
    contract: CropContract
    columns: list[Column]
    tracks: dict[int, TrackSummary] = field(default_factory=dict)
    num_rows: int = 0
    num_frames: int = 0
    wall_s: float = 0.0
    warnings: list[str] = field(default_factory=list)
    delays: Mapping[str, float] = field(default_factory=dict)
    """Of the models that see a whole track, not windows of it: so many seconds after a frame its rating was read in training."""

    @property
    def drawn(self) -> list[str]:
        """Models that have seen no real face."""
        return [n for n, s in self.models.items() if s.training_data == "drawn"]

    @property
    def subject(self) -> str:
        """What the numbers are about, in words."""
        return subject_of(self.models.values())

    def why_no_rows(self) -> str:
        """The reason for an empty timeline."""
        return f"no face found in {self.num_frames} frames" if self.num_frames else "no frames"
