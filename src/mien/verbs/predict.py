"""`mien predict VIDEO... --model MODEL --out DIR`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from mien.errors import UserError, require
from mien.options import FLAT, Arg
from mien.timeline.options import PredictConfig
from mien.verbs.command import command, function
from mien.verbs.main import STARTED_S

if TYPE_CHECKING:
    from rich.console import Console

    from mien.models import Model
    from mien.timeline import Outcome


@dataclass(frozen=True, kw_only=True)
class Predict:
    """A video and one or several models to a timeline of apparent expression or affect, with a page to look at it.

    Writes timeline.csv, timeline.parquet, predictions.json, report.html and with --annotate annotated.mp4 to OUT, or to
    OUT/<name of the video>/ for several videos. Exit code 2 when no video gave a row.
    """

    HELP: ClassVar = {
        "what goes in": ("VIDEO", "--model", "--crop", "--boxes", "--allow-contract-mismatch", "--allow-personality"),
        "what comes out": ("--out", "--step-s", "--smooth-s", "--annotate"),
        "how it runs": ("--device", "--batch-size"),
    }

    videos: Annotated[tuple[Path, ...], Arg(positional=True, metavar="VIDEO")]
    """Video files, folders of them, or folders of the images of one video each."""
    model: Annotated[tuple[Model | str, ...], Arg(metavar="[NAME=]MODEL", append=True)]
    """Model folder, run folder or hub id; again for several models, which share one detection pass. NAME= prefixes its
    columns."""
    out: Annotated[Path, Arg(metavar="DIR")]
    """Folder to write to."""
    settings: Annotated[PredictConfig, FLAT] = PredictConfig()


def work(options: Predict) -> list[Outcome]:
    from mien.console import console
    from mien.models import load

    lines = console()
    require(bool(options.videos), "received no video; give at least one file")
    folders = {name: load(place) for name, place in named(options.model).items()}
    videos = places(options.videos, options.out)
    return [predict_one(video, out, folders, options.settings, lines) for video, out in videos.items()]


def named(models: tuple[Model | str, ...]) -> dict[str, Model | str]:
    """``NAME=PLACE``, ``PLACE`` or a model by name, which comes from the folder (that of the run for ``RUN/model``).

    Raises:
        UserError: two models of one name, or a name that cannot start a column.
    """
    import re

    pairs: list[tuple[str, Model | str]] = []
    for given in models:
        name, equals, place = given.partition("=") if isinstance(given, str) else ("", "", "")
        folder = Path(given) if isinstance(given, str) else given.path
        pairs.append((name, place) if equals else (name_of(folder), given))
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


def predict_one(video: Path, out: Path, folders: dict[str, Model], config: PredictConfig, lines: Console) -> Outcome:
    """One video with a progress bar: frames, frames per second, expected end."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from mien.timeline import predict_video

    models, hashes = {n: f.module for n, f in folders.items()}, {n: f.hash for n, f in folders.items()}
    speed = TextColumn("{task.fields[fps]:.0f} frames/s")
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), speed, TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), transient=True, console=lines, disable=not lines.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(video.name, total=frames_to_read(video, config), fps=0.0)

        def advance(frames: int) -> None:
            bar.update(task, completed=frames, fps=frames / max(bar.tasks[0].elapsed or 0.0, 1e-3))

        return predict_video(video, models, out, config, hashes, advance)


def frames_to_read(video: Path, config: PredictConfig) -> int | None:
    """In both passes; None where the file does not say."""
    from mien.data.video import VideoError, probe

    try:
        info = probe(video)
    except VideoError:
        return None
    total = info.num_frames or (round(info.duration_s * info.fps) if info.duration_s else None)
    return 2 * total if total and config.annotate else total


def show_all(outcomes: list[Outcome], options: Predict) -> int:
    show(outcomes)
    print(f"{time.monotonic() - STARTED_S:.1f} s in all, from the start of the program")
    return 0 if any(o.status == "ok" for o in outcomes) else 2


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


predict = function(Predict, work)
main = command(Predict, work, show_all)
