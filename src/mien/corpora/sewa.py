"""SEWA: pairs of people talk about an advert by video chat; valence, arousal and liking over time.

Kossaifi et al. 2021. Two forms exist, and what papers call SEWA differs:

- **AVEC 2019** (default): ``labels/Train_DE_01.csv`` with ``name;timestamp;arousal;valence;liking``, ten rows a second, the
  name in quotes; videos ``video/Train_DE_01.avi``. Parts Train, Devel, Test; countries DE, HU, CN. Certain: columns and
  counts, from the challenge's own code. Test labels were never given out: those videos are listed without targets. Uncertain: the
  folder of the videos; they are looked for by name anywhere below the root.
- **SEWA DB**, segments of 10 to 30 s, split 435 / 53 / 53 in SS-VAERR and the works before it. Neither the layout of its
  annotation nor the split is public. Give `splits`, a CSV with the columns name and split (and subject, if known), for tables
  of the same columns in `labels` and videos of the same names.

The annotators' delay is not corrected here (the AVEC baseline moves labels by two seconds; SS-VAERR names none).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from mien.corpora.series import column, outside, read_series, same, targets_of, time_of
from mien.errors import require

SOURCE = "sign the agreement at https://db.sewaproject.eu"
NAME = re.compile(r"(Train|Devel|Test)_(DE|HU|CN)_(\d+)")
SPLITS = {"Train": "train", "Devel": "val", "Test": "test"}
COUNTS = {
    "Train_DE": 34,
    "Train_HU": 34,
    "Devel_DE": 14,
    "Devel_HU": 14,
    "Test_DE": 16,
    "Test_HU": 18,
    "Test_CN": 70,
}
SEGMENTS = {"train": 435, "val": 53, "test": 53}
TARGETS = ("valence", "arousal", "liking")


@dataclass(frozen=True)
class SEWA:
    """SEWA (valence, arousal and liking over time)."""

    labels: str = "labels"
    """Folder of the tables, below the root."""
    splits: str | None = None
    """CSV with the columns name, split and perhaps subject; none: AVEC 2019's, which the names tell."""

    def read(self, root: Path) -> Listing:
        check_root(root, "SEWA", SOURCE)
        if not (root / self.labels).is_dir():
            raise missing(root, f"{self.labels}/Train_DE_01.csv and so on", "SEWA", SOURCE)
        tables = {os.path.splitext(n)[0]: root / self.labels / n for n in files(root / self.labels, {".csv"})}
        videos = videos_by_stem(root)
        if self.splits is None:
            known = _avec(tables, videos)
            require(
                bool(known),
                f"{root / self.labels} has no names such as Train_DE_01; for SEWA DB give the option splits",
            )
        else:
            known = read_splits(self.splits, root)
        ratings = {name: read_targets(tables[name]) for name in sorted(set(known) & set(tables))}
        names = [safe_name(n, str(self.splits)) for n in sorted(known)]
        entries = [_entry(n, known[n], ratings.get(n), videos) for n in names]
        problems = (*self._problems(known, tables, videos), *outside(ratings))
        return Listing(entries, target_names=TARGETS, crop="face", problems=problems)

    def _problems(
        self, known: dict[str, dict[str, str]], tables: dict[str, Path], videos: dict[str, list[str]]
    ) -> list[str]:
        if self.splits is None:
            lines = count_problems("recordings", Counter(n.rpartition("_")[0] for n in known), COUNTS)
            unlabelled = [n for n, row in known.items() if n not in tables and row["split"] != "test"]
        else:
            lines = count_problems("segments", Counter(row["split"] for row in known.values()), SEGMENTS)
            unlabelled = [n for n in known if n not in tables]
        lines += problem("recordings without labels", sorted(unlabelled))
        lines += problem("videos missing", sorted(n for n in known if n not in videos))
        lines += problem("tables of no known part, left out", sorted(set(tables) - set(known)))
        return lines + doubles({n: p for n, p in videos.items() if n in known})


def _avec(tables: Mapping[str, Path], videos: Mapping[str, list[str]]) -> dict[str, dict[str, str]]:
    """The recordings of AVEC 2019 that there are labels or videos of; each is one person."""
    matches = [(name, NAME.fullmatch(name)) for name in {*tables, *videos}]
    return {name: {"split": SPLITS[m[1]], "culture": m[2]} for name, m in matches if m}


def _entry(name: str, row: Mapping[str, str], found: FrameTargets | None, videos: Mapping[str, list[str]]) -> Entry:
    values: dict[str, str | float | None] = {"subject": row.get("subject") or name, "split": row["split"]}
    if "culture" in row:
        values["culture"] = row["culture"]
    return Entry(videos.get(name, [f"video/{name}.avi"])[0], values, targets=found and partial(same, found))


def read_targets(path: Path) -> FrameTargets:
    """Raises UserError for another table; without `liking`, which SS-VAERR does not use, it is NaN."""
    series = read_series(path)
    series.setdefault("liking", np.full(len(next(iter(series.values()))), np.nan))
    return targets_of(time_of(series, path), {t: column(series, t, path) for t in TARGETS})
