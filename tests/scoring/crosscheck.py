"""Our numbers against scikit-learn, scipy and torchmetrics: ours come from counts and sums, which a bootstrap needs, theirs from
the predictions."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.labels import LabelSpec
from mien.scoring.scores import Scores
from mien.scoring.table import KINDS

TOLERANCE = 1e-6


def check_evaluation(scores: Scores, out: Path, spec: LabelSpec) -> set[str]:
    """Compares the metrics of an evaluation, as they come from its predictions in `out`; the names of those compared.

    Raises:
        AssertionError: one does not agree: a fault of ours.
    """
    found = KINDS[spec.kind].read(out / "predictions.parquet", scores.names)
    if spec.kind == "categorical":
        return set(check_classes(found.truth, found.likeliest, len(scores.names), scores.record))
    outputs = np.where(np.isfinite(found.outputs), found.outputs, sum(spec.range or (0.0,)) / 2)
    return {
        metric
        for k, name in enumerate(spec.names)
        for metric in check_values(found.truth[:, k], outputs[:, k], scores.per_target[name])
    }


def check_classes(truth: np.ndarray, predicted: np.ndarray, num_classes: int, ours: dict[str, float]) -> dict[str, str]:
    """Compares metrics of ``[n]`` class indices (`num_classes` in `predicted`: no prediction).

    Returns:
        the independent implementation that agreed, by metric.

    Raises:
        AssertionError: one does not agree: a fault of ours.
    """
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    classes = list(range(num_classes))
    there = sorted(set(truth.tolist()))
    present = sorted({*there, *predicted.tolist()} - {num_classes})
    quiet: Any = {"zero_division": 0}  # typed as a word in scikit-learn, documented as a number too
    theirs = {
        "uar": ("scikit-learn recall_score", recall_score(truth, predicted, labels=there, average="macro", **quiet)),
        "war": ("scikit-learn accuracy_score", accuracy_score(truth, predicted)),
        "macro_f1": ("scikit-learn f1_score", f1_score(truth, predicted, labels=classes, average="macro", **quiet)),
        "macro_f1_present": (
            "scikit-learn f1_score", f1_score(truth, predicted, labels=present, average="macro", **quiet)
        ),
        "weighted_f1": (
            "scikit-learn f1_score", f1_score(truth, predicted, labels=classes, average="weighted", **quiet)
        ),
    }  # fmt: skip
    return _agree(ours, theirs)


def check_values(truth: np.ndarray, predicted: np.ndarray, ours: dict[str, float]) -> dict[str, str]:
    """Compares metrics of ``[n]`` values of one target; NaN in the truth is left out. As `check_classes`."""
    known = np.isfinite(truth)
    t, p = truth[known].astype(np.float64), predicted[known].astype(np.float64)
    if len(t) < 2 or np.ptp(t) < 1e-6 or np.ptp(p) < 1e-6:
        return {}  # a constant has no correlation, and each library has its own way to say so
    import torch
    from scipy.stats import pearsonr
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optional parts of torchmetrics that are not used here
        from torchmetrics.functional.regression import concordance_corrcoef

        ccc = float(concordance_corrcoef(torch.from_numpy(p), torch.from_numpy(t)))
    mae = float(mean_absolute_error(t, p))
    theirs = {
        "ccc": ("torchmetrics concordance_corrcoef", ccc),
        "pcc": ("scipy pearsonr", float(np.asarray(pearsonr(t, p))[0])),
        "mae": ("scikit-learn mean_absolute_error", mae),
        "one_minus_mae": ("scikit-learn mean_absolute_error", 1 - mae),
        "rmse": ("scikit-learn root_mean_squared_error", float(root_mean_squared_error(t, p))),
    }
    return _agree(ours, theirs)


def _agree(ours: dict[str, float], theirs: dict[str, tuple[str, float]]) -> dict[str, str]:
    for name, (library, value) in theirs.items():
        assert math.isclose(ours[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE), (
            f"{name}: ours {ours[name]!r}, {library} {value!r}"
        )
    return {name: library for name, (library, _) in theirs.items()}
