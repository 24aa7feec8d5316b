"""RECOLA: French speakers solve a task in pairs by video call; arousal and valence of the first five minutes.

Ringeval et al. 2013. Two forms exist:

- **RECOLA**: ``RECOLA-Annotation/emotional_behaviour/{arousal,valence}/P16.csv``, cells between ``;``, time in steps of
  0.04 s, six raters ``FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3`` (names with spaces behind), 7,501 rows;
  ``RECOLA-Video-recordings/P16.mp4``. 23 people are given out. Certain: columns, rows, people.
- **AVEC 2016**: ``ratings_gold_standard/{arousal,valence}/train_1.arff``, ``recordings_video/train_1.mp4``; 9 train, 9 dev,
  and 9 test recordings without labels.

Uncertain, with an option: `rating` (SS-VAERR: mean of the raters; AVEC: its gold standard; with RECOLA's own files ``gold``
means tables ``gold_standard/{arousal,valence}/P16.csv``); who of the 23 is in which part: `splits` gives a table, without one
it is 8 / 8 / 7 as printed in public code, for want of an official list. SS-VAERR counts 197 / 152 "instances", which can
be neither people nor recordings; how it cut them is not said.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from mien.corpora.corpus import Entry, FrameTargets, Listing
from mien.corpora.files import (
    check_root,
    count_problems,
    doubles,
    files,
    missing,
    problem,
    read_splits,
    safe_name,
    videos_by_stem,
)
from mien.corpora.series import column, mean_of, outside, read_series, same, targets_of, time_of
from mien.errors import UserError, require

SOURCE = "sign the agreement at https://diuf.unifr.ch/main/diva/recola/download.html"
TARGETS = ("valence", "arousal")
RATERS = ("fm1", "fm2", "fm3", "ff1", "ff2", "ff3")
GOLD = ("gold standard", "gold_standard", "goldstandard")
PEOPLE = {
    "train": (45, 46, 48, 56, 58, 62, 64, 65),
    "val": (28, 30, 34, 37, 39, 41, 42, 43),
    "test": (16, 17, 19, 21, 23, 25, 26),
}
AVEC = {"train": 9, "dev": 9, "test": 9}
NUM_ROWS = 7_501
RATINGS, AVEC_RATINGS = "RECOLA-Annotation/emotional_behaviour", "ratings_gold_standard"


@dataclass(frozen=True)
class RECOLA:
    """RECOLA (arousal and valence over time)."""

    rating: Literal["mean", "gold"] = "mean"
    """mean: of the six raters; gold: the gold standard. AVEC 2016's files hold only the latter and need no option."""
    splits: str | None = None
    """CSV with the columns name and split."""

    def read(self, root: Path) -> Listing:
        check_root(root, "RECOLA", SOURCE)
        base, avec = self._base(root)
        tables = {target: _tables(root / base / target) for target in TARGETS}
        videos = videos_by_stem(root)
        known = self._parts(root, avec, tables, videos)
        ratings: dict[str, FrameTargets] = {}
        entries = []
        for name, split in sorted(known.items()):
            safe_name(name, str(self.splits))
            places = {t: tables[t][name] for t in TARGETS if name in tables[t]}
            complete = len(places) == len(TARGETS)
            found = read_targets(places, avec or self.rating == "gold") if complete else None
            path = videos.get(name, [f"{'recordings_video' if avec else 'RECOLA-Video-recordings'}/{name}.mp4"])[0]
            entries.append(Entry(path, {"subject": name, "split": split}, targets=found and partial(same, found)))
            ratings |= {name: found} if found else {}
        lines = self._problems(avec, known, tables, videos, ratings)
        return Listing(entries, target_names=TARGETS, crop="face", problems=tuple(lines))

    def _base(self, root: Path) -> tuple[str, bool]:
        """(folder of the ratings, is it AVEC 2016's)."""
        own = (RATINGS, RATINGS.split("/")[1], "")
        if self.rating == "gold":
            own = tuple(f"{b}/gold_standard".lstrip("/") for b in own)
        for base in (*own, AVEC_RATINGS):
            if all((root / base / t).is_dir() for t in TARGETS):
                return base, base == AVEC_RATINGS
        raise missing(root, f"{own[0]}/arousal/ or {AVEC_RATINGS}/arousal/, and valence/", "RECOLA", SOURCE)

    def _parts(
        self, root: Path, avec: bool, tables: Mapping[str, Mapping[str, Path]], videos: Mapping[str, list[str]]
    ) -> dict[str, str | None]:
        """Recording to its split; None for one that no list knows."""
        if self.splits is not None:
            return {name: row["split"] for name, row in read_splits(self.splits, root).items()}
        if avec:
            parts = {"train": "train", "dev": "val", "test": "test"}
            names = {*tables["arousal"], *tables["valence"], *videos}
            return {n: parts[n.split("_")[0]] for n in names if n.split("_")[0] in parts and n.split("_")[-1].isdigit()}
        split = {f"P{n}": part for part, numbers in PEOPLE.items() for n in numbers}
        named = {*split, *tables["arousal"], *tables["valence"]}
        require(bool(named & {*tables["arousal"]}), f"{root} has no table of arousal such as P16.csv; {SOURCE}")
        return {name: split.get(name) for name in named}

    def _problems(
        self,
        avec: bool,
        known: Mapping[str, str | None],
        tables: Mapping[str, Mapping[str, Path]],
        videos: Mapping[str, list[str]],
        ratings: Mapping[str, FrameTargets],
    ) -> list[str]:
        lines = []
        if self.splits is None and avec:
            lines += count_problems("recordings", Counter(n.split("_")[0] for n in known), AVEC)
        elif self.splits is None:
            lines.append("parts 8 / 8 / 7 are of public code, not official (option splits)")
            lines += problem(
                "people of no known part: no split", sorted(n for n, part in known.items() if part is None)
            )
        for target in TARGETS:
            # the challenge kept the labels of its test part
            named = [n for n, part in known.items() if n not in tables[target] and not (avec and part == "test")]
            lines += problem(f"recordings without {target}", sorted(named))
            lines += problem(f"tables of {target} in no part, left out", sorted(set(tables[target]) - set(known)))
        lines += problem("videos missing", sorted(n for n in known if n not in videos))
        sizes = {n: len(found.times_s) for n, found in ratings.items()}
        lines += problem(
            f"tables without {NUM_ROWS:,} rows", [f"{n} ({c:,})" for n, c in sizes.items() if c != NUM_ROWS]
        )
        lines += outside(ratings)
        return lines + doubles({n: p for n, p in videos.items() if n in known})


def _tables(folder: Path) -> dict[str, Path]:
    return {os.path.splitext(n)[0]: folder / n for n in files(folder, {".csv", ".arff"})}


def read_targets(places: Mapping[str, Path], gold: bool) -> FrameTargets:
    """Both ratings at the times of the first.

    Args:
        places: target to its table.

    Raises:
        UserError: another table, or the two have different times.
    """
    series = {target: read_series(path) for target, path in places.items()}
    times = {target: time_of(s, places[target]) for target, s in series.items()}
    first, *others = times.values()
    for target, other in zip(list(times)[1:], others, strict=True):
        count = min(len(first), len(other))
        if abs(len(first) - len(other)) > 1 or np.abs(first[:count] - other[:count]).max() > 0.02:
            raise UserError(f"{places[target]} has other times than the table of {next(iter(places))}")
    count = min(map(len, times.values()))  # one copy may end a row earlier
    rated = {t: _rating(s, places[t], gold) for t, s in series.items()}
    return targets_of(first[:count], {t: values[:count] for t, values in rated.items()})


def _rating(series: dict[str, np.ndarray], path: Path, gold: bool) -> np.ndarray:
    if gold:
        name = next((n for n in GOLD if n in series), GOLD[0])
        return column(series, name, path)
    raters = [r for r in RATERS if r in series]
    if not raters:
        raise UserError(f"{path} has no column of the raters {', '.join(RATERS).upper()}; it has {', '.join(series)}")
    return mean_of(series, raters).astype(np.float32)
