"""Every kind of model that is scored, by `LabelSpec.kind`. A new one is a file, and an entry here."""

from mien.scoring.classes import Classes
from mien.scoring.kind import Kind
from mien.scoring.metrics import CLASS_METRICS
from mien.scoring.numbers import Numbers
from mien.scoring.values import VALUE_METRICS

KINDS: dict[str, Kind] = {
    "categorical": Classes("a classifier", "classes", CLASS_METRICS, ("uar", "war"), percent=True),
    "dimensional": Numbers("a regression", "targets", VALUE_METRICS, ("ccc",), percent=False),
    "traits": Numbers("a regression", "traits", VALUE_METRICS, ("ccc",), percent=False),
}
