"""GRID's words as a labels CSV for `mien prepare`: one stretch of video around each word of the slots asked for.

    python experiments/grid_words.py GRID_FOLDER words.csv --slots letter command
    mien prepare --labels words.csv --out SHARDS --size 96

GRID_FOLDER holds ``segments.csv`` (path, split, slot, label, start_s, end_s) and ``clips/``. A letter is 0.2 s long: its
stretch is 20 frames of 25 fps around its middle, for 16 frames at stride 1 with some jitter. A command's is 45 frames, for
16 frames at stride 2 (1.24 s) with jitter. Colours, prepositions, digits and adverbs get 25 frames. Columns: path, start_s,
end_s, a column per slot, split, subject.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

HALF_S = {"letter": 0.40, "command": 0.90, "colour": 0.50, "preposition": 0.50, "digit": 0.50, "adverb": 0.50}
CLIP_S = 3.0


def stretches(folder: Path, slots: list[str]) -> list[dict[str, str]]:
    with open(folder / "segments.csv", newline="") as file:
        segments = [row for row in csv.DictReader(file) if row["slot"] in slots]
    rows = []
    for segment in segments:
        half, middle = HALF_S[segment["slot"]], (float(segment["start_s"]) + float(segment["end_s"])) / 2
        middle = min(max(middle, half), CLIP_S - half)
        row = {"path": str((folder / segment["path"]).resolve()), "split": segment["split"], "subject": "s1"}
        row |= {"start_s": f"{middle - half:.3f}", "end_s": f"{middle + half:.3f}", **dict.fromkeys(slots, "")}
        rows.append({**row, segment["slot"]: segment["label"]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slots", nargs="+", choices=sorted(HALF_S), default=["letter", "command"])
    args = parser.parse_args()
    rows = stretches(args.folder, args.slots)
    with open(args.out, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} stretches in {args.out}")


if __name__ == "__main__":
    main()
