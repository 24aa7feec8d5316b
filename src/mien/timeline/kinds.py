"""What is said of each kind of model and of its numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.data.notes import PERSONALITY_NOTE

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec


@dataclass(frozen=True)
class Kind:
    """Texts about the models of one kind. Words in braces are filled in: what one model, or one class or target of it, has."""

    subject: str
    numbers: str
    """What they describe."""
    number: str
    """How far a single one can be trusted."""
    column: str
    """What the number of a class or target says."""
    model: str
    """What it gives."""


KINDS = {
    "categorical": Kind(
        "expression",
        "The numbers describe the apparent expression of a face in a video, as annotators would name it from outside.",
        "A probability is how sure the model is, not how often it is right, unless it was calibrated on material like yours.",
        "Probability, 0 to 1, that {model} gives to the apparent {target} “{name}” {window}; all classes add to 1. Not "
        "calibrated unless the model's card says so.",
        "divides its belief among {count} classes: {names}",
    ),
    "dimensional": Kind(
        "affect",
        "The values describe the apparent affect of a face in a video, as annotators would rate it from outside.",
        "A value says nothing about how sure the model is, and small differences mean nothing.",
        "Apparent {name}{span}: what {model} expects annotators to rate {window}, in the units of its training targets.",
        "gives numbers for apparent affect: {names}{span}",
    ),
    "traits": Kind(
        "personality",
        "The values describe an impression that strangers might have of a face in a video.",
        f"A value says nothing about how sure the model is. It must be kept in mind that {PERSONALITY_NOTE}.",
        "Apparent {name}{span}: the impression that {model} expects strangers to have of this face {window}; not what the "
        "person is.",
        "gives numbers for impressions of personality: {names}{span}",
    ),
}

MOVING = Kind(
    "face movement",
    "The movements describe how a face moves, measured on its landmarks. A movement is not a feeling: people smile for "
    "many reasons.",
    "Movements are measured best in faces that are near, sharp, lit and turned to the camera; where they cannot be, they "
    "are empty.",
    "",
    "",
)


def kinds_of(specs: Iterable[LabelSpec], moving: bool = False) -> list[Kind]:
    """Those that occur, in the order of the table; movements first."""
    found = {spec.kind for spec in specs}
    kinds = [kind for name, kind in KINDS.items() if name in found]
    return [MOVING, *kinds] if moving else kinds


def subject_of(specs: Iterable[LabelSpec], moving: bool = False) -> str:
    """face movement, apparent expression, affect and personality: as far as they go"""
    said = [kind.subject for kind in kinds_of(specs)]
    apparent = [f"apparent {_listed(said)}"] if said else []
    return " and ".join([MOVING.subject, *apparent] if moving else apparent)


def _listed(words: list[str]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


def span_of(spec: LabelSpec, before: str) -> str:
    """The range of the targets in words, after the words `before`; "" where it is not known."""
    return f"{before}{spec.range[0]:g} to {spec.range[1]:g}" if spec.range else ""
