"""A video and one or several models to a timeline, a JSON record and a page, in constant memory.

faces of each frame -> windows per track -> batches -> every model -> rows in order of time -> files
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from mien.data.video import VideoError, probe
from mien.predict.config import DRAWN_BANNER, Outcome, PredictConfig, Run
from mien.predict.contract import shared_contract
from mien.predict.forward import BatchRunner, as_clip_model
from mien.predict.frames import CropStream, Progress
from mien.predict.record import write_record
from mien.predict.report import write_report
from mien.predict.timeline import TimelineWriter, columns, model_columns, quality_of
from mien.predict.tracks import TrackSummary
from mien.predict.windows import Moment, Windower
from mien.prepare.faces import FaceSample
from mien.train.distributed import pick_device
from mien.types import UserError


@dataclass(frozen=True)
class Scored:
    """A moment and the probabilities [K] of each model."""

    moment: Moment
    probabilities: dict[str, np.ndarray]

    @property
    def place(self) -> tuple[float, int]:
        return self.moment.time_s, self.moment.track

    def __lt__(self, other: Scored) -> bool:
        return self.place < other.place


def score_stream(
    frames: Iterable[list[FaceSample]], windower: Windower, runner: BatchRunner, batch_size: int
) -> Iterator[Scored]:
    """Rows in order of (time, track), each as soon as no earlier one can follow."""
    waiting: list[Moment] = []
    ready: list[Scored] = []
    for faces in frames:
        waiting += windower.push(faces)
        if len(waiting) >= batch_size:
            _score(waiting, ready, runner, batch_size)
            while ready and ready[0].moment.time_s < windower.floor_s:
                yield heapq.heappop(ready)
    waiting += windower.finish()
    _score(waiting, ready, runner, batch_size)
    yield from sorted(ready)


def _score(waiting: list[Moment], ready: list[Scored], runner: BatchRunner, batch_size: int) -> None:
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        for moment, probabilities in zip(batch, runner(batch), strict=True):
            heapq.heappush(ready, Scored(replace(moment, clips=()), probabilities))  # the frames are no longer needed
    waiting.clear()


def predict_video(
    video: Path | str,
    models: Mapping[str, nn.Module],
    out: Path | str,
    config: PredictConfig | None = None,
    hashes: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Writes ``timeline.csv``, ``timeline.parquet``, ``predictions.json`` and ``report.html`` to `out`.

    A video without a face gives the files with no rows, and one that cannot be read gives no files; the outcome says which.

    Args:
        models: classifiers by the name that their columns carry.
        hashes: of the weights by model name, for the record.

    Raises:
        UserError: settings or models that cannot work, whatever the video.
    """
    config, path, out = config or PredictConfig(), Path(video), Path(out)
    if not models:
        raise UserError("received no model; give at least one (--model FOLDER)")
    ready = {name: as_clip_model(name, model) for name, model in models.items()}
    specs = {name: model.spec for name, model in ready.items()}
    contract, notes = shared_contract(specs, config.source, config.allow_contract_mismatch)
    warnings = [f"{n} was {DRAWN_BANNER}" for n, s in specs.items() if s.training_data == "drawn"] + notes
    try:
        run = Run(
            probe(path), specs, dict(hashes or {}), config, contract, columns(specs, config.step_s), warnings=warnings
        )
        stream = CropStream(path, contract, config.boxes, progress)  # fails here, before anything is written
    except VideoError as error:
        return Outcome(path, out, "empty" if error.status == "empty" else "unreadable", error.reason)
    out.mkdir(parents=True, exist_ok=True)
    _write_timeline(run, stream, BatchRunner(ready, pick_device(config.device)), out)
    write_record(run, out)
    write_report(run, out)
    return Outcome(
        path,
        out,
        "ok" if run.num_rows else "no_face",
        "" if run.num_rows else run.why_no_rows(),
        len(run.tracks),
        run.num_rows,
        run.num_frames,
        run.wall_s,
        tuple(run.warnings),
    )


def _write_timeline(run: Run, stream: CropStream, runner: BatchRunner, out: Path) -> None:
    started = time.monotonic()
    windower = Windower(runner.shapes, run.config.step_s)
    labels = {name: spec.names for name, spec in run.models.items()}
    with stream, TimelineWriter(out, run.columns) as writer:
        for scored in score_stream(stream, windower, runner, run.config.batch_size):
            row = row_of(scored, run)
            writer.add(row)
            track = run.tracks.setdefault(scored.moment.track, TrackSummary(scored.moment.track, labels))
            track.add(scored.moment, row, scored.probabilities)
    run.num_rows, run.num_frames, run.wall_s = writer.num_rows, stream.num_frames, time.monotonic() - started
    if stream.problem:
        run.warnings.append(f"the video is damaged: {stream.problem}")
    if not run.num_rows:
        run.warnings.append(run.why_no_rows())


def row_of(scored: Scored, run: Run) -> dict[str, Any]:
    """The columns of one row by name."""
    moment, face = scored.moment, scored.moment.centre
    row: dict[str, Any] = {"time_s": moment.time_s, "track": moment.track}
    for (name, names), seen in zip(model_columns(run.models).items(), moment.seen, strict=True):
        values = scored.probabilities[name]
        row |= dict(zip(names.probabilities, values.tolist(), strict=True))
        top = int(values.argmax())
        row |= {names.label: run.models[name].names[top], names.confidence: float(values[top]), names.seen: seen}
    row |= dict(zip(("x0", "y0", "x1", "y1"), (float(v) for v in face.box), strict=True))
    row |= {"score": float(face.score), "face_px": face.face_px}
    row |= {"sharpness": float(face.sharpness), "yaw": float(face.yaw), "quality": quality_of(moment)}
    return row
