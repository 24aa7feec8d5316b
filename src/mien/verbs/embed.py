"""`mien embed MODEL --data SHARDS --out DIR`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from mien.options import Arg
from mien.options.shared import Batched, Mismatch, OnDevice, Seeded
from mien.verbs.command import OfShards, command, function


@dataclass(frozen=True, kw_only=True)
class Embed(OfShards, OnDevice, Batched, Mismatch, Seeded):
    """Features of every clip to OUT/features.parquet, and their t-SNE picture to OUT/tsne.png (MAE-DFER, Fig. 5).

    Of a classifier: what its head sees. Of a pre-training model: the mean over all tokens after the last norm.
    """

    HELP: ClassVar = {
        "what goes in": ("MODEL", "--data", "--split", "--allow-contract-mismatch"),
        "what comes out": ("--out", "--target", "--picture-clips", "--seed"),
        "how it runs": ("--device", "--batch-size"),
    }

    out: Annotated[Path, Arg(metavar="DIR")]
    """Folder to write to."""
    target: str | None = None
    """Column that colours the picture; the classifier's target by default, or label, and one colour where there is none."""
    split: str | None = None
    """Only clips of this split, such as test; all by default."""
    picture_clips: int = 3000
    """At most so many clips are drawn; features are written of all."""


def work(options: Embed) -> dict[str, Any]:
    from mien.data.shards import Shards
    from mien.models import load
    from mien.scoring.features import embed
    from mien.train.distributed import pick_device

    return embed(
        load(options.model), Shards.of(options.data), options.out, options.target, options.split, options.batch_size,
        pick_device(options.device), options.allow_contract_mismatch, options.picture_clips, options.seed,
    )  # fmt: skip


def show(result: dict[str, Any], options: Embed) -> None:
    out = options.out
    if result["contract_mismatch"]:
        print(f"note: {result['contract_mismatch']}")
    print(f"{result['clips']} clips, {result['dim']} numbers each -> {out / 'features.parquet'}")
    if result["target"] is None:
        print("note: no column to colour the picture by (--target)")
    print(out / "tsne.png" if (out / "tsne.png").is_file() else "too few clips for a t-SNE picture")


embed = function(Embed, work)
main = command(Embed, work, show)
