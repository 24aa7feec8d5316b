"""Clips per second and core that reach the training process, beside a plain PyAV-on-mp4 loader.

    python benchmarks/loader.py [VIDEOS | SHARDS] [--clips 80] [--workers 2] [--batches 16]

Without VIDEOS it draws its own. Every loader delivers uint8 batches [32, 16, 160, 160, 3] to this process; clips/s/core is
clips per second of CPU time of all processes together. Two baselines, both a torch DataLoader with as many worker
processes and its default collation, each clip a seek, decoding and resizing to 160 with PyAV:

- `mp4`: the videos as they are (of SHARDS: needs the videos where they were prepared from);
- `crops.mp4`: the prepared crops as 160-pixel H.264 files, so that both loaders read the same pictures.

The augmentation is timed apart, on this device, with its share of a training step (augmentation, forward, backward).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

import mien
from mien.data import sampling
from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.loader import ClipLoader, prepare_batch
from mien.data.shards import Shards
from mien.data.view import View
from mien.options import Arg
from mien.recipes.masked import svfap_base, svfap_micro
from mien.rng import generator
from mien.tasks.classify import ClassifyConfig
from mien.transforms.clip import ClipAugment, ClipSpec
from mien.verbs.command import script

SIZE, BATCH = 160, 32
CLIP = ClipSpec(16, 4, size=SIZE)
PUBLISHED = ClipAugment("random_resized", flip=0.5, randaugment=True, erase=0.25)
VIEWS = {
    "pretrain": View(16, 4, "pretrain", CLIP.augmented(ClipAugment("multi_scale"))),
    "finetune": View(16, 4, "train", CLIP.augmented(PUBLISHED)),
}


@dataclass
class Mp4Clips(Dataset[torch.Tensor]):
    """The plain way: open, seek to the keyframe before the clip, decode up to its end, resize."""

    paths: list[str]
    view: View
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, item: int) -> torch.Tensor:
        rng = generator("mp4", item)
        with av.open(self.paths[int(rng.integers(len(self.paths)))]) as container:
            stream = container.streams.video[0]
            policy = sampling.pretrain_indices if self.view.policy == "pretrain" else sampling.train_indices
            wanted = policy(max(stream.frames, 1), self.view.num_frames, self.view.stride, rng)
            rate, base = stream.average_rate, stream.time_base
            assert rate is not None
            assert base is not None
            stream.thread_count = 1  # a worker is a core
            start = stream.start_time or 0
            container.seek(start + int(wanted[0] / rate / base), stream=stream)
            clip = np.empty((self.view.num_frames, SIZE, SIZE, 3), np.uint8)
            filled = 0
            for frame in container.decode(stream):
                position = round(((frame.pts or 0) - start) * base * rate)
                if position < wanted[min(filled, len(wanted) - 1)]:
                    continue
                picture = frame.reformat(SIZE, SIZE, "rgb24").to_ndarray()
                while filled < len(wanted) and wanted[filled] <= position:
                    clip[filled] = picture
                    filled += 1
                if filled == len(wanted):
                    break
            clip[filled:] = clip[filled - 1]
        return torch.from_numpy(clip)


def cpu_s() -> float:
    """CPU seconds of this process and of children that have ended."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def rate(batches: Iterable[Any]) -> tuple[float, float]:
    """Clips per second, and per second of CPU time of all processes: on a busy machine only the second means something.

    From the first request to the end of the last worker, start-up included.
    """
    start, cpu = time.perf_counter(), cpu_s()
    count = sum(BATCH for _ in batches)
    return count / (time.perf_counter() - start), count / (cpu_s() - cpu)


def ours(clips: ClipSet, view: View, workers: int, batches: int) -> Iterable[Any]:
    return ClipLoader(clips, {"clip": view}, BATCH, seed=0, workers=workers).batches(0, batches)


def plain(paths: list[str], view: View, workers: int, batches: int) -> Iterable[torch.Tensor]:
    return DataLoader(Mp4Clips(paths, view, batches * BATCH), BATCH, num_workers=workers)


def as_mp4(clips: ClipSet, folder: Path) -> list[str]:
    """The crops as H.264 files of libx264's default quality."""
    folder.mkdir()
    frame = np.empty((1, clips.height, clips.width, 3), np.uint8)
    for index in range(len(clips)):
        clip = clips[index]
        with av.open(str(folder / f"{index:05d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = clips.width, clips.height, "yuv420p"
            for k in range(len(clip)):
                clips.read(index, clip, np.array([k]), frame, strict=True)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame[0], "rgb24")))
            container.mux(stream.encode())
    return sorted(str(p) for p in folder.iterdir())


def prepared(videos: Path | None, work: Path, count: int) -> tuple[ClipSet, list[str]]:
    """Face crops, and the videos they come from."""
    if videos is not None and (videos / "manifest.parquet").is_file():
        folder = Shards(videos)
    else:
        if videos is None:
            labels: Path = mien.synth(out=work / "synth", clips=count, subjects=20)
            videos = labels.parent / "clips"
        files = sorted(p for p in videos.iterdir() if p.is_file())[:count]
        folder = mien.prepare(files, out=work / "shards")
    rows = folder.manifest.ok()
    rows = rows.take(range(min(len(rows), count)))
    sources = (Path(s) for s in dict.fromkeys(rows.column("source")))
    base = videos if videos.is_dir() else Path()
    found = [p for s in sources for p in (s, base / s, base / s.name) if p.is_file()]
    return ClipSet(folder, rows), list(dict.fromkeys(map(str, found)))


def cost_s(function: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds of one call: of CPU time on a CPU, by the clock on a GPU."""
    cuda = torch.cuda.is_available()
    clock = time.perf_counter if cuda else time.process_time
    times = []
    for _ in range(repeats + 1):
        start = clock()
        function()
        if cuda:
            torch.cuda.synchronize()
        times.append(clock() - start)
    return float(np.median(times[1:]))


def learners(device: str) -> dict[str, tuple[Any, dict[str, View], str | None]]:
    """Name to (model, views, name of its target), of a size that the device bears."""
    recipe = svfap_base() if device == "cuda" else svfap_micro()
    method = recipe.method.build()
    spec = LabelSpec(("a", "b", "c", "d"), clip=recipe.method.clip)
    classifier = ClassifyConfig(spec, recipe.method.encoder, augment=PUBLISHED).build()
    return {
        f"{recipe.name} pretrain": (method, method.views(), None),
        f"{recipe.name} finetune": (classifier, classifier.views(), "label"),
    }


def augmentation(clips: ClipSet, device: str) -> Table:
    table = Table("learner", "augmentation, ms/clip", "forward + backward, ms/clip", "share of a step")
    for name, (module, views, target) in learners(device).items():
        targets = {target: np.zeros(len(clips), np.int64)} if target else {}
        batch = next(ClipLoader(clips, views, BATCH, 0, targets=targets).batches())
        module = module.to(device)
        ready = prepare_batch(batch, views, device)
        augment = cost_s(lambda batch=batch, views=views: prepare_batch(batch, views, device)) / BATCH
        step = cost_s(lambda module=module, ready=ready: module(dict(ready))["loss"].backward(), 2) / BATCH
        share = augment / (augment + step)
        table.add_row(name, f"{augment * 1e3:.2f}", f"{step * 1e3:.1f}", f"{share:.1%}")
    return table


def comparison(clips: ClipSet, videos: list[str], crops: list[str], workers: int, batches: int) -> Table:
    table = Table("view", "loader", "clips/s", "clips/s/core", "ours is")
    for name, view in VIEWS.items():
        rate(ours(clips, view, workers, 2))
        clock, per_core = rate(ours(clips, view, workers, 4 * batches))
        table.add_row(name, "mien, shards", f"{clock:.0f}", f"{per_core:.0f}", "")
        for label, paths in (("mp4", videos), ("crops.mp4", crops)):
            if paths:
                clock, plain_core = rate(plain(paths, view, workers, batches))
                ratio = f"{per_core / plain_core:.1f} x PyAV, {label}"
                table.add_row(name, f"PyAV, {label}", f"{clock:.0f}", f"{plain_core:.0f}", ratio)
    return table


@dataclass(frozen=True)
class Options:
    """Clips per second and core that reach the training process, beside a plain PyAV-on-mp4 loader."""

    videos: Annotated[Path | None, Arg(positional=True)] = None
    """Folder of videos, or shards written by mien prepare; drawn by code if there is none."""
    clips: int = 80
    """How many to use."""
    workers: int = 2
    """Decoding threads of ours, worker processes of the baselines."""
    batches: int = 16
    """Batches of 32 clips read from each baseline; four times as many from ours."""


def main(options: Options) -> None:
    console, workers = Console(width=120), options.workers
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as work:
        clips, videos = prepared(options.videos, Path(work), options.clips)
        crops = as_mp4(clips, Path(work) / "crops")
        console.print(f"{len(clips)} clips of {clips.height} px, {len(videos)} videos, {workers} workers, {device}")
        console.print(comparison(clips, videos, crops, workers, options.batches))
        console.print(augmentation(clips, device))


if __name__ == "__main__":
    script(Options, main)
