"""What the expression corpora share: where clips are, what their images look like, votes, folds of speakers."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, UnidentifiedImageError

from mien.contract import Geometry
from mien.corpora.files import files, problem
from mien.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mien.errors import UserError

Folds = dict[str, dict[str, str]]
"""Clip name -> fold column -> part."""
# OpenFace's similarity alignment at its default scale puts the pupils about 0.41 of the picture's side apart (its mean
# shape: 65 mm apart at 0.7 px per mm of 112 px; recalled, not measured), our template 0.28: the crop is that much tighter.
# OpenFace also sits the eyes higher (0.27 of the side against 0.33 here), which no margin can express.
OPENFACE = Geometry("centerface", "face", "five-point-1", -0.16)
# The crops of DFEW, FERV39k and MAFW come without a description that would let them be made again; ours are the guess.
UNKNOWN_CROP = Geometry("centerface", "face", "five-point-1", 0.0)
SAMPLE = 24
"""Clips of which one image is looked at."""


def subfolders(root: Path, depth: int) -> Iterator[Path]:
    """`root` and the folders below it, the upper ones first, hidden ones left out."""
    level = [root]
    yield root
    for _ in range(depth):
        level = sorted(p for folder in level for p in _folders(folder))
        yield from level


def _folders(folder: Path) -> list[Path]:
    # Folders of clips may hold ten thousands: they are told by their many numbered names and not entered.
    with os.scandir(folder) as entries:
        inner = [Path(e.path) for e in islice((e for e in entries if e.is_dir()), 2000) if not e.name.startswith(".")]
    return inner if len(inner) < 1000 else []


def find_file(root: Path, endings: Sequence[str], depth: int = 3) -> Path | None:
    """The first file ``folder/ending`` for the folders from `root` down."""
    for folder in subfolders(root, depth):
        for ending in endings:
            if (folder / ending).is_file():
                return folder / ending
    return None


class Clips:
    """Where the clips of a corpus are: folders of images or videos, each folder above them listed once.

    Args:
        root: of the corpus. folder: below it, what names are relative to.
    """

    def __init__(self, root: Path, folder: Path):
        self.folder = folder
        self._prefix = "" if folder == root else folder.relative_to(root).as_posix() + "/"
        self._listed: dict[str, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """Path relative to the root, a folder before a video of that name; None when there is neither."""
        above, _, last = name.rpartition("/")
        if above not in self._listed:
            self._listed[above] = clips_in(self.folder / above)
        found = self._listed[above].get(last)
        return None if found is None else self._prefix + (f"{above}/{found}" if above else found)

    def path(self, name: str) -> str:
        """`find`, or where the folder of the clip would be."""
        return self.find(name) or self._prefix + name

    def missing(self, names: Iterable[str]) -> list[str]:
        return [n for n in names if self.find(n) is None]


def clips_in(folder: Path) -> dict[str, str]:
    """Name without suffix -> name of the folders and videos directly in `folder`."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        kinds = [(e.name, e.is_dir()) for e in entries]
    videos = {os.path.splitext(n)[0]: n for n, d in kinds if not d and os.path.splitext(n)[1].lower() in VIDEO_SUFFIXES}
    return videos | {n: n for n, is_folder in kinds if is_folder}


def holding(root: Path, names: Collection[str], depth: int) -> list[Path]:
    """Folders from `root` down in which one of the clips `names` lies."""
    wanted = set(names)
    return [folder for folder in subfolders(root, depth) if wanted & set(clips_in(folder))]


def num_images(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(os.path.splitext(e.name)[1].lower() in IMAGE_SUFFIXES for e in entries)


def all_of_length(folders: Iterable[Path], length: int) -> bool:
    """Whether every folder that is there holds exactly `length` images; False when there are none."""
    found = False
    for folder in folders:
        if folder.is_dir():
            found = True
            if num_images(folder) != length:
                return False
    return found


def look(folders: Sequence[Path]) -> list[tuple[str, int, int]]:
    """(suffix, width, height) of the first image of up to `SAMPLE` folders spread over the list."""
    there = [f for f in folders[:: max(1, len(folders) // (4 * SAMPLE))] if f.is_dir()]
    seen = []
    for folder in there[:: max(1, len(there) // SAMPLE)]:
        if names := files(folder, IMAGE_SUFFIXES):
            try:
                with Image.open(folder / names[0]) as image:
                    seen.append((os.path.splitext(names[0])[1].lower(), *image.size))
            except (OSError, UnidentifiedImageError):
                continue
    return seen


def whole_frames(seen: Sequence[tuple[str, int, int]]) -> bool:
    """Whether most images are so wide that they are frames of a video and no crops of faces."""
    wide = [w >= 1.2 * h for _, w, h in seen]
    return sum(wide) * 2 > len(wide)


def shapes(seen: Sequence[tuple[str, int, int]]) -> str:
    """Sizes and kinds of the images looked at, the most frequent three."""
    kinds = [f"{w}x{h} {suffix[1:]}" for suffix, w, h in seen]
    return ", ".join(sorted(set(kinds), key=lambda k: (-kinds.count(k), k))[:3])


def speaker_folds(tests: Sequence[Collection[int]], speaker: int) -> dict[str, str | float | None]:
    """``fold_<k>`` columns of a clip: "test" in the fold that holds its speaker out."""
    return {f"fold_{k}": "test" if speaker in test else "train" for k, test in enumerate(tests, 1)}


def fold_problems(columns: Sequence[Mapping[str, object]], tests: Sequence[int], total: int) -> list[str]:
    """Lines for test parts whose size is not the published one (train = the rest)."""
    lines = []
    for k, published in enumerate(tests, 1):
        parts = [c.get(f"fold_{k}") for c in columns]
        have = parts.count("train"), parts.count("test")
        if have != (total - published, published):
            lines.append(f"fold {k}: {have[0]:,} / {have[1]:,} clips, published {total - published:,} / {published:,}")
    return lines


def merge_folds(
    parts: Mapping[tuple[int, str], Mapping[str, str]], where: Path
) -> tuple[dict[str, str], Folds, list[str]]:
    """Official lists of several folds to one row per clip.

    Args:
        parts: (fold, "train" or "test") -> clip name -> label.

    Returns:
        Label by clip, fold columns by clip, problems.

    Raises:
        UserError: a clip in train and test of one fold, or with two labels.
    """
    labels: dict[str, str] = {}
    folds: Folds = {}
    for (fold, part), rows in parts.items():
        for name, label in rows.items():
            if labels.setdefault(name, label) != label:
                raise UserError(f"{where}: {name} is {labels[name]} in one list and {label} in another")
            columns = folds.setdefault(name, {})
            if columns.get(f"fold_{fold}", part) != part:
                raise UserError(f"{where}: fold {fold} has {name} in train and in test")
            columns[f"fold_{fold}"] = part
    numbers = {fold for fold, _ in parts}
    lines = problem("clips are not in the lists of every fold", [n for n, c in folds.items() if len(c) < len(numbers)])
    return labels, folds, lines


def lines_of(path: Path) -> list[str]:
    """Lines of a list, whatever its encoding: names and labels are ASCII."""
    return [line.strip() for line in path.read_bytes().decode("utf-8-sig", "replace").splitlines() if line.strip()]


def read_xlsx(path: Path) -> list[list[str]]:
    """Cells of the first sheet of an Excel file, as text.

    Raises:
        UserError: not an Excel file.
    """
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    try:
        with zipfile.ZipFile(path) as book:
            names = set(book.namelist())
            shared: list[str] = []
            if "xl/sharedStrings.xml" in names:
                tree = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
                shared = ["".join(t.text or "" for t in item.iter(f"{space}t")) for item in tree.iter(f"{space}si")]
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
            return [_cells(row, shared, space) for row in sheet.iter(f"{space}row")]
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, OSError, IndexError, ValueError) as error:
        raise UserError(f"{path} is not an Excel file that can be read ({error}); save it as CSV beside it") from None


def _cells(row: ElementTree.Element, shared: Sequence[str], space: str) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{space}c"):
        letters = re.match(r"[A-Z]*", cell.get("r", "")) or [""]
        column = 0
        for letter in letters[0]:
            column = column * 26 + ord(letter) - 64
        cells += [""] * (column - 1 - len(cells))  # empty cells are left out of the file
        value = cell.find(f"{space}v")
        text = "".join(t.text or "" for t in cell.iter(f"{space}t")) if value is None else value.text or ""
        cells.append(shared[int(text)] if cell.get("t") == "s" else text)
    return cells
