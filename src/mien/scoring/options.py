"""What of shards is scored, and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scoring:
    """What is scored, and how."""

    split: str = "test"
    """Value of the split column; "all" for every row."""
    split_column: str | None = None
    """None: the one the model was trained with."""
    target: str | None = None
    """Label column of a classifier; None: the one it was trained on."""
    group_by: str | None = None
    """Column whose clips are averaged to one prediction."""
    fill: bool = True
    """Classes of frames: an annotated frame without a face gets the prediction before it; else it is left out."""
    smooth_s: float = 0.0
    """Classes of frames: mean of the probabilities over this many seconds."""
    batch_size: int = 32
    allow_contract_mismatch: bool = False
    """Score although the crops were made in another way; it is printed beside every number."""
    seed: int = 0
    """Of the bootstrap."""
