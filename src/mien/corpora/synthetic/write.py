"""Writes drawn clips as ordinary mp4 files, with their labels beside them."""

from __future__ import annotations

import csv
import multiprocessing
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.synthetic.actor import AUS, TRAITS
from mien.corpora.synthetic.clip import ClipLabels, Frames, clip_labels, draw_clip
from mien.corpora.synthetic.options import SynthConfig
from mien.corpora.synthetic.voice import RATE, Samples, speak
from mien.errors import UserError
from mien.processes import apart_from_script
from mien.rng import generator

COMMENT = "mien synth"
"""How the container comment of every drawn file begins; readers take it as the mark of a drawn face."""
DRAWING = 2
"""Raised whenever the same seed draws something else, so that files of older code are drawn anew."""
COLUMNS: tuple[str, ...] = ("path", "label", "dynamics", "valence", "arousal", *TRAITS, "subject", "split")
_NAME = re.compile(r"s\d+_\d+\.mp4")


@dataclass(frozen=True)
class _Job:
    root: Path
    config: SynthConfig
    subject: int
    index: int

    @property
    def name(self) -> str:
        return f"s{self.subject:03d}_{self.index:03d}.mp4"

    @property
    def comment(self) -> str:
        c = self.config
        sound = f" noise={c.noise:g}" if c.sound else ""
        return (
            f"{COMMENT} drawing={DRAWING} seed={c.seed} subject={self.subject} index={self.index} frames={c.frames} "
            f"fps={c.fps} size={c.size}{sound}; the face is drawn by code: no real person"
        )


@dataclass(frozen=True)
class _Result:
    row: dict[str, Any]
    frames: pa.Table


def write_video(
    path: Path | str,
    frames: Frames,
    fps: int,
    comment: str = f"{COMMENT}: the face is drawn by code",
    sound: Samples | None = None,
) -> None:
    """Frames [T, H, W, 3] RGB with even sides as H.264 in mp4, under the final name only when complete.

    Args:
        sound: int16 [S] at 16 kHz from second 0 on, written as AAC.
    """
    path = Path(path)
    temporary = path.with_suffix(".part")
    with av.open(str(temporary), "w", format="mp4") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = (
            frames.shape[2],
            frames.shape[1],
            "yuv420p",
            1,
        )
        voice = None if sound is None else container.add_stream("aac", rate=RATE, layout="mono")
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
        if voice is not None and sound is not None:
            wave = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            wave.sample_rate, wave.pts = RATE, 0
            container.mux(voice.encode(wave))
            container.mux(voice.encode())
    temporary.replace(path)


def read_comment(path: Path) -> str:
    """The container comment, "" when there is none or the file cannot be read."""
    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment", "")
    except (av.error.FFmpegError, OSError):
        return ""


def splits(config: SynthConfig) -> dict[int, str]:
    """Which part each subject belongs to: 60 % train, 15 % val, 25 % test; with fewer than three subjects all train."""
    n = config.subjects
    num_test, num_val = (max(round(0.25 * n), 1), max(round(0.15 * n), 1)) if n >= 3 else (0, 0)
    order = generator("synth split", config.seed, n).permutation(n)
    names = ["test"] * num_test + ["val"] * num_val + ["train"] * (n - num_test - num_val)
    return {int(s): name for s, name in zip(order, names, strict=True)}


def _row(job: _Job, truth: ClipLabels) -> dict[str, Any]:
    row = {"path": f"clips/{job.name}", "label": truth.label, "dynamics": truth.dynamics}
    row |= {
        "valence": round(float(truth.motion.valence.mean()), 4),
        "arousal": round(float(truth.motion.arousal.mean()), 4),
    }
    row |= {name: round(value, 4) for name, value in zip(TRAITS, truth.actor.traits, strict=True)}
    return row | {"subject": f"s{job.subject:03d}"}


def _frame_table(job: _Job, truth: ClipLabels) -> pa.Table:
    motion = truth.motion
    columns: dict[str, Any] = {
        "path": [f"clips/{job.name}"] * len(motion),
        "frame_idx": np.arange(len(motion), dtype=np.int32),
        "time_s": np.arange(len(motion)) / job.config.fps,
    }
    numbers = {"intensity": motion.envelope, "valence": motion.valence, "arousal": motion.arousal}
    numbers |= {name: motion.aus[:, i] for i, name in enumerate(AUS)}
    numbers |= {"mouth": motion.mouth, "blink": motion.blink, "gaze_x": motion.gaze[:, 0], "gaze_y": motion.gaze[:, 1]}
    numbers |= {name: motion.pose[:, i] for i, name in enumerate(("yaw", "pitch", "roll"))}
    columns |= {name: values.astype(np.float32) for name, values in numbers.items()}
    columns["box"] = pa.FixedSizeListArray.from_arrays(pa.array(truth.boxes.astype(np.float32).ravel()), 4)
    columns["points"] = pa.FixedSizeListArray.from_arrays(pa.array(truth.points.astype(np.float32).ravel()), 10)
    return pa.table(columns)


def _sound(job: _Job, truth: ClipLabels) -> Samples | None:
    c = job.config
    return speak(truth.motion, c.fps, c.seed, job.subject, job.index, c.noise) if c.sound else None


def _write_one(job: _Job) -> _Result:
    path = job.root / "clips" / job.name
    if read_comment(path) == job.comment:
        truth = clip_labels(job.config, job.subject, job.index)
    else:
        frames, truth = draw_clip(job.config, job.subject, job.index)
        write_video(path, frames, job.config.fps, job.comment, _sound(job, truth))
    return _Result(_row(job, truth), _frame_table(job, truth))


def _ignore_interrupt() -> None:
    """Ctrl-C is the parent's to handle: a worker finishes its clip and is then stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _results(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[int, _Result]]:
    if workers == 1:
        yield from ((i, _write_one(job)) for i, job in enumerate(jobs))
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _ignore_interrupt)
    try:
        with apart_from_script():
            futures = {pool.submit(_write_one, job): i for i, job in enumerate(jobs)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _remove_strangers(root: Path, names: set[str]) -> None:
    """Drawn clips of an earlier, larger run would otherwise lie in the folder without labels."""
    for path in (root / "clips").glob("s*.mp4"):
        if path.name not in names and _NAME.fullmatch(path.name) and read_comment(path).startswith(COMMENT):
            path.unlink()


def _write_labels(root: Path, config: SynthConfig, results: Sequence[_Result]) -> None:
    parts = splits(config)
    temporary = root / "labels.tmp"
    with temporary.open("w", newline="") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(r.row | {"split": parts[int(r.row["subject"][1:])]} for r in results)
    pq.write_table(pa.concat_tables([r.frames for r in results]), root / "frames.tmp")
    (root / "frames.tmp").replace(root / "frames.parquet")
    temporary.replace(root / "labels.csv")


def write_clips(
    out: Path | str, config: SynthConfig | None = None, workers: int = 1, progress: Callable[[], None] | None = None
) -> Path:
    """Draws `config.clips` clips into ``out/clips``, with ``out/labels.csv`` and ``out/frames.parquet``.

    Clips that are already there and were drawn with the same seed and sizes are kept, others are replaced, and drawn
    clips beyond the number asked for are removed, so the folder always holds exactly what the config says.

    Args:
        workers: processes; the result does not depend on it.
        progress: called after every clip.

    Returns:
        The path of labels.csv.

    Raises:
        UserError: numbers that cannot be drawn, or `out` is not a folder.
    """
    config, root = config or SynthConfig(), Path(out)
    config.check()
    if not 1 <= workers <= 256:
        raise UserError(f"--workers {workers}: allowed are 1 to 256")
    try:
        (root / "clips").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot make a folder there ({error.strerror}); give another one") from error
    jobs = [_Job(root, config, i % config.subjects, i // config.subjects) for i in range(config.clips)]
    results: dict[int, _Result] = {}
    for i, result in _results(jobs, min(workers, len(jobs))):
        results[i] = result
        if progress is not None:
            progress()
    _remove_strangers(root, {job.name for job in jobs})
    _write_labels(root, config, [results[i] for i in range(len(jobs))])
    return root / "labels.csv"
