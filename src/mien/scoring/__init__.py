"""Scores: metrics with their intervals, protocols of benchmarks, tables beside the papers' rows."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.scoring.evaluation import evaluate as evaluate
    from mien.scoring.label_map import LabelMap as LabelMap
    from mien.scoring.label_map import read_label_map as read_label_map
    from mien.scoring.metrics import Interval as Interval
    from mien.scoring.metrics import bootstrap as bootstrap
    from mien.scoring.metrics import paired_bootstrap as paired_bootstrap
    from mien.scoring.options import Scoring as Scoring
    from mien.scoring.protocols import PROTOCOLS as PROTOCOLS
    from mien.scoring.protocols import Protocol as Protocol
    from mien.scoring.protocols import find_protocol as find_protocol
    from mien.scoring.scores import Scores as Scores
    from mien.scoring.values import concordance as concordance

__getattr__ = lazy(
    __name__,
    evaluation="evaluate",
    scores="Scores",
    options="Scoring",
    protocols="PROTOCOLS Protocol find_protocol",
    label_map="LabelMap read_label_map",
    metrics="Interval bootstrap paired_bootstrap",
    values="concordance",
)
