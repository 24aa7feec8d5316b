"""What the movements tell apart on labelled stills and clips, with nothing trained: the tables of docs/movements.md.

    python experiments/movement_card.py FOLDER [--out CSV]

FOLDER holds ``labels.csv`` (path, dataset, label, subject) and what it names. Of each expression against the neutral faces
of the same set: the area
under the curve of one movement, or of a sum of several, with 95 % intervals over people, and the recall of a smile at the
threshold of
predict. Stills are read in grey, since in one of the sets colour goes with the label.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from mien.faces.detect import CenterFace
from mien.faces.mesh import MeshFinder, Region, landmarker_file
from mien.movements.names import COEFFICIENTS, MOVEMENTS, STILL
from mien.options import Arg
from mien.rng import generator
from mien.timeline.motion import movements_of
from mien.verbs.command import script

SIDE, RESAMPLES, SMILE = 480, 1000, 0.3
NAMES = [m.name for m in MOVEMENTS]
STILLS = ("cmu_faces", "muxspace")
TOLD = {
    "happiness": (("smile",), ("lips_stretch",), ("eyes_closed",)),
    "surprise": (("jaw_open", "eyes_wide", "brow_inner_up"), ("brow_outer_up",), ("jaw_open",)),
    "anger": (("brow_down",), ("lips_press",)),
    "sadness": (("brow_inner_up",), ("lips_pucker",)),
    "disgust": (("brow_down",), ("lips_press",)),
    "fear": (("brow_inner_up", "eyes_wide"), ("lips_stretch",)),
}
"""Which movements, each a sum of those named, are looked at for a label."""


@dataclass(frozen=True)
class Options:
    """Which of the sets."""

    folder: Annotated[Path, Arg(positional=True, metavar="FOLDER")]
    """With labels.csv."""
    out: Path | None = None
    """CSV with the coefficients of every face, which a second run reads instead of the pictures."""


@dataclass(frozen=True)
class Seen:
    dataset: str
    label: str
    subject: str
    coefficients: np.ndarray


def main(options: Options) -> None:
    if options.out is not None and options.out.is_file():
        seen = stored(options.out)
    else:
        seen = read(options.folder)
        if options.out is not None:
            store(seen, options.out)
    values = np.stack([s.coefficients for s in seen])
    high = np.quantile(values, 0.99, axis=0)
    still = ", ".join(name for name, value in zip(COEFFICIENTS, high, strict=True) if value < 0.05)
    print(f"{len(seen)} faces. 99th percentile below 0.05: {still}")
    print(f"left out of the timeline: {', '.join(STILL)}")
    for dataset in STILLS:
        table([s for s in seen if s.dataset == dataset], dataset)


def read(folder: Path) -> list[Seen]:
    """The largest face of every still, by the detector and two looks."""
    with open(folder / "labels.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["dataset"] in STILLS]
    finder, detector, found, missed = MeshFinder(landmarker_file()), CenterFace(), [], Counter()
    for row in rows:
        coefficients = of_still(folder / row["path"], finder, detector)
        if coefficients is None:
            missed[row["dataset"]] += 1
            continue
        found.append(Seen(row["dataset"], row["label"], row["subject"], coefficients))
    print("no face found: " + ", ".join(f"{n} of {name}" for name, n in missed.items()))
    return found


def of_still(path: Path, finder: MeshFinder, detector: CenterFace) -> np.ndarray | None:
    image = np.asarray(Image.open(path).convert("L").convert("RGB"))
    scale = SIDE / max(image.shape[:2])
    small = Image.fromarray(image).resize((round(image.shape[1] * scale), round(image.shape[0] * scale)))
    faces = detector.detect(np.asarray(small))
    if not len(faces):
        return None
    faces = faces.scaled(image.shape[1] / small.width, image.shape[0] / small.height)
    k = int(np.ptp(faces.boxes[:, [0, 2]], axis=1).argmax())
    first = finder.points(image, Region.of_face(faces.boxes[k], faces.points[k]))
    seen = finder.points(image, Region.around(first.points))
    return finder.coefficients(seen.points) if seen.presence >= 0.5 else None


def table(seen: list[Seen], dataset: str) -> None:
    labels = np.array([s.label for s in seen])
    people = np.array([s.subject for s in seen])
    values = movements_of(np.stack([s.coefficients for s in seen]))
    print(f"\n{dataset}: {len(seen)} faces of {len(set(people))} people, {dict(Counter(labels.tolist()))}")
    print("| label against neutral | movement | n | AUC | 95 % |\n|---|---|---:|---:|---|")
    for label, sums in TOLD.items():
        chosen = (labels == label) | (labels == "neutral")
        if (labels == label).sum() < 15:
            continue
        for names in sums:
            score = values[chosen][:, [NAMES.index(n) for n in names]].sum(1)
            truth, who = labels[chosen] == label, people[chosen]
            low, high = interval(truth, score, who)
            n = f"{truth.sum()} / {(~truth).sum()}"
            print(
                f"| {label} | {' + '.join(names)} | {n} | {roc_auc_score(truth, score):.2f} | {low:.2f} to {high:.2f} |"
            )
    smile = values[:, NAMES.index("smile")] >= SMILE
    recall, alarms = (smile[labels == label].mean() for label in ("happiness", "neutral"))
    print(f"smile >= {SMILE}: recall {recall:.2f}, false alarms {alarms:.3f}")


def interval(truth: np.ndarray, score: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """95 % of the area under the curve, with people drawn again."""
    rng, names = generator("movement card", 0), np.unique(people)
    members = {name: np.flatnonzero(people == name) for name in names}
    found = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[n] for n in rng.choice(names, len(names))])
        if 0 < truth[rows].sum() < len(rows):
            found.append(roc_auc_score(truth[rows], score[rows]))
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def store(seen: list[Seen], path: Path) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("dataset", "label", "subject", *COEFFICIENTS))
        writer.writerows((s.dataset, s.label, s.subject, *(f"{v:.5f}" for v in s.coefficients)) for s in seen)


def stored(path: Path) -> list[Seen]:
    with open(path, newline="") as file:
        return [
            Seen(r["dataset"], r["label"], r["subject"], np.array([float(r[n]) for n in COEFFICIENTS]))
            for r in csv.DictReader(file)
        ]


if __name__ == "__main__":
    script(Options, main)
