"""DFEW: 16,372 film clips, 11,697 of them with a single label, in seven classes and five folds.

Jiang et al. 2020. Lists: ``EmoLabel_DataSplit/{train,test}(single-labeled)/set_{1..5}.csv`` with the header ``video_name,label``,
labels 1..7; a copy with labels 0..6 and the names ``train_set_1.csv`` goes round under the same header: a 0 or a 7 tells them
apart. Clips: folders of images named by the five-digit id. SVFAP and MAE-DFER use the original-length crops, not the ones
brought to 16 frames. Certain: lists, order, counts. Not certain: the layout of annotation.xlsx (votes), the frame rate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.contract import CropKind
from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, missing, problem, read_table
from mien.corpora.text import (
    UNKNOWN_CROP,
    Clips,
    all_of_length,
    find_file,
    fold_problems,
    holding,
    look,
    merge_folds,
    read_xlsx,
    shapes,
    whole_frames,
)
from mien.errors import UserError, require

SOURCE = "from https://dfew-dataset.github.io on request"
CLASSES = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
TOTAL, UNLISTED = 11_697, 4_675
TESTS = (2341, 2341, 2340, 2339, 2336)
LISTS = ("{part}(single-labeled)/set_{fold}.csv", "{part}_set_{fold}.csv")
SHORT = (
    "every clip has exactly 16 images: these are the time-normalised crops (clip_224x224_16f), not the original-length ones of "
    "the papers. Each clip then moves at a speed of its own, a stride above 1 runs out of frames, and scores do not compare: "
    "use the original-length crops"
)


@dataclass(frozen=True)
class Dfew:
    """Options: `frames`, the folder below the root with the clips; `votes`, annotation.xlsx or .csv (auto, none, a path)."""

    frames: str = "auto"
    votes: str = "auto"

    def read(self, root: Path) -> Listing:
        check_root(root, "DFEW", SOURCE)
        first = find_file(root, [name.format(part="train", fold=1) for name in LISTS])
        if first is None:
            raise missing(root, "EmoLabel_DataSplit/train(single-labeled)/set_1.csv", "DFEW", SOURCE)
        labels, folds, problems = read_lists(first)
        frames = self._frames(root, labels)
        clips = Clips(root, frames)
        votes, noted = self._votes(root)
        entries = []
        for name, label in labels.items():
            values: dict[str, str | float | None] = {"label": label, **folds[name], **votes.get(name, {})}
            entries.append(Entry(clips.path(name), values))
        problems += fold_problems(list(folds.values()), TESTS, TOTAL) + noted
        kind, seen = _kind(root, entries)
        return Listing(
            entries, CLASSES, crop=kind, stand_in=UNKNOWN_CROP,
            problems=(*problems, *seen, *_gaps(root, frames, clips, labels)),
        )  # fmt: skip

    def _frames(self, root: Path, labels: Mapping[str, str]) -> Path:
        """The folder of clips: the one named, else the best below the root, original-length before 16 frames."""
        if self.frames != "auto":
            require((root / self.frames).is_dir(), f"frames={self.frames}: no such folder below {root}")
            return root / self.frames
        found = holding(root, labels, 3)
        if not found:
            raise missing(root, f"a folder of clips such as clip_224x224/{next(iter(labels))}", "DFEW", SOURCE)
        return min(found, key=lambda f: all_of_length([f / n for n in labels], 16))

    def _votes(self, root: Path) -> tuple[dict[str, dict[str, float]], list[str]]:
        if self.votes == "none":
            return {}, []
        if self.votes == "auto":
            path = find_file(root, ["annotation.csv", "annotation.xlsx"])
            if path is None:
                return {}, ["no annotation.xlsx: no votes of the ten annotators (soft labels are not possible)"]
        else:
            path = next((p for p in (root / self.votes, Path(self.votes)) if p.is_file()), None)
            require(path is not None, f"votes={self.votes}: no such file, nor below {root}")
            assert path is not None
        return read_votes(path)


def read_lists(first: Path) -> tuple[dict[str, str], dict[str, dict[str, str]], list[str]]:
    """Label and folds by five-digit id, from the folder that holds the list of the first fold.

    Raises:
        UserError: a list is missing, or holds something else.
    """
    official = "(single-labeled)" in first.parent.name
    place, pattern = (first.parent.parent, LISTS[0]) if official else (first.parent, LISTS[1])
    parts: dict[tuple[int, str], dict[str, int]] = {}
    for fold in range(1, 6):
        for part in ("train", "test"):
            path = place / pattern.format(part=part, fold=fold)
            require(path.is_file(), f"{path}: no such file; DFEW has lists of five folds, {SOURCE}")
            parts[fold, part] = _read_list(path)
    base, problems = label_base([n for rows in parts.values() for n in rows.values()], place)
    named = {key: {n: CLASSES[v - base] for n, v in rows.items()} for key, rows in parts.items()}
    labels, folds, more = merge_folds(named, place)
    return labels, folds, problems + more


def _read_list(path: Path) -> dict[str, int]:
    rows: dict[str, int] = {}
    for line, row in enumerate(read_table(path, ("video_name", "label")), 2):
        name, label = row["video_name"], row["label"]
        if not name.isdigit() or not label.isdigit() or int(label) > 7:
            raise UserError(f"{path} line {line}: {name},{label}; it is the number of a clip and a label 1 to 7")
        require(name.zfill(5) not in rows, f"{path} line {line}: clip {name} a second time")
        rows[name.zfill(5)] = int(label)
    return rows


def label_base(labels: Sequence[int], where: Path) -> tuple[int, list[str]]:
    """1 for the official lists, 0 for the copy that counts from 0, and what is to be said of it.

    Raises:
        UserError: both a 0 and a 7.
    """
    found = set(labels)
    require(
        not {0, 7} <= found, f"{where}: the lists hold the labels 0 and 7: two numberings mixed; use the official lists"
    )
    if 0 in found:
        return 0, ["labels count from 0: a copy of the official lists, read as such"]
    unsure = "" if 7 in found else "labels hold neither 0 nor 7: taken to count from 1 as in the official lists"
    return 1, [unsure] if unsure else []


def read_votes(path: Path) -> tuple[dict[str, dict[str, float]], list[str]]:
    """How many of the ten annotators chose each class. Columns are told by the class in their name (recalled: ``1happy`` ..
    ``7fear``) and ``order`` or ``video_name`` for the id; a file of another shape is left out with a line.
    """
    rows = read_xlsx(path) if path.suffix.lower() == ".xlsx" else _csv(path)
    header = [c.strip().lower() for c in rows[0]] if rows else []
    columns = {c: [i for i, h in enumerate(header) if re.fullmatch(rf"\d?[ _]?{c}", h)] for c in CLASSES}
    ids = [i for i, h in enumerate(header) if h in ("order", "video_name", "id")]
    if not ids or any(len(found) != 1 for found in columns.values()):
        return {}, [f"{path.name} is not laid out as expected (columns {', '.join(header[:12])}): votes left out"]
    votes: dict[str, dict[str, float]] = {}
    for row in rows[1:]:
        try:
            name = str(int(float(row[ids[0]]))).zfill(5)
            votes[name] = {f"votes_{c}": float(row[i[0]] or 0) for c, i in columns.items()}
        except (ValueError, IndexError):
            return {}, [f"{path.name}: a row without a number or with too few cells: votes left out"]
    return votes, []


def _csv(path: Path) -> list[list[str]]:
    rows = read_table(path, ())
    return [list(rows[0]), *(list(r.values()) for r in rows)] if rows else []


def _kind(root: Path, entries: Sequence[Entry]) -> tuple[CropKind, list[str]]:
    """How faces get into the shards, and what there is to say of the images."""
    folders = [root / e.path for e in entries]
    seen = look(folders)
    if not seen:
        return "face", [
            "no clip is a folder of images, so these are not the official crops: faces are found and cropped here"
        ]
    if whole_frames(seen):
        return "face", [
            f"images are whole frames ({shapes(seen)}), not the official crops: faces are found and cropped here"
        ]
    short = all_of_length(folders, 16)
    return "none", [SHORT] if short else []


def _gaps(root: Path, frames: Path, clips: Clips, labels: Mapping[str, str]) -> list[str]:
    lines = problem(f"listed clips are not in {frames.relative_to(root).as_posix()}", clips.missing(labels))
    extra = [p.name for p in frames.iterdir() if re.fullmatch(r"\d{5}", p.stem) and p.stem not in labels]
    if extra and len(extra) != UNLISTED:
        full = f"clips are in no list (the full release has {UNLISTED:,} without a single label)"
        lines += problem(full, sorted(extra))
    return lines
