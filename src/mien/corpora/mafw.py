"""MAFW: 10,045 clips, 9,172 of them with a single label, in eleven classes and five folds.

Liu et al. 2022. Lists: ``single/no_caption/set_{1..5}/{train,test}.txt`` with lines ``03747.mp4 anger``. Clips: the official
frames (png; face frames supplied with the data set, which SVFAP and MAE-DFER used) in folders named by the five-digit id.
The class order is MAE-DFER's; two others go round, so only lists with class names are read. Certain: lists, order, counts.
Not certain: how the official face frames were cropped; face crops that somebody made and stored as square png cannot be told
from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, missing, problem
from mien.corpora.text import (
    UNKNOWN_CROP,
    Clips,
    find_file,
    fold_problems,
    holding,
    lines_of,
    look,
    merge_folds,
    shapes,
    whole_frames,
)
from mien.errors import UserError, require

SOURCE = "from https://mafw-database.github.io/MAFW on request"
CLASSES = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety", "helplessness",
    "disappointment",
)  # fmt: skip
TOTAL = 9_172
TESTS = (1839, 1837, 1833, 1832, 1831)
UNSURE = "that they are the official face frames is likely, not certain: square png of one's own look the same"


@dataclass(frozen=True)
class Mafw:
    """Option: `frames`, the folder below the root that holds the clips."""

    frames: str = "auto"

    def read(self, root: Path) -> Listing:
        check_root(root, "MAFW", SOURCE)
        first = find_file(
            root, ["single/no_caption/set_1/train.txt", "no_caption/set_1/train.txt", "set_1/train.txt"], 4
        )
        if first is None:
            raise missing(root, "single/no_caption/set_1/train.txt", "MAFW", SOURCE)
        place = first.parent.parent
        parts = {}
        for fold in range(1, 6):
            for part in ("train", "test"):
                path = place / f"set_{fold}" / f"{part}.txt"
                require(path.is_file(), f"{path}: no such file; MAFW has lists of five folds, {SOURCE}")
                parts[fold, part] = _read_list(path)
        labels, folds, problems = merge_folds(parts, place)
        frames = self._frames(root, labels)
        clips = Clips(root, frames)
        entries = []
        for name, label in labels.items():
            values: dict[str, str | float | None] = {"label": label, **folds[name]}
            entries.append(Entry(clips.path(name), values))
        problems += fold_problems(list(folds.values()), TESTS, TOTAL)
        problems += problem(f"listed clips are not in {frames.relative_to(root).as_posix()}", clips.missing(labels))
        ready, line = judge(look([root / e.path for e in entries]))
        kind = "none" if ready else "face"
        return Listing(
            entries,
            CLASSES,
            crop=kind,
            stand_in=UNKNOWN_CROP,
            problems=(*problems, line),
        )

    def _frames(self, root: Path, labels: Mapping[str, str]) -> Path:
        """The folder of clips: the one named, else the first below the root; folders of images before videos."""
        if self.frames != "auto":
            require((root / self.frames).is_dir(), f"frames={self.frames}: no such folder below {root}")
            return root / self.frames
        found = holding(root, labels, 4)
        if not found:
            raise missing(root, f"a folder of clips such as frames/{next(iter(labels))}", "MAFW", SOURCE)
        return next((f for f in found if any((f / n).is_dir() for n in labels)), found[0])


def judge(seen: Sequence[tuple[str, int, int]]) -> tuple[bool, str]:
    """(whether these are crops of faces, what to say): official face frames are png; wide images are whole frames."""
    if not seen:
        return False, "no clip is a folder of images, so not the official face frames: faces are found and cropped here"
    what = shapes(seen)
    if whole_frames(seen):
        return False, (
            f"images are whole frames ({what}), certainly not the official face frames: faces are found and cropped here; scores "
            "of the papers are on the official ones"
        )
    if any(suffix != ".png" for suffix, _, _ in seen):
        return True, (
            f"images are not png ({what}): most likely crops of one's own, not the official face frames, on which the papers' "
            "scores are"
        )
    return True, f"images are crops in png ({what}): {UNSURE}"


def _read_list(path: Path) -> dict[str, str]:
    """Five-digit id to class name.

    Raises:
        UserError: a line of another format (numbered classes stand for three different orders).
    """
    rows: dict[str, str] = {}
    for number, line in enumerate(lines_of(path), 1):
        words = line.split()
        stem = words[0].rsplit(".", 1)[0]
        if len(words) != 2 or words[1].lower() not in CLASSES or not stem.isdigit():
            raise UserError(
                f"{path} line {number} is {line!r}; the official single-label lists say `03747.mp4 anger`. Numbered lists of "
                "other projects have three different orders: use the official ones"
            )
        require(stem not in rows, f"{path} line {number}: {words[0]} a second time")
        rows[stem] = words[1].lower()
    return rows
