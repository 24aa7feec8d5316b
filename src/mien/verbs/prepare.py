"""`mien prepare VIDEOS... --out SHARDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from mien.data.manifest import Manifest
    from mien.faces.options import PrepareConfig


@dataclass(frozen=True)
class Prepare:
    """Find, track, align and crop faces: videos -> shards. Stopped, the same command goes on."""

    videos: tyro.conf.Positional[tuple[str, ...]]
    """Files, folders (searched through) or quoted globs. None: the paths of --labels. With --corpus: its folder."""
    out: Path
    """Folder of the shards."""
    labels: Path | None = None
    """CSV: path, optionally start_s and end_s (cuts), subject, split; every other column is a label."""
    corpus: str | None = None
    """A benchmark by name (docs/corpora.md): files, labels and folds are read from its folder as its authors lay it out."""
    corpus_options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """What is uncertain or optional in the corpus's format; again for several. `help` lists those of the corpus."""
    crop: Literal["face", "box", "voxceleb2", "none"] | None = None
    """Default: face, or what the corpus says. face: aligned on five points. box: square around the face box. voxceleb2:
    the fixed patch of ready-made VoxCeleb2 frames. none: the whole frame is the face."""
    landmarks: Literal[5, 68] = 5
    """Points that --crop face aligns on. 68: found by the package face-alignment (pip install 'mien[face-alignment]'; it
    downloads its weights) on every frame and smoothed over 12 frames, or given by --boxes."""
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
    image_fps: float | None = None
    """Frame rate of a folder of images; default 25, or the corpus's."""
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
    from mien.console import console
    from mien.errors import UserError
    from mien.faces.report import show

    lines = console()
    if args.corpus is not None and "help" in args.corpus_options:
        lines.print(corpus_help(args.corpus))
        return 0
    if args.corpus_options and args.corpus is None:
        raise UserError("--corpus-options goes with --corpus NAME")
    manifest = from_videos(args, lines) if args.corpus is None else from_corpus(args, args.corpus, lines)
    show(manifest, lines)
    if not len(manifest.ok()):
        raise UserError(f"no face in any of the inputs: nothing to train on in {args.out} (reasons above)")
    lines.print(f"{args.out}: {len(manifest.ok())} clips")
    return 0


def config_of(args: Prepare) -> PrepareConfig:
    from mien.contract import Store
    from mien.faces.options import PrepareConfig, contract_for

    store = Store(args.size, not args.grey, args.fps, quality=args.quality, subsampling=args.subsampling)
    contract = contract_for(args.crop or "face", args.margin, args.boxes is not None, store, args.landmarks)
    fps = 25.0 if args.image_fps is None else args.image_fps
    return PrepareConfig(
        contract, args.every_s, args.detect_side, args.min_score, args.min_face, args.gap_s, args.boxes, args.frames,
        fps, args.audio,
    )  # fmt: skip


def from_videos(args: Prepare, lines: Console) -> Manifest:
    from mien.faces.pipeline import prepare

    config = config_of(args)
    lines.print(f"crops: {config.contract.describe()}")
    with bar(lines) as start:
        return prepare(args.videos, args.out, config, args.labels, args.workers, start)


def from_corpus(args: Prepare, name: str, lines: Console) -> Manifest:
    from dataclasses import replace

    from mien.errors import UserError, require
    from mien.faces.from_corpus import CorpusInput, plan_corpus, prepare_corpus, problem_lines

    for option, value in (("--labels", args.labels), ("--frames", args.frames)):
        require(value is None, f"{option} does not go with --corpus: the corpus says what its files are")
    if len(args.videos) != 1:
        raise UserError(f"--corpus {name} wants one folder, its root; received {len(args.videos)}")
    root, options = Path(args.videos[0]), args.corpus_options
    given = CorpusInput(name, root, options, args.crop, args.margin, args.image_fps, args.landmarks)
    planned = plan_corpus(given, config_of(replace(args, margin=None)))
    counts, record = planned.record.counts, planned.record
    lines.print(f"{name}: {counts['clips']} clips listed, {counts['missing']} of them missing")
    for line in problem_lines(record.problems):
        lines.print(f"  {line}")
    lines.print(f"crops: {planned.config.contract.describe()}")
    with bar(lines) as start:
        return prepare_corpus(planned, args.out, args.workers, start)


def corpus_help(name: str) -> str:
    """The options of a corpus."""
    from mien.corpora.options import describe
    from mien.corpora.table import CORPORA, make_corpus

    make_corpus(name)  # a wrong name is an error with the names there are
    return f"{name}: {describe(CORPORA[name])}; see docs/corpora.md"


def bar(lines: Console):
    """A progress bar over the bytes of the inputs, as the context manager that `prepare` wants."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from mien.faces.pipeline import Begun

    @contextmanager
    def shown():
        text = TextColumn("{task.description}", markup=False)
        with Progress(text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=lines) as progress:

            def start(begun: Begun) -> Callable[[float], None]:
                for note in begun.notes:
                    lines.print(note)
                before = f" ({begun.num_finished} finished before)" if begun.num_finished else ""
                size = begun.num_bytes
                text = f"{begun.num_sources} files{before}"
                task = progress.add_task(text, total=max(size, 1), completed=0 if size else 1)
                return lambda done: progress.advance(task, done)

            yield start

    return shown()
