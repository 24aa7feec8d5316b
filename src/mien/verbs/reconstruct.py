"""`mien reconstruct VIDEO|SHARDS --model RUN --out PICTURE.png`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Reconstruct:
    """Film strips of a masked pre-training model: original, masked and reconstructed frames (SVFAP, Fig. 6); of MAE-DFER
    appearance and motion (its Fig. 4)."""

    source: tyro.conf.Positional[Path]
    """A video, or a folder written by `mien prepare`."""
    model: str
    """Run folder of `mien pretrain`, or its model folder."""
    out: Path
    """Picture to write (.png)."""
    clips: int = 3
    """Clips to draw, three rows each; seven of MAE-DFER."""
    frames: int = 8
    """Frames of each clip, spread over it."""
    mask_ratio: float | None = None
    """Share of masked tubes; that of pre-training by default."""
    seed: int = 0
    """Which clips and which masks."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


def main(argv: list[str]) -> int:
    """Runs ``mien reconstruct`` with the arguments after the verb; returns the exit code."""
    args = tyro.cli(Reconstruct, args=argv, prog="mien reconstruct")
    from mien.contract import CropContract
    from mien.data.shards import Shards
    from mien.data.video import VideoError
    from mien.errors import UserError
    from mien.models import load
    from mien.timeline.strips import as_reconstructor, clips_of_shards, clips_of_video, draw_strips, reconstruct
    from mien.train.distributed import pick_device

    check(args)
    device = pick_device(args.device)
    folder = load(args.model)
    model = as_reconstructor(args.model, folder.module).to(device)
    if (args.source / "manifest.parquet").is_file():
        clips = clips_of_shards(Shards(args.source), model, args.clips, args.seed)
    else:
        contract = folder.provenance.contracts[0] if folder.provenance.contracts else CropContract()
        try:
            clips = clips_of_video(args.source, model, contract, args.clips, args.seed)
        except VideoError as error:
            raise UserError(
                f"{args.source}: {error.reason}; give a video or a folder written by mien prepare"
            ) from None
    strips = reconstruct(model, clips, args.mask_ratio, args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_strips(strips, [c.title for c in clips], args.frames).save(args.out)
    print(f"{len(clips)} clips of {args.source} -> {args.out}")
    return 0


def check(args: Reconstruct) -> None:
    """Raises UserError for options that cannot work."""
    from mien.errors import UserError

    if args.out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UserError(f"--out {args.out}; allowed are pictures: .png, .jpg, .webp")
    for name, value in (("clips", args.clips), ("frames", args.frames)):
        if value < 1:
            raise UserError(f"--{name} {value}; allowed 1 or more")
