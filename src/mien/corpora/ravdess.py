"""RAVDESS, speech: 1,440 clips of 24 actors in eight classes; six folds of four actors.

Livingstone and Russo 2018. Everything is in the name, ``02-01-06-01-02-01-12.mp4`` = modality (01 picture and sound, 02 picture,
03 sound), channel (01 speech, 02 song), emotion, intensity, statement, repetition, actor; the actor comes from the name, not the
folder. 01 and 02 are the same recordings: the picture-only files (02) that the papers used are preferred, those with sound
taken where there are none, never both. Folders of aligned crops of that name are taken before videos. Certain: names, counts,
folds. Not certain: the exact crops of the papers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, doubles, image_folders, missing, problem, videos_by_stem
from mien.corpora.text import OPENFACE, speaker_folds

SOURCE = "from https://zenodo.org/records/1188976 (Video_Speech_Actor_*.zip)"
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
TOTAL = 1_440
ACTORS = tuple(range(first, first + 4) for first in range(1, 25, 4))


@dataclass(frozen=True)
class Ravdess:
    """Options: `modality`, 02 (picture) or 01 (with sound), auto prefers 02; `clips`, crops (folders) or videos."""

    modality: Literal["auto", "02", "01"] = "auto"
    clips: Literal["auto", "folders", "videos"] = "auto"

    def read(self, root: Path) -> Listing:
        check_root(root, "RAVDESS", SOURCE)
        found, ready = self._find(root)
        speech = {m: {n: p for n, p in found.items() if n.startswith(f"{m}-01-")} for m in ("02", "01")}
        if not any(speech.values()):
            raise missing(root, "speech clips such as Actor_01/02-01-01-01-01-01-01.mp4", "RAVDESS", SOURCE)
        modality = self.modality if self.modality != "auto" else "02" if speech["02"] else "01"
        mine, other = speech[modality], speech["01" if modality == "02" else "02"]
        entries = [_entry(name, mine) for name in names(modality)]
        gone = [n for n in names(modality) if n not in mine]
        problems = doubles({n: p for n, p in mine.items() if len(p) > 1}) + problem("clips are not there", gone)
        if other_gone := [n for n in gone if f"{'01' if modality == '02' else '02'}{n[2:]}" in other]:
            problems.append(f"{len(other_gone)} of them are there in the other modality; the two are not mixed")
        elif other:
            problems.append(f"{len(other)} clips of the other modality are the same recordings: not used")
        if modality == "01":
            problems.append(
                "picture-with-sound files (01-01), the papers used picture-only ones (02-01): same pictures"
            )
        return Listing(
            entries, CLASSES, crop="none" if ready else "face", stand_in=OPENFACE if ready else None,
            image_fps=29.97, problems=tuple(problems),
        )  # fmt: skip

    def _find(self, root: Path) -> tuple[dict[str, list[str]], bool]:
        """Paths by clip name, and whether they are folders of crops."""
        folders: dict[str, list[str]] = {}
        if self.clips != "videos":
            for folder in image_folders(root):
                name = Path(folder).name.removesuffix("_aligned")
                if NAME.fullmatch(name):
                    folders.setdefault(name, []).append(folder)
        if folders or self.clips == "folders":
            return folders, True
        return {n: p for n, p in videos_by_stem(root).items() if NAME.fullmatch(n)}, False


def names(modality: str) -> list[str]:
    """The 60 speech clips of each of the 24 actors; neutral has no strong intensity."""
    kinds = [(e, i) for e, i in product(range(1, 9), (1, 2)) if (e, i) != (1, 2)]
    return [
        f"{modality}-01-{e:02}-{i:02}-{s:02}-{r:02}-{a:02}"
        for a, (e, i), s, r in product(range(1, 25), kinds, (1, 2), (1, 2))
    ]


def _entry(name: str, found: dict[str, list[str]]) -> Entry:
    _, _, emotion, intensity, statement, repetition, actor = name.split("-")
    values: dict[str, str | float | None] = {
        "label": CLASSES[int(emotion) - 1], "subject": actor, "sex": "male" if int(actor) % 2 else "female",
        "intensity": "strong" if intensity == "02" else "normal", "statement": statement, "repetition": repetition,
        **speaker_folds(ACTORS, int(actor)),
    }  # fmt: skip
    return Entry(found[name][0] if name in found else f"Actor_{actor}/{name}.mp4", values)
