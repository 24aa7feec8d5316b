"""Aff-Wild2 as the ABAW challenges give it: video from the web, annotated frame by frame, faces cropped and aligned.

Kollias, Zafeiriou 2019. ``{VA_Estimation,EXPR_Recognition or EXPR_Classification}_Challenge/{Train,Validation}_Set/<video>.txt``:
a header, then a line per frame of the video. Faces ``cropped_aligned/<video>/00001.jpg`` (112 x 112), numbered by frame, none
where there is no face. Line i (from 0) belongs to image i + `first_number`. Both are looked for anywhere below the root.

Certain: texts, label order, -1 (expression) and -5 (valence, arousal) for frames without a label, which become NaN;
``_left`` and ``_right`` are two people of one video and share `subject` and `video`, so that nothing separates or resamples
them. The official test part has no labels and is not read. Papers report on Validation_Set (`fold_1` calls it test).
Uncertain, with an option: the number of the first image (`first_number` 1; checked against the folders), the frame rate
(`fps` 30: the crops do not tell it, and the videos' own rates differ), how the faces were aligned (stand-in geometry).
The first editions had seven expressions, without Other; they are read as such and said to be.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from mien.contract import Geometry
from mien.corpora.corpus import Entry, FrameTargets, Listing
from mien.corpora.files import (
    across,
    check_root,
    count_problems,
    files,
    folders,
    join,
    missing,
    problem,
    read_text,
    walk,
)
from mien.corpora.series import same
from mien.data.video import IMAGE_SUFFIXES
from mien.errors import UserError, require

SOURCE = "sign the agreement at https://affective-behavior-analysis-in-the-wild.github.io"
EXPRESSIONS = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
CHALLENGES = {
    "expr": ("EXPR_Recognition_Challenge", "EXPR_Classification_Challenge"),
    "va": ("VA_Estimation_Challenge",),
}
SETS = {"train": "Train_Set", "val": "Validation_Set"}
# Annotated tracks of the fifth edition (arXiv 2303.01498); other editions differ by some.
COUNTS = {"expr": {"train": 248, "val": 70}, "va": {"train": 356, "val": 76}}
SIDE = re.compile(r"_(left|right)$")


@dataclass(frozen=True)
class AffWild2:
    """Aff-Wild2 (eight expressions, or valence and arousal, of every frame)."""

    task: Literal["expr", "va"] = "expr"
    annotations: str | None = None
    """Folder of the challenge below the root, where there are several editions."""
    first_number: Literal[0, 1] = 1
    """Number of the image of the first frame."""
    fps: float = 30.0
    """Frames per second of the videos that the crops are of."""

    def read(self, root: Path) -> Listing:
        check_root(root, "Aff-Wild2", SOURCE)
        require(self.fps > 0, f"fps={self.fps:g}; it is above 0")
        base = self._annotations(root)
        crops = _crops(root)
        entries, images, rows, headers = [], {}, {}, {}
        for split, folder in SETS.items():
            for name in files(root / base / folder, {".txt"}):
                text, video = root / base / folder / name, os.path.splitext(name)[0]
                header, targets = parse(text, self.task, self.fps)
                headers.setdefault(header, name)
                rows[video], path = len(targets.times_s), crops.get(video, f"cropped_aligned/{video}")
                images[video] = image_numbers(root / path)
                group = SIDE.sub("", video)
                values = {"subject": group, "video": group, "split": split}
                values["fold_1"] = "test" if split == "val" else "train"
                entries.append(Entry(path, values, targets=partial(same, targets)))
        if len(headers) > 1:
            raise UserError(f"{root / base} mixes editions: {' and '.join(headers.values())} have different headers")
        classes = next(iter(headers)) if self.task == "expr" else ()
        return Listing(
            entries,
            classes=classes,
            target_names=("expression",) if self.task == "expr" else ("valence", "arousal"),
            crop="none",
            stand_in=Geometry(),
            image_fps=self.fps,
            image_times="number",
            first_number=self.first_number,
            problems=tuple(self._problems(entries, images, rows, crops, classes)),
        )

    def _annotations(self, root: Path) -> str:
        """The folder of the challenge, relative to root."""
        names = CHALLENGES[self.task]
        found = [f for f, inner, _ in walk(root) if f.split("/")[-1] in names and set(SETS.values()) <= set(inner)]
        if root.name in names and set(SETS.values()) <= set(folders(root)):
            found = [""]
        if self.annotations is not None:
            wanted = self.annotations.strip("/")
            found = [f for f in found if f == wanted or f.startswith(f"{wanted}/")]
        if not found:
            raise missing(root, f"{' or '.join(names)}/ with {' and '.join(SETS.values())}/", "Aff-Wild2", SOURCE)
        require(len(found) == 1, f"{root} holds {', '.join(found)}: say which with the option annotations")
        return found[0]

    def _problems(
        self,
        entries: list[Entry],
        images: dict[str, tuple[int, int, int]],
        rows: dict[str, int],
        crops: dict[str, str],
        classes: tuple[str, ...],
    ) -> list[str]:
        videos = {s: [e.values["video"] for e in entries if e.values["split"] == s] for s in SETS}
        lines = count_problems("annotated tracks", {s: len(v) for s, v in videos.items()}, COUNTS[self.task])
        if self.task == "expr" and len(classes) == len(EXPRESSIONS) - 1:
            lines.append("seven expressions, without Other: an edition before 2022, not comparable with eight")
        lines += across({s: {str(v) for v in names} for s, names in videos.items()}, "videos")
        lines += problem("annotated tracks without faces", sorted(v for v, (n, _, _) in images.items() if not n))
        lines += problem("folders of faces without annotation, left out", sorted(set(crops) - set(images)))
        # off by one would shift every label by a frame
        low = [v for v, (n, first, _) in images.items() if n and first < self.first_number]
        lines += problem("folders whose images begin at 0: give the option first_number=0", low)
        high = [v for v, (n, _, last) in images.items() if n and last - self.first_number >= rows[v]]
        lines += problem("tracks with faces after the last line of the annotation", high)
        if self.first_number == 0 and images and not any(n and first == 0 for n, first, _ in images.values()):
            lines.append("no folder has an image 00000: first_number=1 is the likely one")
        return lines


def _crops(root: Path) -> dict[str, str]:
    """Track name to its folder of faces, from every folder cropped_aligned* below root."""
    found: dict[str, str] = {}
    for folder, inner, _ in walk(root):
        if folder.split("/")[-1].startswith("cropped_aligned"):
            for name in inner:
                found.setdefault(name, join(folder, name))
            inner.clear()  # millions of images lie below
    return found


def image_numbers(folder: Path) -> tuple[int, int, int]:
    """(how many images, lowest, highest number) of a folder; zeros without one."""
    names = files(folder, IMAGE_SUFFIXES) if folder.is_dir() else []
    numbers = [int(stem) for stem in (os.path.splitext(n)[0] for n in names) if stem.isdigit()]
    return (len(numbers), min(numbers), max(numbers)) if numbers else (0, 0, 0)


def parse(path: Path, task: Literal["expr", "va"], fps: float) -> tuple[tuple[str, ...], FrameTargets]:
    """(header, targets) of one annotation file.

    Raises:
        UserError: another header, or a value that is no label.
    """
    lines = read_text(path).splitlines()
    header = tuple(name.strip() for name in lines[0].split(",")) if lines else ()
    allowed = (EXPRESSIONS, EXPRESSIONS[:-1]) if task == "expr" else (("valence", "arousal"),)
    if header not in allowed:
        raise UserError(f"{path} begins with {','.join(header) or 'nothing'}; the header is {','.join(allowed[0])}")
    width = 1 if task == "expr" else 2
    try:
        table = np.array([line.split(",") for line in lines[1:] if line.strip()], np.float32).reshape(-1, width)
    except ValueError:
        raise UserError(f"{path} has a line without {width} number{'s' * (width > 1)}: the file is damaged") from None
    invalid = -1 if task == "expr" else -5
    known = np.where(table == invalid, np.nan, table)
    inside = (known >= 0) & (known < len(header)) & (known == np.floor(known)) if task == "expr" else abs(known) <= 1
    if not (inside | np.isnan(known)).all():
        row = int(np.argmin((inside | np.isnan(known)).all(1)))
        raise UserError(f"{path} line {row + 2} is {lines[row + 1]}; no label of {','.join(header)}")
    times = np.arange(len(table)) / fps
    if task == "expr":
        return header, FrameTargets(times, {"expression": known[:, 0]})
    known[np.isnan(known).any(1)] = np.nan  # a frame counts only with both
    return header, FrameTargets(times, {"valence": known[:, 0], "arousal": known[:, 1]})
