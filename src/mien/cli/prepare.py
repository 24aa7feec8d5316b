"""`mien prepare VIDEOS... --out SHARDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Prepare:
    """Find, track, align and crop faces: videos -> shards. Stopped, the same command goes on."""

    videos: tyro.conf.Positional[tuple[str, ...]]
    """Files, folders (searched through) or quoted globs. None: the paths of --labels."""
    out: Path
    """Folder of the shards."""
    labels: Path | None = None
    """CSV: path, optionally start_s and end_s (cuts), subject, split; every other column is a label."""
    crop: Literal["face", "box", "voxceleb2", "none"] = "face"
    """face: aligned on five points. box: square around the face box. voxceleb2: the fixed patch of ready-made VoxCeleb2
    frames. none: the whole frame is the face."""
    size: int = 160
    """Side of the crop in pixels."""
    grey: bool = False
    """Store grey pictures."""
    fps: float | None = None
    """Frames per second to keep, by time; None keeps all frames."""
    margin: float | None = None
    """Extra space on each side as a fraction of the crop; default 0 for face, 0.15 for box."""
    quality: int = 90
    """Of the JPEGs."""
    subsampling: Literal["420", "444"] = "420"
    """Colour resolution of the JPEGs."""
    boxes: str | None = None
    """CSV of face boxes to use instead of the detector (docs/prepare.md)."""
    frames: Literal["clip", "stills"] | None = None
    """What images in folders are: each folder one clip, or each image a clip of one frame."""
    image_fps: float = 25.0
    """Frame rate of a folder of images."""
    every_s: float = 0.15
    """Seconds between detections."""
    detect_side: int = 480
    """Longer side of the picture the detector sees."""
    min_score: float = 0.5
    """Weakest detection that counts."""
    min_face: float = 24.0
    """Smallest face taken, in pixels of the video."""
    gap_s: float = 0.5
    """Longest time a face may be lost and keep its track."""
    audio: bool = True
    """Keep the sound."""
    workers: int | None = None
    """Processes; default one per core, 0 = this one alone."""


def main(argv: list[str]) -> int:
    args = tyro.cli(Prepare, args=argv, prog="mien prepare")
    from rich.console import Console

    from mien.prepare.config import PrepareConfig, contract_for
    from mien.prepare.pipeline import prepare
    from mien.prepare.report import show
    from mien.types import Store, UserError

    store = Store(args.size, not args.grey, args.fps, quality=args.quality, subsampling=args.subsampling)
    contract = contract_for(args.crop, args.margin, args.boxes is not None, store)
    config = PrepareConfig(
        contract, args.every_s, args.detect_side, args.min_score, args.min_face, args.gap_s, args.boxes, args.frames,
        args.image_fps, args.audio,
    )  # fmt: skip
    console = Console()
    console.print(f"crops: {contract.describe()}", highlight=False)
    with bar(console) as start:
        manifest = prepare(args.videos, args.out, config, args.labels, args.workers, start)
    show(manifest, console)
    if not len(manifest.ok()):
        raise UserError(f"no face in any of the inputs: nothing to train on in {args.out} (reasons above)")
    console.print(f"{args.out}: {len(manifest.ok())} clips", highlight=False)
    return 0


def bar(console):
    """A progress bar over the bytes of the inputs, as the context manager that `prepare` wants."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from mien.prepare.pipeline import Begun

    @contextmanager
    def shown():
        text = TextColumn("{task.description}")
        with Progress(text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=console) as progress:

            def start(begun: Begun) -> Callable[[float], None]:
                for note in begun.notes:
                    console.print(note, markup=False, highlight=False)
                before = f" ({begun.num_finished} finished before)" if begun.num_finished else ""
                size = begun.num_bytes
                text = f"{begun.num_sources} files{before}"
                task = progress.add_task(text, total=max(size, 1), completed=0 if size else 1)
                return lambda done: progress.advance(task, done)

            yield start

    return shown()
