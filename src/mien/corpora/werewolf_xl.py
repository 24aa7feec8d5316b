"""Werewolf-XL: speakers in a party game, rated by others for pleasure, arousal and dominance, per clip.

Zhang et al. 2023. Labels are tables with the columns VideoName, Session, Mean_P_1_2, Mean_A_1_2, Mean_D_1_2 (means of two
raters; P is inferred: the published code names A and D) and, for some, Categorical (the speakers' own word, Chinese). Clips are
videos ``07_01_200.mp4`` (session, seat, utterance) or folders ``07_01_200_aligned`` of faces aligned by OpenFace.

Certain: columns A and D, sessions, 5 folds of six sessions (1-6, 7-12, ...) as in SVFAP and HiCMAE. Uncertain, with an
option:

- number of clips: 14,632 in the papers, 14,457 in HiCMAE's lists; either passes, and 14,457 is also checked per fold;
- where the files lie (`labels`; clips are found anywhere below the root) and which kind is meant (`media`);
- scale: HiCMAE's are in [0, 1]; other tables need `low` and `high`, from which they are mapped to [0, 1];
- rate of the aligned frames (`fps`, 25);
- who is who: 129 people sat in 270 seats. Without `participants` the subject is the seat, and the folds separate sessions, not
  people. With it (the authors' table of appearances, cells such as ``7-1``, a row for a person: inferred from their code)
  seats of a row are one subject.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.contract import Geometry
from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import (
    check_root,
    count_problems,
    doubles,
    image_folders,
    join,
    missing,
    number,
    problem,
    read_table,
    read_text,
    safe_name,
    videos_by_stem,
    walk,
)
from mien.errors import UserError, require

SOURCE = "links in the read-me of https://github.com/Xinda-Wu/Werewolf-XL-Baseline"
TARGETS = {"valence": "Mean_P_1_2", "arousal": "Mean_A_1_2", "dominance": "Mean_D_1_2"}
NUM_SESSIONS = 30
COUNTS = (14_632, 14_457)
# Test clips of each of the five folds where the list has 14,457.
FOLDS = (3346, 2747, 3066, 3527, 1771)


@dataclass(frozen=True)
class WerewolfXL:
    """Werewolf-XL (pleasure as `valence`, arousal, dominance of speakers)."""

    media: Literal["auto", "frames", "videos"] = "auto"
    """auto: aligned frames where there are any."""
    labels: str | None = None
    """Table of labels below the root; none: the only one that has the columns."""
    participants: str | None = None
    """Table of who sat where, below the root."""
    folds: Literal[5, 10] = 5
    """5 of six sessions as the papers, 10 of three as the authors' own code (tests only; it also names validation sessions)."""
    low: float = 0.0
    high: float = 1.0
    """Range of the ratings in the table; stored as [0, 1]."""
    fps: float = 25.0
    """Rate of the aligned frames."""

    def read(self, root: Path) -> Listing:
        check_root(root, "Werewolf-XL", SOURCE)
        require(self.high > self.low, f"high={self.high:g} is not above low={self.low:g}")
        table = root / self.labels if self.labels else _find_labels(root)
        rows = read_table(table, ("VideoName", *TARGETS.values()))
        names = Counter(row["VideoName"] for row in rows)
        first = {row["VideoName"]: row for row in reversed(rows)}
        media, clips = self._clips(root)
        people = _people(root / self.participants) if self.participants else {}
        entries = [self._entry(first[name], f"{table}: {name}", media, clips, people) for name in names]
        lines = problem("names labelled more than once, the first is used", [n for n, c in names.items() if c > 1])
        lines += self._problems(entries, clips)
        aligned = media == "frames"
        return Listing(
            entries,
            target_names=tuple(TARGETS),
            crop="none" if aligned else "face",
            stand_in=Geometry() if aligned else None,
            image_fps=self.fps,
            problems=tuple(lines),
        )

    def _clips(self, root: Path) -> tuple[str, dict[str, list[str]]]:
        """Which kind of clip, and name to places."""
        folders: dict[str, list[str]] = {}
        for folder in image_folders(root) if self.media != "videos" else []:
            folders.setdefault(folder.split("/")[-1].removesuffix("_aligned"), []).append(folder)
        if self.media == "frames" or folders:
            return "frames", folders
        return "videos", videos_by_stem(root)

    def _entry(
        self, row: Mapping[str, str], where: str, media: str, clips: dict[str, list[str]], people: Mapping[str, str]
    ) -> Entry:
        name = safe_name(row["VideoName"], where)
        session, seat = _seat(name, where)
        values: dict[str, str | float | None] = {"subject": people.get(seat, seat), "session": float(session)}
        for target, column in TARGETS.items():
            value = number(row[column], f"{where}: {column}")
            if not self.low <= value <= self.high:  # NaN too
                span = f"{self.low:g} to {self.high:g}"
                raise UserError(f"{where}: {column} is {value:g}, outside {span}; give the options low and high")
            values[target] = (value - self.low) / (self.high - self.low)
        if row.get("Categorical"):
            values["categorical"] = row["Categorical"]
        size = NUM_SESSIONS // self.folds
        for fold in range(1, self.folds + 1):
            values[f"fold_{fold}"] = "test" if (session - 1) // size == fold - 1 else "train"
        ending = "_aligned" if media == "frames" else ".mp4"
        return Entry(clips.get(name, [f"{name}{ending}"])[0], values)

    def _problems(self, entries: list[Entry], clips: dict[str, list[str]]) -> list[str]:
        places = {p for paths in clips.values() for p in paths}
        absent = [e.path for e in entries if e.path not in places]
        lines = (
            [] if len(entries) in COUNTS else [f"{len(entries):,} clips, published 14,632 (papers) or 14,457 (lists)"]
        )
        if len(entries) == COUNTS[1] and self.folds == len(FOLDS):
            tests = {f"fold {k}": sum(e.values[f"fold_{k}"] == "test" for e in entries) for k in range(1, 6)}
            lines += count_problems("test clips", tests, {f"fold {k}": n for k, n in enumerate(FOLDS, 1)})
        used = {e.path for e in entries}
        lines += problem("labelled clips missing", absent)
        lines += problem("clips without label, left out", sorted(n for n, p in clips.items() if not used & set(p)))
        lines += doubles({n: p for n, p in clips.items() if used & set(p)})
        if not self.participants:
            lines.append("subjects are seats: a person may sit in several sessions, on both sides of a fold "
                         "(option participants)")  # fmt: skip
        return lines


def _find_labels(root: Path) -> Path:
    """The only table with the columns."""
    found = []
    for folder, _, names in walk(root):
        for name in names:
            if name.lower().endswith(".csv"):
                with (root / folder / name).open(encoding="utf-8-sig", errors="replace") as file:
                    header = file.readline()
                if all(c in header for c in ("VideoName", *TARGETS.values())):
                    found.append(join(folder, name))
    if not found:
        raise missing(root, f"a CSV with the columns VideoName, {', '.join(TARGETS.values())}", "Werewolf-XL", SOURCE)
    require(len(found) == 1, f"{root} holds {' and '.join(found)}: say which with the option labels")
    return root / found[0]


def _seat(name: str, where: str) -> tuple[int, str]:
    """(session, ``07_01``) of ``07_01_200``."""
    match = re.fullmatch(r"(\d+)_(\d+)_.+", name)
    if match is None or not 1 <= int(match[1]) <= NUM_SESSIONS:
        raise UserError(f"{where}: names are <session 1 to {NUM_SESSIONS}>_<seat>_<utterance>, such as 07_01_200")
    return int(match[1]), f"{int(match[1]):02d}_{int(match[2]):02d}"


def _people(path: Path) -> dict[str, str]:
    """Seat to the first seat of the same person."""
    require(path.is_file(), f"participants={path}: no such file")
    same: dict[str, str] = {}
    for row in csv.reader(read_text(path).splitlines()):
        pairs = [re.fullmatch(r"(\d{1,2})-(\d{1,2})", cell.strip()) for cell in row]
        seats = sorted({f"{int(m[1]):02d}_{int(m[2]):02d}" for m in pairs if m})
        roots = sorted({same.get(s, s) for s in seats})
        same |= {s: roots[0] for s in [*seats, *(s for s, r in same.items() if r in roots)]}
    require(bool(same), f"{path} has no cells such as 7-1 (session-seat)")
    return same
