"""Your own videos: with ratings of every frame beside them, or sorted into a folder for each class.

- **Ratings over time**: ``talk.mp4`` and ``talk.csv``, beside it or in the folder `labels`: a column of seconds (``time_s``,
  ``time``, ``timestamp`` or ``frametime``) and a column for each target. Between rows ratings are linear.
- **Classes**: without any such table, videos lie in folders, and a folder's name is the class: ``happy/a.mp4``.

``splits.csv`` (columns name, split and perhaps subject; a name is a path below the root, or a file's name without its ending)
says which video is for training, validation and test. Without it 70, 15 and 15 % of the videos are drawn, of each class apart.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mien.corpora.corpus import Entry, FrameTargets, Listing
from mien.corpora.files import check_root, problem, read_splits, videos_by_stem
from mien.corpora.series import TIME, column, outside, read_series, same, targets_of, time_of
from mien.data.shards import SCHEMA
from mien.errors import UserError, require
from mien.rng import generator

SPLITS = "splits.csv"
RESERVED = {"", *SCHEMA.names}  # columns of the shards
SHARES = {"test": 0.15, "val": 0.15}
DRAWN = (
    "no splits.csv: videos are drawn for training, validation and test (70, 15, 15 %); a person may be in several parts"
)


@dataclass(frozen=True)
class Folder:
    """Your own videos, with ratings of every frame, or a folder for each class."""

    labels: str = "labels"
    """Folder of the tables, below the root, where they do not lie beside the videos."""
    splits: str = SPLITS
    """CSV with the columns name, split and perhaps subject."""

    def read(self, root: Path) -> Listing:
        check_root(root, "folder", "your own")
        videos = sorted(path for paths in videos_by_stem(root).values() for path in paths)
        require(bool(videos), f"{root} holds no videos")
        ratings = {v: read_targets(t) for v in videos if (t := self._table(root, v))}
        names = _same_targets(ratings)
        classes = {} if ratings else _classes(root, videos)
        listed = self.splits != SPLITS or (root / SPLITS).is_file()
        splits = read_splits(str(root / SPLITS) if self.splits == SPLITS else self.splits, root) if listed else {}
        rows = _rows(splits, videos) if listed else _drawn(sorted(ratings) or videos, classes)
        entries = [_entry(v, rows.get(v, {}), classes.get(v), ratings.get(v)) for v in videos]
        problems = [] if listed else [DRAWN]
        problems += problem("videos without ratings", [v for v in videos if v not in ratings]) if ratings else []
        problems += problem("videos of no part", [v for v in videos if v not in rows])
        used = {row["name"] for row in rows.values() if "name" in row}
        problems += problem("names in the splits without a video", sorted(set(splits) - used))
        found = tuple(sorted(set(classes.values())))
        return Listing(entries, found, names, "face", problems=(*problems, *outside(ratings)))

    def _table(self, root: Path, video: str) -> Path | None:
        """Of the ratings of a video."""
        folder, name = os.path.split(os.path.splitext(video)[0])
        places = (root / folder / f"{name}.csv", root / self.labels / f"{name}.csv")
        return next((p for p in places if p.is_file()), None)


def read_targets(path: Path) -> FrameTargets:
    """Raises UserError for a table without seconds or without a target."""
    series = read_series(path)
    names = [n for n in series if n not in TIME]
    require(bool(names), f"{path} has no column besides the time: give one for each target")
    taken = [n or "one without a name" for n in names if n in RESERVED]
    require(not taken, f"{path}: a target cannot be called {', '.join(taken)}: rename the column, or take it out")
    return targets_of(time_of(series, path), {n: column(series, n, path) for n in names})


def _same_targets(ratings: Mapping[str, FrameTargets]) -> tuple[str, ...]:
    found: dict[tuple[str, ...], str] = {}
    for video, targets in ratings.items():
        found.setdefault(tuple(sorted(targets.values)), video)
    if len(found) > 1:
        (one, a), (two, b) = list(found.items())[:2]
        raise UserError(
            f"the tables of {a} ({', '.join(one)}) and {b} ({', '.join(two)}) have other columns: make them one kind"
        )
    return next(iter(found), ())


def _classes(root: Path, videos: Sequence[str]) -> dict[str, str]:
    """The name of the folder that each video lies in."""
    classes = {v: os.path.dirname(v).rpartition("/")[2] for v in videos}
    names = sorted(set(classes.values()))
    require(
        len(names) >= 2 and "" not in names,
        f"{root}: no video has a table of ratings beside it (NAME.csv with time_s and a column for each target), and the folders "
        f"of the videos do not name two classes or more (there are: {', '.join(n or 'none' for n in names)})",
    )
    return classes


def _rows(splits: Mapping[str, Mapping[str, str]], videos: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """The line of each video, by its path or its name."""
    found = {}
    for video in videos:
        bare = os.path.splitext(video)[0]
        name = next((n for n in (video, bare, os.path.basename(video), os.path.basename(bare)) if n in splits), None)
        if name is not None:
            found[video] = splits[name]
    return found


def _drawn(videos: Sequence[str], classes: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """A part for each video; of each class, the same shares, and at least one of each where there are three."""
    groups: dict[str, list[str]] = defaultdict(list)
    for video in videos:
        groups[classes.get(video, "")].append(video)
    found: dict[str, Mapping[str, str]] = {}
    for name, members in groups.items():
        order = [members[i] for i in generator("folder splits", name).permutation(len(members))]
        for part, share in SHARES.items():
            count = max(round(share * len(members)), len(members) >= 3)
            found |= {v: {"split": part} for v in order[:count]}
            order = order[count:]
        found |= {v: {"split": "train"} for v in order}
    return found


def _entry(video: str, row: Mapping[str, str], label: str | None, ratings: FrameTargets | None) -> Entry:
    values: dict[str, str | float | None] = {"split": row.get("split"), "subject": row.get("subject")}
    if label is not None:
        values["label"] = label
    return Entry(video, values, targets=ratings and partial(same, ratings))
