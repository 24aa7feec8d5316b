"""`mien embed SHARDS --model MODEL --out DIR`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Embed:
    """Features of every clip to OUT/features.parquet, and their t-SNE picture to OUT/tsne.png (MAE-DFER, Fig. 5).

    Of a classifier: what its head sees. Of a pre-training model: the mean over all tokens after the last norm.
    """

    shards: tyro.conf.Positional[Path]
    """Folder written by `mien prepare`."""
    model: str
    """Model folder, run folder or hub id."""
    out: Path
    """Folder to write to."""
    target: str | None = None
    """Column that colours the picture; the classifier's target by default, or `label`, and one colour where there is none."""
    split: str | None = None
    """Only clips of this split, such as test."""
    picture_clips: int = 3000
    """At most so many clips are drawn; features are written of all."""
    seed: int = 0
    """Of t-SNE, and of which clips are drawn."""
    batch_size: int = 32
    allow_contract_mismatch: bool = False
    """Use a classifier although the crops were made in another way; it is recorded."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


def main(argv: list[str]) -> int:
    """Runs ``mien embed`` with the arguments after the verb; returns the exit code."""
    args = tyro.cli(Embed, args=argv, prog="mien embed")
    from mien.data.shards import Shards
    from mien.models import load
    from mien.scoring.features import embed
    from mien.train.distributed import pick_device

    result = embed(
        load(args.model), Shards(args.shards), args.out, args.target, args.split, args.batch_size,
        pick_device(args.device), args.allow_contract_mismatch, args.picture_clips, args.seed,
    )  # fmt: skip
    if result["contract_mismatch"]:
        print(f"note: {result['contract_mismatch']}")
    print(f"{result['clips']} clips, {result['dim']} numbers each -> {args.out / 'features.parquet'}")
    if result["target"] is None:
        print("note: no column to colour the picture by (--target)")
    drawn = (args.out / "tsne.png").is_file()
    print(args.out / "tsne.png" if drawn else "too few clips for a t-SNE picture")
    return 0
