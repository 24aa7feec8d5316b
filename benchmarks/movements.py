"""How many frames a second `mien predict VIDEO` reads the movements of, everything included but the start-up.

    python benchmarks/movements.py [--video FILE] [--faces 1] [--seconds 20] [--repeats 3]

Without --video the input is 720p at 30 frames a second, drawn by code (a scene of so many people, played forwards and
backwards). Prints frames per second and memory, against the same video only decoded and turned into RGB in the same run,
and the shares of the work.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from mien.corpora.synthetic import Placed, draw_scene
from mien.data.video import read_frames
from mien.faces import detect, mesh
from mien.timeline import movements, moving
from mien.timeline.moving import predict_movements
from mien.verbs.command import script

WIDTH, HEIGHT, FPS = 1280, 720, 30
GOALS = {1: 100.0, 4: 40.0}
# What is timed, in whichever thread it runs: (module, class or None, function) -> name in the table.
WATCHED = (
    (mesh.MeshFinder, "points", "landmarks"),
    (mesh.MeshFinder, "coefficients", "coefficients"),
    (detect.CenterFace, "detect", "detector"),
    (movements.MovementsWriter, "add", "write movements"),
    (moving.TimelineWriter, "add", "write timeline"),
)


@dataclass(frozen=True)
class Options:
    """Speed of reading movements."""

    video: Path | None = None
    """Video to read instead of a drawn one."""
    faces: int = 1
    """People in the drawn one."""
    seconds: int = 20
    """Length of the drawn one."""
    repeats: int = 3
    """Times that it is read; the fastest counts."""


def main(options: Options) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        video = options.video or drawn(folder / "drawn.mp4", options.faces, options.seconds)
        plain = min(decoded(video) for _ in range(options.repeats))
        spent, found = watch(), []
        for k in range(options.repeats):
            spent.clear()
            begin = time.perf_counter()
            line = predict_movements(video, folder / f"out{k}")
            found.append((time.perf_counter() - begin, dict(spent), line.record))
        wall, shares, record = min(found, key=lambda run: run[0])
        frames, rows = record["provenance"]["frames"], record["rows"]
        goal = GOALS.get(options.faces) if options.video is None else None
        print(f"{frames} frames, {rows} faces: {frames / wall:.0f} frames/s" + (f" (goal {goal:.0f})" if goal else ""))
        print(
            f"only decoded and turned into RGB: {frames / plain:.0f} frames/s; movements cost {wall / plain:.2f} times that"
        )
        print(f"memory of mien predict: {memory(video, folder / 'child'):.0f} MB at most")
        for name, seconds in sorted(shares.items(), key=lambda pair: -pair[1]):
            print(
                f"{name:16} {1000 * seconds / frames:6.2f} ms a frame, {100 * seconds / wall:5.1f} % of the wall time"
            )
    finally:
        shutil.rmtree(folder)


def drawn(path: Path, faces: int, seconds: int) -> Path:
    """People beside each other who are drawn for three seconds, forwards and backwards."""
    place = [(WIDTH * (k + 0.5) / faces, HEIGHT / 2) for k in range(faces)]
    subjects = (1, 3, 4, 5, 6, 7)
    frames = draw_scene(
        [Placed(subjects[k], place[k], 260.0, index=k) for k in range(faces)], 3 * FPS, FPS, WIDTH, HEIGHT
    ).frames
    order = np.concatenate([np.arange(len(frames)), np.arange(len(frames))[::-1]])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for k in range(seconds * FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frames[order[k % len(order)]], format="rgb24")))
        container.mux(stream.encode(None))
    return path


def decoded(video: Path) -> float:
    begin = time.perf_counter()
    for frame in read_frames(video):
        _ = frame.image
    return time.perf_counter() - begin


def memory(video: Path, out: Path) -> float:
    """Megabytes that the command takes at most, as its own process says: what the system says of a child includes this one's."""
    code = "import sys; from mien.verbs.main import run; run(sys.argv[1:]); print(open('/proc/self/status').read())"
    words = [sys.executable, "-c", code, "predict", str(video), "--out", str(out)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return int(re.search(r"VmHWM:\s+(\d+)", said)[1]) / 1024  # type: ignore[index]


def watch() -> dict[str, float]:
    """Seconds by name, from now on; threads may add to the same one."""
    spent: dict[str, float] = {}
    for owner, function, name in WATCHED:
        setattr(owner, function, _timed(getattr(owner, function), spent, name))
    return spent


def _timed(call, spent: dict[str, float], name: str):
    def timed(*args, **kwargs):
        begin = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - begin

    return timed


if __name__ == "__main__":
    script(Options, main)
