"""CREMA-D: 7,442 clips of 91 actors in six classes, with votes of a crowd; five folds by speaker.

Cao et al. 2014. The name says everything: ``1001_DFA_ANG_XX`` = actor, sentence, emotion, level. Votes: counts for each clip in
``processedResults/tabulatedVotes.csv`` (rows numbered 100,000 x (1 voice, 2 face, 3 both) + clip), where that is absent the most
voted class of ``processedResults/summaryTable.csv`` (ties shared). Clips: ``VideoFlash/*.flv``, or folders of aligned crops as
OpenFace writes them (``1001_DFA_ANG_XX`` or ``1001_DFA_ANG_XX_aligned``), which the papers used. Certain: names, tables,
folds. Not certain: the exact crops of the papers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, doubles, image_folders, missing, number, problem, read_table, videos_by_stem
from mien.corpora.text import OPENFACE, find_file, fold_problems, speaker_folds
from mien.errors import require

SOURCE = "from https://github.com/CheyneyComputerScience/CREMA-D"
CLASSES = ("anger", "disgust", "fear", "happy", "neutral", "sad")
CODES: dict[str, str] = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), CLASSES, strict=True))
LETTERS = dict(zip("ADFHNS", CLASSES, strict=True))
NAME = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)")
TOTAL = 7_442
SPEAKERS = (range(1001, 1019), range(1019, 1037), range(1037, 1055), range(1055, 1073), range(1073, 1092))
TESTS = (1463, 1470, 1476, 1476, 1557)
BROKEN = ("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD")
STRAY = "1015_DFA_ANG_XX.mp4"
MODES = {"voice": (1, "VoiceVote"), "face": (2, "FaceVote"), "multimodal": (3, "MultiModalVote")}
Votes = dict[str, dict[str, str | float | None]]


@dataclass(frozen=True)
class CremaD:
    """Options: `votes`, which of the three ratings (face: seen without sound); `clips`, crops (folders) or videos.

    The label is the emotion the actor was asked for, as in the papers.
    """

    votes: Literal["face", "multimodal", "voice"] = "face"
    clips: Literal["auto", "folders", "videos"] = "auto"

    def read(self, root: Path) -> Listing:
        check_root(root, "CREMA-D", SOURCE)
        table = find_file(root, ["summaryTable.csv", "processedResults/summaryTable.csv"])
        if table is None:
            raise missing(root, "processedResults/summaryTable.csv", "CREMA-D", SOURCE)
        votes, problems = self._read_votes(root, table)
        people = _people(find_file(root, ["VideoDemographics.csv"]))
        found, kind, noted = self._find(root)
        entries = []
        for name in votes:
            match = NAME.fullmatch(name)
            require(match is not None, f"{table}: {name} is no name of a CREMA-D clip (1001_DFA_ANG_XX)")
            assert match is not None
            actor, sentence, code, level = match.groups()
            values: dict[str, str | float | None] = {"label": CODES[code], "subject": actor, "sentence": sentence}
            values |= {"level": level, **speaker_folds(SPEAKERS, int(actor)), **votes[name], **people.get(actor, {})}
            entries.append(Entry(found.get(name, f"VideoFlash/{name}.flv" if kind == "videos" else name), values))
        problems += noted + ([] if people else ["no VideoDemographics.csv: age and sex of the actors are not known"])
        problems += fold_problems([e.values for e in entries], TESTS, TOTAL)
        problems += problem("listed clips are not there", [n for n in votes if n not in found])
        problems += problem("clips are in no table", sorted(n for n in found if n not in votes))
        problems += problem("clips are broken in the release itself; kept, they count as wrong where unreadable", [
            n for n in BROKEN if n in found
        ])  # fmt: skip
        ready = kind == "folders"
        return Listing(
            entries, CLASSES, crop="none" if ready else "face", stand_in=OPENFACE if ready else None,
            image_fps=29.97, problems=tuple(problems),
        )  # fmt: skip

    def _read_votes(self, root: Path, table: Path) -> tuple[Votes, list[str]]:
        """Votes by clip name, in the order of the table."""
        mode, column = MODES[self.votes]
        votes: Votes = {}
        for row in read_table(table, ("FileName", column), ","):
            require(row["FileName"] not in votes, f"{table} lists {row['FileName']} twice")
            votes[row["FileName"]] = _winners(row[column], table)
        counts = find_file(root, ["tabulatedVotes.csv", "processedResults/tabulatedVotes.csv"])
        if counts is None:
            return votes, ["no tabulatedVotes.csv: votes are the most voted class of summaryTable.csv, not counts"]
        for row in read_table(counts, ("", "fileName", *LETTERS), ","):
            if number(row[""], f"{counts}: the row's number") // 100_000 == mode and row["fileName"] in votes:
                votes[row["fileName"]] = {
                    f"votes_{c}": number(row[k], f"{counts}: {row['fileName']}") for k, c in LETTERS.items()
                }
        return votes, []

    def _find(self, root: Path) -> tuple[dict[str, str], str, list[str]]:
        """Path of each clip that is there, what kind they are, problems."""
        folders = {} if self.clips == "videos" else _folders(root)
        if folders or self.clips == "folders":
            return folders, "folders", []
        videos = {k: v for k, v in videos_by_stem(root).items() if NAME.fullmatch(k)}
        lines = []
        for stem, paths in videos.items():
            paths.sort(key=lambda p: (not p.endswith(".flv"), p))
            if stem == STRAY[:-4] and len(paths) > 1 and any(p.endswith(STRAY) for p in paths):
                lines.append(f"{STRAY} is a stray file of the mirror beside the .flv: not used")
                videos[stem] = [p for p in paths if not p.endswith(STRAY)]
        return {k: v[0] for k, v in videos.items()}, "videos", lines + doubles(videos)


def _folders(root: Path) -> dict[str, str]:
    named = {Path(f).name.removesuffix("_aligned"): f for f in image_folders(root)}
    return {name: folder for name, folder in named.items() if NAME.fullmatch(name)}


def _winners(text: str, table: Path) -> dict[str, str | float | None]:
    """One vote, shared by the classes of a tie (``A:D``)."""
    letters = text.split(":")
    require(set(letters) <= set(LETTERS), f"{table} holds the vote {text!r}; it is letters of {''.join(LETTERS)}")
    return {f"votes_{c}": 1 / len(letters) if k in letters else 0.0 for k, c in LETTERS.items()}


def _people(path: Path | None) -> Mapping[str, dict[str, str | float | None]]:
    if path is None:
        return {}
    rows = read_table(path, ("ActorID", "Age", "Sex", "Race", "Ethnicity"), ",")
    return {
        r["ActorID"]: {
            "age": number(r["Age"], f"{path}: the age of {r['ActorID']}"), "sex": r["Sex"].lower(),
            "race": r["Race"], "ethnicity": r["Ethnicity"],
        }
        for r in rows
    }  # fmt: skip
