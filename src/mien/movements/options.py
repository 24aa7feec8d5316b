"""What a model of movements reads, as options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mien.errors import require

ENCODER = "movements"
"""What `--encoder` calls it."""
Features = Literal["coefficients", "mesh", "both", "auto"]
Pooling = Literal["summary", "moments", "auto"]


@dataclass(frozen=True, kw_only=True)
class MovementOptions:
    """With --encoder movements: what of a face's movements a model reads."""

    features: Features = "both"
    """With --encoder movements: the 52 coefficients, the mesh on its principal axes, or both; auto chooses on held-out training
    people."""
    pooling: Pooling = "summary"
    """With --encoder movements, what is kept of a clip: summary has mean, spread, minimum and maximum of each number, moments
    its values at 12 moments; auto chooses."""
    axes: int = 40
    """With --encoder movements: principal axes of the training meshes that are kept."""
    velocities: bool = False
    """With --encoder movements: also how fast each number changes."""
    per_person: bool = False
    """With --encoder movements: take each person's own mean off their clips, in training and evaluation. It needs several
    clips of each, and no labels."""

    def __post_init__(self) -> None:
        require(1 <= self.axes <= 400, f"--axes {self.axes}: give 1 to 400")
