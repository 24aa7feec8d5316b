"""ChaLearn First Impressions v2: 10,000 clips of people talking to a camera, rated for apparent personality.

Ponce-Lopez et al. 2016, Escalante et al. 2018. ``annotation_{training,validation,test}.pkl`` are pickles of Python 2:
trait -> file name -> number in [0, 1]. The videos (``JTmq4k4uQCY.003.mp4``: YouTube id, number) come in nested archives, so
both are looked for anywhere below the root. Certain: content of the pickles, 6,000 / 2,000 / 2,000. The pickles are read
without running anything in them. Edition 1 has no `interview`. What a model learns from this is how strangers rated
a first impression, not what a person is like.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import (
    across,
    check_root,
    chosen,
    count_problems,
    doubles,
    join,
    missing,
    problem,
    safe_name,
    videos_by_stem,
    walk,
)
from mien.errors import UserError, require

SOURCE = "register at https://chalearnlap.cvc.uab.cat/dataset/24/description/"
TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
ANNOTATIONS = {
    "train": "annotation_training.pkl",
    "val": "annotation_validation.pkl",
    "test": "annotation_test.pkl",
}
COUNTS = {"train": 6_000, "val": 2_000, "test": 2_000}
# The largest of the three is under 2 MB.
MAX_PICKLE = 64 << 20
# All that dicts of dicts of numbers need; nothing here can name, build or call an object.
OPCODES = frozenset(
    ("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP")
    + ("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS")
    + ("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
    + ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
    + ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE")
    + ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET")
)

Ratings = dict[str, dict[str, float]]
"""Trait to file name to number."""


@dataclass(frozen=True)
class FirstImpressions:
    """ChaLearn First Impressions v2 (apparent personality)."""

    splits: str = "train,val,test"
    """Parts to read; without the test annotation (published after the challenge) give ``train,val``."""

    def read(self, root: Path) -> Listing:
        check_root(root, "ChaLearn First Impressions", SOURCE)
        splits = chosen("splits", self.splits, ANNOTATIONS)
        places = _annotations(root)
        parts = {split: read_ratings(root / _place(places, split, root)) for split in splits}
        names = tuple(t for t in (*TRAITS, "interview") if all(t in r for r in parts.values()))
        videos = videos_by_stem(root)
        entries, subjects, lines = [], {}, []
        for split, ratings in parts.items():
            part = _entries(split, ratings, names, videos)
            entries += part
            subjects[split] = [str(e.values["subject"]) for e in part]
        lines += count_problems("clips", {s: len(v) for s, v in subjects.items()}, {s: COUNTS[s] for s in splits})
        lines += [] if "interview" in names else ["no rating of `interview` (edition 1): left out"]
        lines += _files(entries, videos, len(splits) == len(ANNOTATIONS))
        # Known of the official split: clips of one video may fall on both sides of it.
        lines += across(subjects, "source videos")
        return Listing(entries, target_names=names, crop="face", problems=tuple(lines))


def _annotations(root: Path) -> dict[str, list[str]]:
    """Split to the places of its annotation file."""
    kinds, found = {name: split for split, name in ANNOTATIONS.items()}, defaultdict(list)
    for folder, _, names in walk(root):
        for name in set(names) & set(kinds):
            found[kinds[name]].append(join(folder, name))
    return found


def _place(places: dict[str, list[str]], split: str, root: Path) -> str:
    if not places.get(split):
        hint = f"; without it leave {split} out of the option splits" if places else ""
        raise missing(root, ANNOTATIONS[split], "ChaLearn First Impressions", SOURCE + hint)
    require(len(places[split]) == 1, f"{root} holds {' and '.join(places[split])}: keep one of them")
    return places[split][0]


def _entries(split: str, ratings: Ratings, names: tuple[str, ...], videos: dict[str, list[str]]) -> list[Entry]:
    entries = []
    for file in sorted({f for trait in names for f in ratings[trait]}):
        stem = safe_name(file, ANNOTATIONS[split]).removesuffix(".mp4")
        path = videos.get(stem, [f"{split}/{stem}.mp4"])[0]  # where it would be, for a video that is missing
        values = {trait: ratings[trait].get(file) for trait in names}
        entries.append(Entry(path, {**values, "subject": stem.rpartition(".")[0] or stem, "split": split}))
    return entries


def _files(entries: list[Entry], videos: dict[str, list[str]], all_splits: bool) -> list[str]:
    """What is odd about the files: missing, double, without annotation, in two parts."""
    stems = Counter(Path(e.path).stem for e in entries)
    lines = problem("clips annotated in more than one part", sorted(s for s, n in stems.items() if n > 1))
    lines += problem("annotated videos missing", sorted(s for s in stems if s not in videos))
    if all_splits:
        lines += problem("videos without annotation, left out", sorted(set(videos) - set(stems)))
    lines += doubles({s: p for s, p in videos.items() if s in stems})
    rated = [e for e in entries if None in e.values.values()]
    return lines + problem("clips without some of the ratings", [Path(e.path).stem for e in rated])


def read_ratings(path: Path) -> Ratings:
    """The ratings of one annotation file, read without letting the pickle build or call anything.

    Raises:
        UserError: it holds something else than numbers in [0, 1] by trait and file name.
    """
    require(
        path.stat().st_size <= MAX_PICKLE, f"{path} has {path.stat().st_size:,} bytes, the official file under 2 MB"
    )
    data = path.read_bytes()
    try:
        _check_opcodes(data, path)
        content = _Plain(io.BytesIO(data), encoding="latin1").load()
    except UserError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path} is not a pickle of numbers: {error}") from None
    if not isinstance(content, dict) or not set(TRAITS) <= set(content):
        raise UserError(f"{path} has no ratings of {', '.join(TRAITS)}: it is not a First Impressions annotation")
    for trait in (*TRAITS, "interview"):
        for file, value in _items(content.get(trait, {}), trait, path):
            numeric = isinstance(file, str) and isinstance(value, int | float)
            shown = (
                f"of {file[:60]!r} is {value!r}" if numeric else f"has a {type(file).__name__}, {type(value).__name__}"
            )
            fine = numeric and 0 <= value <= 1  # not so for NaN either
            require(fine, f"{path}: {trait} {shown}; each file name has a number from 0 to 1")
    return {trait: content[trait] for trait in (*TRAITS, "interview") if trait in content}


def _items(ratings: object, trait: str, path: Path):
    if not isinstance(ratings, dict):
        raise UserError(f"{path}: {trait} is a {type(ratings).__name__}; it is a dict of numbers by file name")
    return ratings.items()


def _check_opcodes(data: bytes, path: Path) -> None:
    """Before anything is loaded: only data, and no memo number that would ask for memory."""
    for op, argument, _ in pickletools.genops(data):
        if op.name not in OPCODES:
            raise UserError(
                f"{path} asks to build an object ({op.name} {argument or ''}), which a table of numbers does not "
                "need: refused; get the file again"
            )
        if "PUT" in op.name and isinstance(argument, int) and argument > len(data):
            raise UserError(f"{path} is damaged: memo number {argument}")


class _Plain(pickle.Unpickler):
    """The second lock: no class can be looked up either."""

    def find_class(self, module_name: str, global_name: str):
        raise pickle.UnpicklingError(f"refused to look up {module_name}.{global_name}")
