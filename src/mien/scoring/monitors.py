"""What is looked at while a model pre-trains: its loss on clips that it does not train on, and whether its features collapse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from mien.console import console
from mien.data.dataset import ClipSet
from mien.data.loader import Batch
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.data.view import View
from mien.methods.siamese import Siamese
from mien.rng import generator
from mien.scoring.collapse import chance, effective_rank, knn_accuracy, relative_std
from mien.scoring.inference import Inference

MOST_CLIPS, FEWEST_CLIPS = 512, 8
LABEL = "label"
# Ours. SimSiam's Fig. 2 shows about 1 for a healthy run and 0 for a collapsed one; features that differ in fewer than two
# directions cannot tell more than one thing.
LOW_SPREAD, LOW_RANK = 0.1, 2.0

Look = Callable[[nn.Module], dict[str, float]]
"""Numbers for the log, of a learner in evaluation mode."""


def held_out_loss(learner: Any, shards: Sequence[Shards], rows: Sequence[Manifest], how: Inference) -> Look | None:
    """The learner's numbers on held-out clips; for masked autoencoders also those of predicting zeros. None without any."""
    if not sum(map(len, rows)):
        return None
    clips, views = ClipSet(shards, _some(rows, "held out clips")), learner.held_out_views()

    def look(module: Any) -> dict[str, float]:
        sums: dict[str, float] = {}
        for windows, out in how.over(clips, views, module):
            for name, value in out.items():
                sums[name] = sums.get(name, 0.0) + len(windows) * float(value)
        means = {f"held_out_{name}": value / len(clips) for name, value in sums.items()}
        if zero := means.get("held_out_zero_loss"):
            means["held_out_ratio"] = means["held_out_loss"] / zero
        return means

    return look


def collapse_monitor(
    learner: Any, shards: Sequence[Shards], rows: Sequence[Manifest], how: Inference, say: bool = True
) -> Look | None:
    """Looks at features of clips without augmentation: ``feature_std`` and ``projection_std`` (relative to 1 / sqrt(D)),
    ``effective_rank``, and with labels ``knn_accuracy`` beside ``knn_chance``, people kept apart.

    None for methods of one view, and where there are too few clips.

    Args:
        say: print a warning where features have collapsed; one process of several does.
    """
    if not isinstance(learner, Siamese) or sum(map(len, rows)) < FEWEST_CLIPS:
        return None
    seen, chosen = learner.config.clip, _some(rows, "monitored clips")
    view = View(seen.num_frames, seen.stride, "test", learner.plain_augment())
    clips, views = ClipSet(shards, chosen), {"clip": view}
    labels, people = _labels([row for m in chosen for row in m.rows()])
    last: list[float] = []
    reasons: list[str | None] = []

    def look(module: Any) -> dict[str, float]:
        def both(batch: Batch) -> list[np.ndarray]:
            return [_numbers(module.features(batch["clip"])), _numbers(module.projections(batch["clip"]))]

        parts = [found for _, found in how.over(clips, views, both)]
        features, projections = (np.concatenate(part) for part in zip(*parts, strict=True))
        values = scores(features, projections, labels, people)
        weights = [p.detach().double().sum().item() for p in module.parameters()]
        if weights == last:  # the final ones may be looked at twice
            return values
        last[:] = weights
        reasons.append(collapsed(values))
        # Networks start with features that hardly differ: only the second look in a row that finds so counts.
        if say and _second(reasons):
            console(errors=True).print(f"warning: {reasons[-1]}", soft_wrap=True)
        return values

    return look


def _numbers(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def _second(reasons: Sequence[str | None]) -> bool:
    """Whether the last two looks found a collapse, for the first time."""
    pairs = [bool(a and b) for a, b in zip(reasons, reasons[1:], strict=False)]
    return bool(pairs) and pairs[-1] and sum(pairs) == 1


def scores(
    features: np.ndarray, projections: np.ndarray, labels: Sequence[str | None], people: Sequence[str | None]
) -> dict[str, float]:
    """The numbers of `collapse_monitor` for features [n, D] and projections [n, P]; only clips with a label vote."""
    values = {
        "feature_std": relative_std(features),
        "projection_std": relative_std(projections),
        "effective_rank": effective_rank(features),
    }
    known = [k for k, label in enumerate(labels) if label is not None]
    names = [str(labels[k]) for k in known]
    if len(set(names)) > 1:
        accuracy = knn_accuracy(features[known], names, [people[k] for k in known])
        if accuracy == accuracy:
            values |= {"knn_accuracy": accuracy, "knn_chance": chance(names)}
    return values


def collapsed(values: dict[str, float]) -> str | None:
    """Why these numbers mean a collapse, and what helps; None when they do not."""
    found = []
    if values["projection_std"] < LOW_SPREAD:
        found.append(
            f"projections hardly differ (relative standard deviation {values['projection_std']:.3f}; 1 is healthy)"
        )
    if values["effective_rank"] < LOW_RANK:
        found.append(f"features use {values['effective_rank']:.1f} directions")
    if not found:
        return None
    return (
        f"the features have collapsed, or never spread: {' and '.join(found)}. "
        "A smaller --optim.lr, a longer warm-up or a larger batch helps; DINO: fewer --prototypes, a lower "
        "--warmup-temperature"
    )


def _some(rows: Sequence[Manifest], purpose: str) -> list[Manifest]:
    """At most `MOST_CLIPS` rows, each folder by its share, picked without a seed so that runs compare."""
    count, rng = sum(map(len, rows)), generator(purpose, 0)
    shares = [min(len(m), max(1, MOST_CLIPS * len(m) // count)) for m in rows]
    return [m.take(sorted(rng.permutation(len(m))[:n])) if len(m) else m for m, n in zip(rows, shares, strict=True)]


def _labels(rows: list[dict[str, Any]]) -> tuple[list[str | None], list[str | None]]:
    """(label, subject) of each row; None where there is none."""
    labels = [row.get(LABEL) for row in rows]
    texts = [None if v is None or v == "" or v != v else str(v) for v in labels]
    return texts, [row["subject"] or None for row in rows]
