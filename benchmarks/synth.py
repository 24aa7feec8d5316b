"""How fast `mien synth` draws: clips per minute, milliseconds per frame and core, and what drawing and encoding take.

    python benchmarks/synth.py [--clips 60] [--workers 2]

The goal is 180 clips of 64 frames a minute on two cores.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from mien.corpora.synthetic import SynthConfig, draw_clip, write_clips, write_video
from mien.verbs.command import script


def _one_core(config: SynthConfig, clips: int) -> tuple[float, float]:
    """Processor seconds per frame that drawing and encoding take."""
    drawing = encoding = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for i in range(clips):
            start = time.process_time()
            frames, _ = draw_clip(config, i, 0)
            middle = time.process_time()
            write_video(Path(folder) / "clip.mp4", frames, config.fps)
            drawing, encoding = drawing + middle - start, encoding + time.process_time() - middle
    return drawing / (clips * config.frames), encoding / (clips * config.frames)


@dataclass(frozen=True)
class Options:
    """Times the whole command's work, then drawing and encoding apart."""

    clips: int = 60
    """Clips of 64 frames to draw with all workers."""
    workers: int = 2
    """Processes."""
    size: int = 192
    """Side of the picture in pixels."""


def main(options: Options) -> None:
    clips, workers, size = options.clips, options.workers, options.size
    config = SynthConfig(clips=clips, size=size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_clips(folder, config, workers)
        wall = time.perf_counter() - start
    draw, encode = _one_core(replace(config, clips=1), 12)
    print(f"{clips} clips of {config.frames} frames, {size} px, {workers} workers: {wall:.1f} s")
    print(f"{60 * clips / wall:.0f} clips a minute, start of the workers included, beside whatever else is running")
    print(f"{2 * 60 / (config.frames * (draw + encode)):.0f} clips a minute of two cores' processor time")
    print(
        f"{1e3 * (draw + encode):.2f} ms of processor time a frame: drawing {1e3 * draw:.2f}, encoding {1e3 * encode:.2f}"
    )
    print(f"drawing takes {100 * draw / (draw + encode):.0f} %, encoding {100 * encode / (draw + encode):.0f} %")


if __name__ == "__main__":
    script(Options, main)
