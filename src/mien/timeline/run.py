"""What came of a video, and what the record and the page are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mien.contract import CropContract
from mien.data.video import VideoInfo
from mien.timeline.movements import Movements
from mien.timeline.options import PredictConfig
from mien.timeline.table import Column
from mien.timeline.tracks import TrackSummary

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec

DRAWN_BANNER = "trained only on drawn faces: the numbers on real people mean nothing yet"


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
    movements: Movements | None = None
    """What was read of the faces' movements, where it was asked for."""
    delays: Mapping[str, float] = field(default_factory=dict)
    """Of the models that see a whole track, not windows of it: so many seconds after a frame its rating was read in training."""

    @property
    def drawn(self) -> list[str]:
        """Models that have seen no real face."""
        return [n for n, s in self.models.items() if s.training_data == "drawn"]

    @property
    def why_no_rows(self) -> str:
        """The reason for an empty timeline; "" of one that has rows."""
        if self.num_rows:
            return ""
        return f"no face found in {self.num_frames} frames" if self.num_frames else "no frames"
