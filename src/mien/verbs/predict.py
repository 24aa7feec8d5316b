"""`mien predict VIDEO... --model MODEL --out DIR`."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from mien.errors import UserError, require
from mien.options import FLAT, Arg
from mien.timeline.options import PredictConfig
from mien.verbs.command import command, function
from mien.verbs.main import STARTED_S

if TYPE_CHECKING:
    from mien.models import Model
    from mien.timeline import Timeline


@dataclass(frozen=True, kw_only=True)
class Predict:
    """A video to a timeline of what moves in its faces, or of what models say of them, with a page to look at it.

    Without --model it reads movements: smiles, brows, eyes, mouth and head, and their events. With models it reads apparent
    expression or affect, and with --movements both.
    Writes timeline.csv, timeline.parquet, predictions.json, report.html, of movements also movements.parquet and events.csv, and
    with --annotate annotated.mp4 to OUT, or to OUT/<name of the video>/ for several videos. Exit code 2 when no video gave a row.
    """

    HELP: ClassVar = {
        "what goes in": ("VIDEO", "--model", "--crop", "--boxes", "--allow-contract-mismatch", "--allow-personality"),
        "what comes out": ("--out", "--movements", "--step-s", "--smooth-s", "--annotate", "--baseline", "--points"),
        "how it runs": ("--device", "--batch-size"),
    }

    videos: Annotated[Path | tuple[Path, ...], Arg(positional=True, metavar="VIDEO")]
    """Video files, folders of them, or folders of the images of one video each."""
    model: Annotated[
        dict[str, Model | str] | tuple[Model | str, ...], Arg(metavar="[NAME=]MODEL", append=True, placed=True)
    ] = ()
    """Model folder, run folder or hub id; again for several models, which share one detection pass. NAME= prefixes its
    columns. Without one, movements are read."""
    out: Annotated[Path | None, Arg(metavar="DIR", required=True)] = None
    """Folder to write to."""
    settings: Annotated[PredictConfig, FLAT] = PredictConfig()


def work(options: Predict) -> Timeline | list[Timeline]:
    """Without `out` the files lie in a temporary folder that goes with the timeline; `Timeline.save` keeps them.

    Returns:
        The timeline of one video. Of a list of videos, or of a folder of them, a list in their order.

    Raises:
        UserError: the video cannot be read. Among several, such a one has no rows, and its `status` and `reason` say why.
    """
    out = options.out
    require(out is None or not out.is_file(), f"--out {out} is a file: give a folder")
    videos, models = videos_of(options.videos), loaded(options.model)
    try:
        found = [predict_one(v, where, models, options.settings) for v, where in places(videos, out)]
    except KeyboardInterrupt:
        what = "stopped; videos that were finished are kept, the same command reads all of them again"
        raise KeyboardInterrupt(what) from None
    if videos != [options.videos]:
        return found
    (line,) = found
    require(line.status in ("ok", "no_face"), f"{line.video}: {line.reason} (nothing written)")
    return line


def loaded(given: Mapping[str, Model | str] | tuple[Model | str, ...]) -> dict[str, Model]:
    """By name. Nothing of torch is imported where there is none."""
    if not given:
        return {}
    from mien.models import load

    return {name: load(place) for name, place in named(given).items()}


def named(models: Mapping[str, Model | str] | tuple[Model | str, ...]) -> dict[str, Model | str]:
    """``NAME=PLACE``, ``PLACE`` or a model by name, which comes from the folder (that of the run for ``RUN/model``).

    Raises:
        UserError: two models of one name, or a name that cannot start a column.
    """
    pairs = list(models.items()) if isinstance(models, Mapping) else [name_and_place(given) for given in models]
    for name, place in pairs:
        if not re.fullmatch(r"[\w.-]+", name):
            raise UserError(f"--model: {name!r} cannot name columns; give NAME={place} with letters, digits, _ . or -")
    if twice := [n for n, count in Counter(n for n, _ in pairs).items() if count > 1]:
        raise UserError(f"--model: two models are called {twice[0]!r}; give each a name of its own: NAME=FOLDER")
    return dict(pairs)


def name_and_place(given: Model | str) -> tuple[str, Model | str]:
    if not isinstance(given, str):
        return name_of(given.path), given
    name, equals, place = given.partition("=")
    return (name, place) if equals else (name_of(Path(given)), given)


def name_of(place: Path) -> str:
    place = place.resolve() if place.exists() else place
    return place.parent.name if place.name == "model" else place.name


def videos_of(given: Path | tuple[Path, ...]) -> list[Path]:
    """Each video once. Raises UserError where there is none."""
    places = given if isinstance(given, tuple) else (given,)
    require(bool(places), "received no video; give at least one file")
    return list(dict.fromkeys(video for place in places for video in within(place)))


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
    if not videos and not images_in(given):
        raise UserError(
            f"{given} holds no videos and no images; folders in it are not searched: give them, as {given}/*"
        )
    return videos or [given]


def places(videos: list[Path], out: Path | None) -> list[tuple[Path, Path | None]]:
    """Each video with its folder: `out` itself for one; its stem, numbered where stems repeat, for several."""
    if out is None or len(videos) == 1:
        return [(video, out) for video in videos]
    found: list[Path] = []
    for video in videos:
        folder, n = out / video.stem, 1
        while folder in found:
            n += 1
            folder = out / f"{video.stem}-{n}"
        found.append(folder)
    return list(zip(videos, found, strict=True))


def predict_one(video: Path, out: Path | None, models: dict[str, Model], config: PredictConfig) -> Timeline:
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

    lines = console()
    speed = TextColumn("{task.fields[fps]:.0f} frames/s")
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), speed, TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), transient=True, console=lines, disable=not lines.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(video.name, total=frames_to_read(video, config), fps=0.0)

        def advance(frames: int) -> None:
            bar.update(task, completed=frames, fps=frames / max(bar.tasks[0].elapsed or 0.0, 1e-3))

        if not models:
            from mien.timeline import predict_movements

            return predict_movements(video, out, config, advance)
        from mien.timeline import predict_video

        return predict_video(video, models, out, config, advance)


def frames_to_read(video: Path, config: PredictConfig) -> int | None:
    """In both passes; None where the file does not say."""
    from mien.data.video import VideoError, probe

    try:
        info = probe(video)
    except VideoError:
        return None
    total = info.num_frames or (round(info.duration_s * info.fps) if info.duration_s else None)
    return 2 * total if total and config.annotate else total


def show(found: Timeline | list[Timeline], options: Predict) -> int:
    timelines = found if isinstance(found, list) else [found]
    show_each(timelines)
    print(f"{time.monotonic() - STARTED_S:.1f} s in all, from the start of the program")
    return 0 if any(line.status == "ok" for line in timelines) else 2


def show_each(timelines: list[Timeline]) -> None:
    """One line per video, then what the reader of the numbers must know."""
    from rich.text import Text

    from mien.console import console

    lines, errors = console(), console(errors=True)
    for line in timelines:
        if line.status == "ok":
            made = line.record["provenance"]
            text = f"{len(line.tracks)} track(s), {line.record['rows']} rows, {made['frames']} frames in {made['wall_s']:.1f} s"
            lines.print(f"{line.video}: {text} -> {line.folder.path / 'report.html'}", soft_wrap=True)
        else:
            where = f"empty timeline in {line.folder.path}" if line.record else "nothing written"
            errors.print(f"mien predict: {line.video}: {line.reason} ({where})", soft_wrap=True)
    for warning, videos in by_warning(timelines).items():
        where = "" if len(videos) == len(timelines) else f" ({', '.join(videos)})"
        lines.print(Text("note:", "bold yellow"), warning + where, soft_wrap=True)


def by_warning(timelines: list[Timeline]) -> dict[str, list[str]]:
    """The videos that each warning is about, besides the reason of a failure, which has its own line."""
    found: dict[str, list[str]] = {}
    for line in timelines:
        for warning in line.warnings:
            if warning != line.reason:
                found.setdefault(warning, []).append(line.video.name)
    return found


predict = function(Predict, work)
main = command(Predict, work, show)
