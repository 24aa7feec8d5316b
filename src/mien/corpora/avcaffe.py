"""AVCAffe: people at remote work, who said afterwards how they felt; labels are of a person and task, shared by its segments.

Sarkar, Posen, Etemad 2023. ``ground_truths/{arousal,valence,mental_demand,effort,temporal_demand}.txt`` with lines
``aiim001_task_1, value``; ``info/{train,val,no_audio_files,public_face_ids}.txt``; segments of about six seconds
``videos/shorter_segments/aiim001/task_1/*.avi``, or face crops of them as folders of JPEG at 16 fps,
``images/shorter_segments_face/aiim001/task_1/<segment>/``. Certain: layout, words and their order, 106 people (ids to 108),
58,112 segments, the 20 people of the validation part, which the papers report on (`fold_1` calls it test). Demand is 0 to 21;
the papers make it binary, high if over 10. Uncertain: the crops are not published yet; their geometry is assumed.

Clip scores are averaged over the column `video` (a person's whole task, 7.5 minutes on average). Only people whose
`public_face` is "yes" agreed to appear in pictures.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.contract import Geometry
from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import (
    across,
    check_root,
    count_problems,
    files,
    folders,
    missing,
    number,
    problem,
    read_names,
    read_text,
    safe_name,
)
from mien.errors import UserError, require

SOURCE = "request access at https://doi.org/10.5683/SP3/PSWY62"
WORDS = {
    "arousal": ("Excited", "Wide-awake", "Neutral", "Dull", "Calm"),
    "valence": ("Pleasant", "Pleased", "Neutral", "Unsatisfied", "Unpleasant"),
}
DEMANDS = ("mental_demand", "effort", "temporal_demand")
COUNTS = {"segments": 58_112, "people": 106, "people of the validation part": 20}
# Printed in the published loader, and in info/val.txt.
VALIDATION = frozenset(
    f"aiim{n:03d}" for n in (1, 2, 13, 14, 43, 44, 53, 54, 57, 58, 63, 64, 67, 68, 77, 78, 99, 100, 107, 108)
)
VIDEOS, CROPS = "videos/shorter_segments", "images/shorter_segments_face"


@dataclass(frozen=True)
class AVCAffe:
    """AVCAffe (self-reported arousal and valence in five words, three demands)."""

    target: Literal["arousal", "valence"] = "arousal"
    """Which of the two is the column `label`; both are columns of their own as well."""
    media: Literal["auto", "videos", "crops"] = "auto"
    """auto: face crops where there are any."""

    def read(self, root: Path) -> Listing:
        check_root(root, "AVCAffe", SOURCE)
        base = self._base(root)
        for name in (*(f"ground_truths/{t}.txt" for t in (*WORDS, *DEMANDS)), "info/val.txt"):
            if not (root / name).is_file():
                raise missing(root, name, "AVCAffe", SOURCE)
        truths = {t: _truth(root / "ground_truths" / f"{t}.txt", t) for t in (*WORDS, *DEMANDS)}
        info = {n: _optional(root / "info" / f"{n}.txt") for n in ("train", "val", "public_face_ids", "no_audio_files")}
        entries = [_entry(path, truths, info, self.target) for path in _segments(root, base)]
        crops = base == CROPS
        return Listing(
            entries,
            classes=WORDS[self.target],
            crop="none" if crops else "face",
            stand_in=Geometry(crop="box", template="", margin=0.15) if crops else None,
            image_fps=16.0,
            problems=tuple(_problems(entries, truths, info)),
        )

    def _base(self, root: Path) -> str:
        wanted = {"videos": [VIDEOS], "crops": [CROPS], "auto": [CROPS, VIDEOS]}[self.media]
        found = next((b for b in wanted if (root / b).is_dir()), None)
        if found is None:
            raise missing(root, " or ".join(f"{b}/aiim001/task_1/" for b in wanted), "AVCAffe", SOURCE)
        return found


def _segments(root: Path, base: str) -> list[str]:
    found = []
    for person in folders(root / base):
        for task in folders(root / base / person):
            place = f"{base}/{person}/{task}"
            names = folders(root / place) if base == CROPS else files(root / place, {".avi", ".mp4"})
            found += [f"{place}/{name}" for name in names]
    return found


def _truth(path: Path, target: str) -> dict[str, str | float]:
    """Person and task to the word or number."""
    found: dict[str, str | float] = {}
    words = {w.casefold(): w for w in WORDS.get(target, ())}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        name, comma, value = (part.strip() for part in text.partition(","))
        if not comma:  # the published loader skips such lines too
            continue
        where = f"{path} line {line}"
        require(name not in found, f"{where} labels {name} a second time")
        if not words:
            demand = found[name] = number(value, where)
            require(0 <= demand <= 21, f"{where} is {value}; demands are 0 to 21")
        elif value.casefold() in words:
            found[name] = words[value.casefold()]
        else:
            raise UserError(f"{where} is {value!r}; {target} is one of {', '.join(WORDS[target])}")
    require(bool(found), f"{path} has no line such as aiim001_task_1, {'10' if not words else WORDS[target][0]}")
    return found


def _optional(path: Path) -> set[str] | None:
    return set(read_names(path)) if path.is_file() else None


def _entry(
    path: str, truths: dict[str, dict[str, str | float]], info: dict[str, set[str] | None], target: str
) -> Entry:
    person, task, segment = path.split("/")[-3:]
    video = f"{safe_name(person, path)}_{task}"
    val, public, silent = info["val"] or set(), info["public_face_ids"], info["no_audio_files"]
    values: dict[str, str | float | None] = {name: truth.get(video) for name, truth in truths.items()}
    values |= {"label": truths[target].get(video), "video": video, "subject": person}
    values |= {"split": "val" if person in val else "train", "fold_1": "test" if person in val else "train"}
    if public is not None:
        values["public_face"] = "yes" if person in public else "no"
    if silent is not None:
        stem = os.path.splitext(segment)[0]
        values["speech"] = "no" if stem in silent or f"{stem}.avi" in silent else "yes"
    return Entry(path, values)


def _problems(
    entries: list[Entry], truths: dict[str, dict[str, str | float]], info: dict[str, set[str] | None]
) -> list[str]:
    people = {str(e.values["subject"]) for e in entries}
    videos = {str(e.values["video"]) for e in entries}
    val, train = info["val"] or set(), info["train"]
    found = {"segments": len(entries), "people": len(people), "people of the validation part": len(val & people)}
    lines = count_problems("found", found, COUNTS)
    lines += problem("info/val.txt names people outside the published 20", sorted(val - VALIDATION))
    lines += problem("of the published 20 are not in info/val.txt", sorted(VALIDATION - val))
    lines += across({"info/train.txt": train or set(), "info/val.txt": val}, "people")
    if train is not None:
        lines += problem(
            "people in neither info/train.txt nor info/val.txt, taken as train", sorted(people - train - val)
        )
    for name, truth in truths.items():
        lines += problem(f"tasks without {name}", sorted(videos - set(truth)))
    labelled = Counter(n for truth in truths.values() for n in truth)
    lines += problem("labelled tasks without a segment", sorted(set(labelled) - videos))
    lines += problem("info files missing", [f"info/{n}.txt" for n, names in info.items() if names is None])
    stems = {os.path.splitext(e.path.split("/")[-1])[0] for e in entries}
    silent = {os.path.splitext(n)[0] for n in info["no_audio_files"] or ()}
    return lines + problem("segments of info/no_audio_files.txt missing", sorted(silent - stems))
