"""GRID's words as a labels CSV for `mien prepare`: one stretch of video around each word of the slots asked for.

    python experiments/grid_words.py GRID_FOLDER words.csv --slots letter command
    mien prepare --labels words.csv --out SHARDS --size 96

GRID_FOLDER holds ``segments.csv`` (path, split, slot, label, start_s, end_s) and ``clips/``. A letter is 0.2 s long: its
stretch is 20 frames of 25 fps around its middle, for 16 frames at stride 1 with some jitter. A command's is 45 frames, for
16 frames at stride 2 (1.24 s) with jitter. Colours, prepositions, digits and adverbs get 25 frames. For models of movements
``--margin-s 0.08`` takes each word's own time instead (docs/movements-labels.md). Columns: path, start_s,
end_s, a column per slot, split, subject.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from mien.options import Arg
from mien.verbs.command import script

Slot = Literal["letter", "command", "colour", "preposition", "digit", "adverb"]
HALF_S = {"letter": 0.40, "command": 0.90}
OTHER_HALF_S = 0.50
CLIP_S = 3.0


def stretches(folder: Path, slots: Sequence[Slot], margin_s: float | None = None) -> list[dict[str, str]]:
    """Rows of the labels table; `margin_s`: of its own time and so many seconds before and after, in place of a fixed length."""
    with open(folder / "segments.csv", newline="") as file:
        segments = [row for row in csv.DictReader(file) if row["slot"] in slots]
    rows = []
    for segment in segments:
        start_s, end_s = float(segment["start_s"]), float(segment["end_s"])
        half = HALF_S.get(segment["slot"], OTHER_HALF_S) if margin_s is None else (end_s - start_s) / 2 + margin_s
        middle = min(max((start_s + end_s) / 2, half), CLIP_S - half)
        row = {"path": str((folder / segment["path"]).resolve()), "split": segment["split"], "subject": "s1"}
        row |= {"start_s": f"{middle - half:.3f}", "end_s": f"{middle + half:.3f}", **dict.fromkeys(slots, "")}
        rows.append({**row, segment["slot"]: segment["label"]})
    return rows


@dataclass(frozen=True)
class Words:
    """GRID's words as a labels CSV for mien prepare."""

    folder: Annotated[Path, Arg(positional=True, metavar="GRID_FOLDER")]
    """Folder of one speaker, with segments.csv."""
    out: Annotated[Path, Arg(positional=True, metavar="CSV")]
    """Table to write."""
    slots: tuple[Slot, ...] = ("letter", "command")
    """Which words of the sentence."""
    margin_s: float | None = None
    """Seconds before and after each word's own time; by default all words of a slot get one length around their middle."""


def main(words: Words) -> None:
    rows = stretches(words.folder, words.slots, words.margin_s)
    with open(words.out, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} stretches in {words.out}")


if __name__ == "__main__":
    script(Words, main)
