"""Which rows of shards a task is trained on, as options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mien.errors import require


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Which rows are held out."""

    split_column: str = "split"
    """Manifest column that says train, val or test; rows "test" are never trained on."""


@dataclass(frozen=True, kw_only=True)
class LabelShare:
    """How many labels are used."""

    label_fraction: float = 1.0
    """Share of the training clips whose label is used, of each class by itself."""

    def __post_init__(self) -> None:
        share = self.label_fraction
        require(0 < share <= 1, f"--label-fraction {share}: give a number above 0 and up to 1")


@dataclass(frozen=True, kw_only=True)
class LabelledRows(Parts, LabelShare):
    """Which rows of shards a task is trained on."""

    select: Literal["last", "best"] = "last"
    """The weights that are kept: those of the last step, or the best of several looks at the split "val", or at a part of the
    training subjects where there is none. Never at the split "test"."""
    folds: Literal["subject"] | None = None
    """With --encoder movements: train on every row but those of the split "test", and also score each person by a model of all
    others. The scores are in RUN/folds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = self.folds is None or self.select == "last"
        require(chosen, "--folds subject: settings are chosen on people within each fold, leave out --select")
