"""`mien predict VIDEO... --model MODEL --out DIR`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from mien.timeline.options import Outcome, PredictConfig


@dataclass(frozen=True)
class Predict:
    """A video and one or several models to a timeline of apparent expression or affect, with a page to look at it.

    Writes timeline.csv, timeline.parquet, predictions.json, report.html and with --annotate annotated.mp4 to OUT, or to
    OUT/<name of the video>/ for several videos. Exit code 2 when no video gave a row.
    """

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Video files, folders of them, or folders of the images of one video each."""
    model: Annotated[tuple[str, ...], tyro.conf.arg(name="model", metavar="[NAME=]MODEL"), tyro.conf.UseAppendAction]
    """Model folder, run folder or hub id; again for several models, which share one detection pass. NAME= prefixes its
    columns."""
    out: Path
    """Folder to write to."""
    step_s: float | None = None
    """Seconds between rows. None: 0.25, or one row per frame where all models predict sequences."""
    batch_size: int = 16
    """Windows per forward pass."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    boxes: Path | None = None
    """CSV of face boxes (as for mien prepare) instead of the detector."""
    crop: Literal["contract", "none"] = "contract"
    """contract: crop faces as the model was trained. none: the frames are face crops already."""
    allow_contract_mismatch: bool = False
    """Predict although the model was trained on other crops; it is then written beside the numbers."""
    allow_personality: bool = False
    """Needed for models of personality traits: impressions of strangers, never to be used to choose, rank or judge people."""
    smooth_s: float = 0.0
    """Make each row the mean of its track's rows within half of this many seconds on both sides; 0 = off."""
    annotate: bool = False
    """Also write annotated.mp4: the video (without sound) with face boxes and the top class or the values."""


def main(argv: list[str]) -> int:
    """Runs ``mien predict`` with the arguments after the verb; returns the exit code."""
    args = tyro.cli(Predict, args=argv, prog="mien predict")
    from mien.errors import UserError
    from mien.models import load
    from mien.timeline.options import PredictConfig

    if not args.videos:
        raise UserError("received no video; give at least one file")
    if not args.model:
        raise UserError("received no model; give at least one with --model FOLDER")
    config = PredictConfig(
        step_s=args.step_s, batch_size=args.batch_size, device=args.device,
        boxes=None if args.boxes is None else str(args.boxes), ready_crops=args.crop == "none",
        allow_contract_mismatch=args.allow_contract_mismatch, allow_personality=args.allow_personality,
        smooth_s=args.smooth_s, annotate=args.annotate,
    )  # fmt: skip
    folders = {name: load(place) for name, place in named(args.model).items()}
    models = {name: f.module for name, f in folders.items()}
    hashes = {name: f.hash for name, f in folders.items()}
    outcomes = [predict_one(video, out, models, hashes, config) for video, out in places(args.videos, args.out).items()]
    show(outcomes)
    return 0 if any(o.status == "ok" for o in outcomes) else 2


def named(models: tuple[str, ...]) -> dict[str, str]:
    """``NAME=PLACE`` or ``PLACE`` to place by name; a name comes from the folder (that of the run for ``RUN/model``).

    Raises:
        UserError: two models of one name, or a name that cannot start a column.
    """
    import re

    from mien.errors import UserError

    pairs = []
    for text in models:
        name, equals, place = text.partition("=")
        pairs.append((name, place) if equals else (name_of(Path(text)), text))
    for name, place in pairs:
        if not re.fullmatch(r"[\w.-]+", name):
            raise UserError(f"--model: {name!r} cannot name columns; give NAME={place} with letters, digits, _ . or -")
    if twice := [n for n, count in Counter(n for n, _ in pairs).items() if count > 1]:
        raise UserError(f"--model: two models are called {twice[0]!r}; give each a name of its own: NAME=FOLDER")
    return dict(pairs)


def name_of(place: Path) -> str:
    place = place.resolve() if place.exists() else place
    return place.parent.name if place.name == "model" else place.name


def within(given: Path) -> list[Path]:
    """A file, or a folder of images, as it is; the videos of a folder that holds some.

    Raises:
        UserError: a folder with both.
    """
    from mien.data.video import VIDEO_SUFFIXES, images_in, natural_key
    from mien.errors import UserError

    if not given.is_dir():
        return [given]
    videos = sorted(
        (p for p in given.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and p.name[0] != "."), key=natural_key
    )
    if videos and images_in(given):
        raise UserError(f"{given} holds videos and images: give the videos, or a folder of the images of one video")
    return videos or [given]


def places(videos: tuple[Path, ...], out: Path) -> dict[Path, Path]:
    """The folder of each video: `out` itself for one; its stem, numbered where stems repeat, for several."""
    videos = tuple(dict.fromkeys(v for given in videos for v in within(given)))
    if len(videos) == 1:
        return {videos[0]: out}
    found: dict[Path, Path] = {}
    for video in videos:
        folder, n = out / video.stem, 1
        while folder in found.values():
            n += 1
            folder = out / f"{video.stem}-{n}"
        found[video] = folder
    return found


def predict_one(video: Path, out: Path, models: dict, hashes: dict[str, str], config: PredictConfig) -> Outcome:
    """One video with a progress bar: frames, frames per second, expected end."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from mien.console import console
    from mien.data.video import VideoError, probe
    from mien.timeline import predict_video

    try:
        info = probe(video)
        total = info.num_frames or (round(info.duration_s * info.fps) if info.duration_s else None)
        total = 2 * total if total and config.annotate else total
    except VideoError:
        total = None
    speed = TextColumn("{task.fields[fps]:.0f} frames/s")
    lines = console()
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), speed, TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), transient=True, console=lines, disable=not lines.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(video.name, total=total, fps=0.0)

        def advance(frames: int) -> None:
            bar.update(task, completed=frames, fps=frames / max(bar.tasks[0].elapsed or 0.0, 1e-3))

        return predict_video(video, models, out, config, hashes, advance)


def show(outcomes: list[Outcome]) -> None:
    """One line per video, then what the reader of the numbers must know."""
    from rich.text import Text

    from mien.console import console

    lines, errors = console(), console(errors=True)
    for o in outcomes:
        if o.status == "ok":
            text = f"{o.num_tracks} track(s), {o.num_rows} rows, {o.num_frames} frames in {o.wall_s:.1f} s"
            lines.print(f"{o.video}: {text} -> {o.out / 'report.html'}", soft_wrap=True)
        else:
            where = f" (empty timeline in {o.out})" if o.status == "no_face" else " (nothing written)"
            errors.print(f"mien predict: {o.video}: {o.reason}{where}", soft_wrap=True)
    for warning, videos in by_warning(outcomes).items():
        where = "" if len(videos) == len(outcomes) else f" ({', '.join(videos)})"
        lines.print(Text("note:", "bold yellow"), warning + where, soft_wrap=True)


def by_warning(outcomes: list[Outcome]) -> dict[str, list[str]]:
    """The videos that each warning is about, besides the reason of a failure, which has its own line."""
    found: dict[str, list[str]] = {}
    for o in outcomes:
        for warning in o.warnings:
            if warning != o.reason:
                found.setdefault(warning, []).append(o.video.name)
    return found
