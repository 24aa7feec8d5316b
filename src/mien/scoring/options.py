"""What of shards is scored, and how."""

from __future__ import annotations

from dataclasses import dataclass

from mien.errors import require
from mien.options.shared import Batched, Mismatch, Seeded


@dataclass(frozen=True)
class Scoring(Batched, Mismatch, Seeded):
    """What is scored, and how."""

    split: str = "test"
    """Value of the split column that is scored; all for every row."""
    split_column: str | None = None
    """Manifest column with the splits; by default the one that the model was trained with."""
    target: str | None = None
    """Label column of a classifier; by default the one that it was trained on."""
    group_by: str | None = None
    """Manifest column whose clips are averaged to one prediction; every clip is its own by default."""
    fill: bool = True
    """Classes of frames: an annotated frame without a face gets the prediction before it; else it is left out."""
    smooth_s: float = 0.0
    """Classes of frames: average the probabilities over this many seconds; 0 smooths nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.smooth_s <= 60, f"--smooth-s {self.smooth_s:g}: give 0 (off) to 60 seconds")
