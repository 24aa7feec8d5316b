"""eNTERFACE'05: 1,287 clips of 43 people in six classes; five folds by subject.

Martin et al. 2006. ``subject 1/anger/sentence 1/s1_an_1.avi``. Subject, emotion and sentence come from the folders, not the
file: ``subject 11`` holds files named ``s12_*``, and one file's name is malformed. There is no subject 6 (its recordings are
not cut into sentences), and three clips of the regular 43 x 6 x 5 do not exist: happiness, of a subject among 20 to 28 (from
the published fold sizes and class counts; which subject is not known for certain). Folders of aligned crops are taken before
videos.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, doubles, missing, problem, walk
from mien.corpora.text import OPENFACE, fold_problems, speaker_folds
from mien.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES

SOURCE = "from http://www.enterface.net/results (Project 2 database)"
CLASSES: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
TOTAL = 1_287
SUBJECTS = tuple(s for s in range(1, 45) if s != 6)
TEST_SUBJECTS = ((1, 2, 3, 4, 5, 7, 8, 9, 10), range(11, 20), range(20, 29), range(29, 38), range(38, 45))
TESTS = (270, 270, 267, 270, 210)
SUBJECT, SENTENCE = re.compile(r"subject[ _-]?(\d+)", re.I), re.compile(r"sentence[ _-]?([1-5])", re.I)
FILE = re.compile(r"s[ _]?\d+_(an|di|fe|ha|sa|su)_[1-5]", re.I)
Key = tuple[int, str, int]
"""Subject, emotion, sentence."""


@dataclass(frozen=True)
class Enterface05:
    """Option: `clips`, folders of crops or videos."""

    clips: Literal["auto", "folders", "videos"] = "auto"

    def read(self, root: Path) -> Listing:
        check_root(root, "eNTERFACE05", SOURCE)
        videos, folders, sixth = _find(root)
        ready = self.clips == "folders" or (self.clips == "auto" and bool(folders))
        found = folders if ready else videos
        if not found:
            raise missing(root, "subject 1/anger/sentence 1/*.avi", "eNTERFACE05", SOURCE)
        gone = _gone(found)
        paths = {key: min(of_key, key=_badly_named) for key, of_key in found.items()}
        paths |= {(s, e, n): f"subject {s}/{e}/sentence {n}" for s, e, n in gone}
        entries = [_entry(key, paths[key]) for key in sorted(paths)]
        problems = problem("clips of subject 6, who is not part of the set: not used", sixth)
        problems += problem("names say another emotion or are malformed; the folder decides", sorted(
            p for of_key in found.values() for p in of_key if _badly_named(p)[0]
        ))  # fmt: skip
        problems += doubles({str(k): sorted(v) for k, v in found.items()})
        problems += problem("clips are not there", [paths[key] for key in gone])
        problems += fold_problems([e.values for e in entries], TESTS, TOTAL)
        return Listing(
            entries, CLASSES, crop="none" if ready else "face", stand_in=OPENFACE if ready else None,
            problems=tuple(problems),
        )  # fmt: skip


def _find(root: Path) -> tuple[dict[Key, list[str]], dict[Key, list[str]], list[str]]:
    """Videos and folders of images by what they show, and what there is of subject 6."""
    videos: dict[Key, list[str]] = defaultdict(list)
    folders: dict[Key, list[str]] = defaultdict(list)
    sixth = []
    for folder, _, names in walk(root):
        place = [f"{folder}/{n}" for n in names if os.path.splitext(n)[1].lower() in VIDEO_SUFFIXES]
        images = any(os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES for n in names)
        for path, table in [*((p, videos) for p in place), *([(folder, folders)] if images else [])]:
            key = key_of(path)
            if key is None:
                sixth += [path] if _subject(path) == 6 else []
            elif key[0] == 6:
                sixth.append(path)
            else:
                table[key].append(path)
    return videos, folders, sixth


def _subject(path: str) -> int | None:
    found = [m for m in map(SUBJECT.fullmatch, path.split("/")) if m]
    return int(found[-1][1]) if found else None


def key_of(path: str) -> Key | None:
    """What the folders above a clip say; None where they do not name a subject, an emotion and a sentence."""
    parts = path.split("/")
    subject = _subject(path)
    emotion = next((p.lower() for p in parts if p.lower() in CLASSES), None)
    sentence = next((int(m[1]) for m in map(SENTENCE.fullmatch, parts) if m), None)
    return None if subject is None or emotion is None or sentence is None else (subject, emotion, sentence)


def _badly_named(path: str) -> tuple[bool, str]:
    """Whether the name of the clip is not ``s<subject>_<code of the folder's emotion>_<sentence>``; then the path, to sort by."""
    match = FILE.fullmatch(os.path.splitext(path.split("/")[-1])[0].removesuffix("_aligned"))
    key = key_of(path)
    in_sentence = SENTENCE.fullmatch(path.split("/")[-1]) is not None  # images right in the folder of the sentence
    good = in_sentence or (match is not None and key is not None and key[1].startswith(match[1].lower()))
    return not good, path


def _gone(found: dict[Key, list[str]]) -> list[Key]:
    """Clips of the regular set that are not there, less the three that never were."""
    gone = [key for key in product(SUBJECTS, CLASSES, range(1, 6)) if key not in found]
    never = [k for k in gone if k[1] == "happiness" and 20 <= k[0] <= 28]
    if len(never) == 3 and len({k[0] for k in never}) == 1:
        return [k for k in gone if k not in never]
    return gone


def _entry(key: Key, path: str) -> Entry:
    subject, emotion, sentence = key
    values: dict[str, str | float | None] = {"label": emotion, "subject": str(subject), "sentence": str(sentence)}
    return Entry(path, values | speaker_folds(TEST_SUBJECTS, subject))
