"""FERV39k: 38,935 clips of 22 kinds of scenes in seven classes, one split.

Wang et al. 2022. Lists: ``4_setups/All_scenes/{train,test}_All.csv`` without a header, ``Crime/Angry/0063 Angry``; clips: folders
of face crops below ``2_ClipsforFaceCrop``. Class order as SVFAP, MAE-DFER and DFER-CLIP have it (another project counts
alphabetically; here names decide, so no order can be confused). Certain: lists, order, counts. Not certain: the frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, count_problems, missing, problem, safe_path
from mien.corpora.text import UNKNOWN_CROP, Clips, find_file, lines_of, look, merge_folds, shapes, whole_frames
from mien.errors import UserError, require

SOURCE = "from https://wangyanckxx.github.io/Proj_CVPR2022_FERV39k.html on request"
CLASSES = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
COUNTS = {"train": 31_088, "test": 7_847}


@dataclass(frozen=True)
class Ferv39k:
    """Option: `frames`, the folder below the root that holds the scenes' folders."""

    frames: str = "2_ClipsforFaceCrop"

    def read(self, root: Path) -> Listing:
        check_root(root, "FERV39k", SOURCE)
        first = find_file(root, ["4_setups/All_scenes/train_All.csv", "All_scenes/train_All.csv", "train_All.csv"])
        if first is None:
            raise missing(root, "4_setups/All_scenes/train_All.csv", "FERV39k", SOURCE)
        test = first.with_name("test_All.csv")
        require(test.is_file(), f"{test}: no such file; {SOURCE}")
        parts = {(1, part): _read_list(first.with_name(f"{part}_All.csv")) for part in COUNTS}
        labels, folds, problems = merge_folds(parts, first.parent)  # one "fold": the split
        folder = root / self.frames
        if not folder.is_dir():
            raise missing(root, f"the face crops in {self.frames} (--corpus-options frames=...)", "FERV39k", SOURCE)
        clips, entries = Clips(root, folder), []
        for name, label in labels.items():
            values: dict[str, str | float | None] = {"label": label, "split": folds[name]["fold_1"]}
            entries.append(Entry(clips.path(name), values | {"scene": name.split("/")[0].lower()}))
        counts = {part: sum(e.values["split"] == part for e in entries) for part in COUNTS}
        problems += count_problems("clips", counts, COUNTS)
        problems += problem("listed clips are not there", clips.missing(labels))
        seen = look([root / e.path for e in entries])
        ready = bool(seen) and not whole_frames(seen)
        if not ready:
            what = f"images are whole frames ({shapes(seen)})" if seen else "no clip is a folder of images"
            problems.append(f"{what}, not the official crops: faces are found and cropped here")
        kind = "none" if ready else "face"
        return Listing(
            entries,
            CLASSES,
            crop=kind,
            stand_in=UNKNOWN_CROP,
            problems=tuple(problems),
        )


def _read_list(path: Path) -> dict[str, str]:
    """Clip to class; the class in the path must be the one of the label.

    Raises:
        UserError: a line of another format (lists of other projects number the classes in different orders).
    """
    rows: dict[str, str] = {}
    for number, line in enumerate(lines_of(path), 1):
        name, _, label = line.replace(",", " ").rpartition(" ")
        name, word, parts = name.strip().replace("\\", "/"), label.lower(), name.strip().split("/")
        if word not in CLASSES or len(parts) != 3:
            raise UserError(
                f"{path} line {number} is {line!r}; the official lists say `Crime/Angry/0063 Angry`. Lists of other "
                "projects number the classes, in different orders: use the official ones"
            )
        if parts[1].lower() != word:
            raise UserError(f"{path} line {number}: {name} lies in the folder of another class than {label}")
        name = safe_path(name, f"{path} line {number}")
        require(name not in rows, f"{path} line {number}: {name} a second time")
        rows[name] = word
    return rows
