"""Real clips and annotation files of CREMA-D and RAVDESS through their parsers; prints what came of them, to be read by eye.

    python experiments/check_real_corpora.py FOLDER

FOLDER holds `cremad` (clips, and the corpus's CSV files somewhere below) and `ravdess` (clips), as downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mien.corpora.corpus import Listing
from mien.corpora.table import read_corpus
from mien.options import Arg
from mien.verbs.command import script


def show(title: str, root: Path, listing: Listing) -> None:
    there = [e for e in listing.entries if (root / e.path).exists()]
    print(f"\n{title}: {len(listing.entries)} clips listed, {len(there)} there, crop {listing.crop}")
    for line in listing.problems:
        print(f"  problem: {line}")
    for entry in there:
        print(f"  {entry.path}: " + ", ".join(f"{k}={v}" for k, v in entry.values.items() if not k.startswith("fold_")))
        print(f"    test fold: {[k for k, v in entry.values.items() if k.startswith('fold_') and v == 'test']}")


def vote_table(listing: Listing) -> None:
    """Share of the votes for each class, by the emotion asked for."""
    for asked in listing.classes:
        rows = [e.values for e in listing.entries if e.values["label"] == asked]
        total = dict.fromkeys(listing.classes, 0.0)
        for row in rows:
            votes = {c: float(row[f"votes_{c}"] or 0) for c in listing.classes}
            for name, count in votes.items():
                total[name] += count / max(sum(votes.values()), 1e-9)
        print(
            f"    {asked:8} {len(rows):5}  "
            + "  ".join(f"{c} {total[c] / max(len(rows), 1):.3f}" for c in listing.classes)
        )


@dataclass(frozen=True)
class Check:
    """What the parsers make of downloaded clips and annotation files of CREMA-D and RAVDESS."""

    folder: Annotated[Path, Arg(positional=True)]
    """Holds cremad and ravdess."""


def main(check: Check) -> None:
    folder = check.folder
    for votes in ("face", "multimodal", "voice"):
        root = folder / "cremad"
        _, listing = read_corpus("crema-d", root, [f"votes={votes}"])
        if votes == "face":
            show("crema-d", root, listing)
        ties = sum(0 < max(float(e.values[f"votes_{c}"] or 0) for c in listing.classes) < 1 for e in listing.entries)
        print(f"  votes={votes}: {ties} of {len(listing.entries)} clips tied; shares by the emotion asked for:")
        vote_table(listing)
    _, listing = read_corpus("ravdess", folder / "ravdess")
    show("ravdess", folder / "ravdess", listing)


if __name__ == "__main__":
    script(Check, main)
