"""What a model's outputs mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from mien.contract import CropContract, Origin
from mien.data.notes import PERSONALITY_NOTE
from mien.errors import require
from mien.options import FLAT, HIDDEN
from mien.transforms.clip import ClipSpec


@dataclass(frozen=True)
class LabelSpec:
    """What a model's outputs mean and what it needs as input. `predict` and `evaluate` read nothing else."""

    names: Annotated[tuple[str, ...], HIDDEN] = ()
    """Class names, or target names, in the order of the outputs. () until the data say it."""
    kind: Annotated[Literal["categorical", "dimensional", "traits"], HIDDEN] = "categorical"
    """What is predicted: classes, numbers, or personality traits."""
    per: Literal["clip", "frame"] = "clip"
    """frame: every frame has a target of its own, in columns of the shards."""
    target: tuple[str, ...] = ("label",)
    """Label column with the class, or the columns (per frame: targets in the shards) of the numbers."""
    range: tuple[float, float] | None = None
    """Of numbers, to which predictions are cut. none: the smallest of 0..1, -1..1 and what the training data span."""
    clip: Annotated[ClipSpec, FLAT] = field(default_factory=ClipSpec)
    """What it wants to see."""
    views: int = 2
    """Clips per video whose outputs are averaged at evaluation."""
    training_data: Annotated[Origin, HIDDEN] = "recorded"
    """Where the training videos come from."""
    contract: Annotated[CropContract, HIDDEN] = field(default_factory=CropContract)

    def __post_init__(self) -> None:
        require(self.views >= 1, f"--views {self.views}: give 1 or more")
        require(self.range is None or self.range[0] < self.range[1], f"--range {self.range}: give two rising numbers")

    @property
    def column(self) -> str:
        """The targets in one word: of a classifier, its label column."""
        return " ".join(self.target)

    @property
    def classes(self) -> bool:
        """The outputs are probabilities of classes, and no numbers."""
        return self.kind == "categorical"


def asks_for(spec: LabelSpec, targets: tuple[str, ...]) -> bool:
    """Whether it names these targets, in whatever order, or leaves open which."""
    return spec.target == LabelSpec().target or set(spec.target) == set(targets)


def refuse_personality(name: str, spec: LabelSpec, allowed: bool) -> None:
    """Raises UserError for a model of traits that nobody has asked for by name."""
    asked = spec.kind != "traits" or allowed
    require(asked, f"{name} {', '.join(spec.names)}: {PERSONALITY_NOTE}. To go on, add --allow-personality")
