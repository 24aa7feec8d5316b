"""Every kind of model that is scored, by `LabelSpec.kind`. A new one is a file, and a name here."""

from mien.scoring.classes import Classes
from mien.scoring.numbers import Numbers

KINDS: dict[str, Classes | Numbers] = {
    "categorical": Classes("classes"), "dimensional": Numbers("targets"), "traits": Numbers("traits")
}  # fmt: skip
