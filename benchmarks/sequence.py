"""Is a 10-minute video predicted faster than real time, with flat memory? By the full front end, for every frame.

    python benchmarks/sequence.py [--video FILE] [--minutes 10] [--threads 2] [--width 64]

Without --video the input is drawn by code (a scene of the procedural faces, played forwards and backwards, 720p, 25 frames per
second). Everything is counted that `mien predict` does: decoding, detection, tracking, crops, model, timeline, report. The
weights are random: speed and memory do not depend on them. Memory is the process's resident set, sampled twice a second.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch

from mien.contract import Store
from mien.corpora.synthetic import Placed, draw_scene
from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.faces.options import contract_for
from mien.models import Model, Provenance
from mien.tasks.sequence import SequenceConfig
from mien.timeline import PredictConfig, predict_video
from mien.transforms.clip import ClipSpec
from mien.verbs.command import script

WIDTH, HEIGHT, FPS = 1280, 720, 25
SIZE = 96


@dataclass(frozen=True)
class Benchmark:
    """Speed and memory of predicting a long video."""

    video: Path | None = None
    """A video to use instead; it is repeated until --minutes are full."""
    minutes: float = 10.0
    """Length of the video."""
    threads: int = 2
    """Of the processor."""
    width: int = 64
    """Of the front end; 64 is the published one."""


class Memory(threading.Thread):
    """Resident megabytes over time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, float]] = []
        self.began = time.perf_counter()
        self._stop_now = threading.Event()

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE") / 2**20
        while not self._stop_now.wait(0.5):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.samples.append((time.perf_counter() - self.began, pages * page))

    def stop(self) -> None:
        self._stop_now.set()
        self.join()


def frames_of(video: Path | None) -> tuple[list[np.ndarray], float]:
    """RGB frames that are repeated, and their rate."""
    if video is None:
        scene = draw_scene([Placed(0, (640, 340), 260, travel=(120, 20))], 100, FPS, WIDTH, HEIGHT).frames
        return [*scene, *scene[::-1]], FPS
    with av.open(str(video)) as container:
        rate = float(container.streams.video[0].average_rate or FPS)
        return [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(250), strict=False)], rate


def write_long(path: Path, config: Benchmark) -> float:
    """A video of the wanted length; returns its seconds."""
    frames, rate = frames_of(config.video)
    count = round(config.minutes * 60 * rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=round(rate), options={"preset": "ultrafast", "crf": "23"})
        stream.height, stream.width = (n // 2 * 2 for n in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for t in range(count):
            image = np.ascontiguousarray(frames[t % len(frames)][: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return count / round(rate)


def model_of(config: Benchmark) -> Model:
    clip = ClipSpec(200, 1, 1 / FPS, SIZE, (0.421,), (0.165,))
    targets = ("arousal", "valence")
    contract = contract_for("face", store=Store(size=SIZE, color=False))
    spec = LabelSpec(targets, "dimensional", "frame", targets, (-1.0, 1.0), clip, views=1, contract=contract)
    torch.manual_seed(0)
    task = SequenceConfig(spec, LipReadingConfig(width=config.width))
    return Model(task.build().eval(), task, Provenance(), Path("va"), "random")


def main(config: Benchmark) -> None:
    torch.set_num_threads(config.threads)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "long.mp4"
        length = write_long(video, config)
        model, memory = model_of(config), Memory()
        memory.start()
        began, cpu = time.perf_counter(), time.process_time()
        line = predict_video(video, {"va": model}, Path(folder) / "out", PredictConfig(device="cpu"))
        wall, cpu, rows = time.perf_counter() - began, time.process_time() - cpu, line.record["rows"]
        memory.stop()
    print(f"  {length:.0f} s of video, {rows} rows: {wall:.0f} s -> {length / wall:.2f} x real time")
    print(
        f"  {cpu:.0f} s of processor time: {config.threads * length / cpu:.2f} x with {config.threads} cores of one's own"
    )
    times, sizes = np.array(memory.samples).T
    thirds = [sizes[(times >= k * wall / 3) & (times < (k + 1) * wall / 3)].max(initial=0) for k in range(3)]
    print(f"  memory at most {sizes.max():.0f} MB; in each third {', '.join(f'{t:.0f}' for t in thirds)} MB")


if __name__ == "__main__":
    script(Benchmark, main)
