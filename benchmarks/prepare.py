"""How many times faster than real time `mien prepare` is on 720p at 30 frames per second with one face.

    python benchmarks/prepare.py [--video FILE] [--seconds 20] [--workers 2]

Without --video the input is drawn by code (a scene of the procedural faces, played forwards and backwards). Prints
seconds of video per second of wall time for one video and for one video per worker, and where the time goes.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from mien.corpora.synthetic import Placed, draw_scene
from mien.data.video import probe
from mien.faces.pipeline import prepare
from mien.verbs.command import script

WIDTH, HEIGHT, FPS = 1280, 720, 30
GOAL = 3.0
# Function in the profile -> what it is called in the table. None of them calls another.
STAGES = {
    ("video.py", "__next__"): "decode",
    ("faces.py", "_settle"): "waiting for the detector",
    ("frame.py", "luma"): "scene cuts",
    ("faces.py", "make_sample"): "to RGB, crop, measure",
    ("pack.py", "encode"): "JPEG",
    ("audio.py", "read_audio"): "sound",
    ("shards.py", "add"): "write",
}


@dataclass(frozen=True)
class Benchmark:
    """Speed of prepare."""

    video: Path | None = None
    """A real video to use instead."""
    seconds: float = 20.0
    """Length of the drawn video."""
    workers: int = 2
    """Processes."""


def draw_video(path: Path, seconds: float) -> None:
    """A person in front of a background, 720p, H.264 at a usual quality."""
    scene = draw_scene([Placed(0, (640, 340), 260, travel=(120, 20))], 90, FPS, WIDTH, HEIGHT).frames
    order = np.concatenate([np.arange(len(scene)), np.arange(len(scene))[::-1]])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(round(seconds * FPS)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene[order[t % len(order)]], format="rgb24")))
        container.mux(stream.encode())


def cpu_seconds() -> float:
    """Of this process and of those it started and buried."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def ratio(videos: list[Path], out: Path, workers: int) -> float:
    """Seconds of video per second, start of the processes included."""
    length = sum(probe(v).duration_s or 0 for v in videos)
    began, cpu = time.perf_counter(), cpu_seconds()
    prepare(videos, out, workers=workers)
    wall, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    speed = f"{length / wall:.1f} x real time, {length / cpu:.1f} x per core in use"
    print(f"  {len(videos)} video(s), {length:.0f} s in all: {wall:.1f} s -> {speed}")
    return length / wall


def breakdown(video: Path, out: Path) -> None:
    profile = cProfile.Profile()
    profile.runcall(prepare, [video], out, workers=0)
    stats = pstats.Stats(profile)
    total = stats.total_tt  # type: ignore[attr-defined]
    rows = stats.stats  # type: ignore[attr-defined]
    print(f"  one process: {total:.1f} s, of which")
    known = 0.0
    for (file, name), label in STAGES.items():
        spent = sum(v[3] for k, v in rows.items() if k[0].endswith("/" + file) and k[2] == name)
        known += spent
        print(f"    {label:24s} {100 * spent / total:5.1f} %")
    print(f"    {'the rest':24s} {100 * (1 - known / total):5.1f} %")


def main(config: Benchmark) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        video = config.video or root / "drawn.mp4"
        if config.video is None:
            draw_video(video, config.seconds)
        copies = [Path(shutil.copy(video, root / f"copy{k}{video.suffix}")) for k in range(config.workers)]
        one = ratio([video], root / "one", config.workers)
        many = ratio(copies, root / "many", config.workers)
        breakdown(video, root / "profile")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        verdict = "reached" if min(one, many) >= GOAL else "MISSED (is the machine busy? compare the per-core figure)"
        print(f"  memory at most {peak:.0f} MB in one process; goal {GOAL:g} x real time: {verdict}")


if __name__ == "__main__":
    script(Benchmark, main)
