"""`mien synth`: draw face videos with labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from mien.corpora.synthetic.options import SynthConfig
from mien.errors import require
from mien.options import FLAT, Arg
from mien.options.shared import Workers
from mien.verbs.command import command, function


@dataclass(frozen=True, kw_only=True)
class Synth(Workers):
    """Draw videos of faces that do not exist, with exact labels: OUT/clips/*.mp4, OUT/labels.csv, OUT/frames.parquet.

    What is in OUT and fits is kept, so the same command continues.
    """

    HELP: ClassVar = {
        "what comes out": ("--out", "--clips", "--subjects", "--seed", "--picture"),
        "each video": ("--frames", "--fps", "--size", "--sound", "--noise"),
        "how it runs": ("--workers",),
    }

    out: Annotated[Path, Arg(metavar="DIR")]
    """Folder to write to."""
    drawn: Annotated[SynthConfig, FLAT] = SynthConfig()
    picture: Path | None = None
    """Also write one picture (PNG or JPEG) of five subjects with the seven expressions."""


def work(options: Synth) -> Path:
    from rich.progress import Progress

    from mien.console import console
    from mien.corpora.synthetic import draw_picture, write_clips

    config, picture = options.drawn, options.picture
    config.check()
    drawable = picture is None or picture.suffix.lower() in (".png", ".jpg", ".jpeg")
    require(drawable, f"--picture {picture}: give a name that ends in .png or .jpg")
    with Progress(transient=True, console=console()) as bar:
        task = bar.add_task("drawing", total=config.clips)
        labels = write_clips(options.out, config, options.processes, lambda: bar.advance(task))
    if picture is not None:
        draw_picture(picture, config)
    return labels


def show(labels: Path, options: Synth) -> None:
    drawn = options.drawn
    print(f"{drawn.clips} clips of {drawn.subjects} drawn people in {options.out / 'clips'}, labels in {labels}")
    if options.picture is not None:
        print(f"picture in {options.picture}")


synth = function(Synth, work)
main = command(Synth, work, show)
