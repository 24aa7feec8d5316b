"""`mien synth`: draw face videos with labels."""

from __future__ import annotations

import os
from pathlib import Path

import tyro


def synth(
    out: Path,
    clips: int = 180,
    subjects: int = 30,
    seed: int = 0,
    frames: int = 64,
    fps: int = 30,
    size: int = 192,
    sound: bool = False,
    noise: float = 0.01,
    workers: int = os.cpu_count() or 1,
    picture: Path | None = None,
) -> int:
    """Draw videos of faces that do not exist, with exact labels: OUT/clips/*.mp4, OUT/labels.csv, OUT/frames.parquet.

    Args:
        out: Folder to write to. What is there and fits is kept, so the same command continues.
        clips: Number of clips; they go round the subjects.
        subjects: Number of drawn people; 60 % train, 15 % val, 25 % test.
        seed: The same seed gives the same frames and labels.
        frames: Frames per clip.
        fps: Frames per second.
        size: Side of the square picture in pixels.
        sound: With a voice that follows the mouth.
        noise: Of the sound: its standard deviation, of full scale; the voice has about 0.2 with an open mouth.
        workers: Processes to draw with.
        picture: Also write one picture (PNG or JPEG) of five subjects with the seven expressions.
    """
    from rich.progress import Progress

    from mien.corpora.synthetic import SynthConfig, draw_picture, write_clips
    from mien.errors import require

    config = SynthConfig(clips, subjects, seed, frames, fps, size, sound, noise)
    config.check()
    kinds = (".png", ".jpg", ".jpeg")
    require(
        picture is None or picture.suffix.lower() in kinds,
        f"--picture {picture}: give a name that ends in .png or .jpg",
    )
    with Progress(transient=True) as bar:
        task = bar.add_task("drawing", total=clips)
        labels = write_clips(out, config, workers, lambda: bar.advance(task))
    print(f"{clips} clips of {subjects} drawn people in {out / 'clips'}, labels in {labels}")
    if picture is not None:
        draw_picture(picture, config)
        print(f"picture in {picture}")
    return 0


def main(argv: list[str]) -> int:
    """Runs ``mien synth`` with the arguments after the verb; returns the exit code."""
    return tyro.cli(synth, args=argv, prog="mien synth")
