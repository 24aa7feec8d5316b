"""A video and one or several models to a timeline, a JSON record and a page, in constant memory.

faces of each frame -> windows per track -> batches -> every model -> rows in order of time -> files; `annotated.mp4` is
made by a second pass over the video.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from mien.data.labels import PERSONALITY_NOTE, LabelSpec
from mien.data.video import VideoError, probe
from mien.errors import UserError
from mien.faces.faces import FaceSample
from mien.tasks.sequence import CHUNK
from mien.timeline.annotate import BoxLog, annotate
from mien.timeline.contract import shared_contract
from mien.timeline.forward import BatchRunner, as_clip_model
from mien.timeline.frames import CropStream, Progress
from mien.timeline.options import STEP_S, PredictConfig
from mien.timeline.record import write_record
from mien.timeline.report import write_report
from mien.timeline.run import DRAWN_BANNER, Outcome, Run
from mien.timeline.scores import Scored, score_stream
from mien.timeline.sequences import step_of
from mien.timeline.smooth import smoothed
from mien.timeline.table import TimelineWriter, columns, model_columns, quality_of
from mien.timeline.tracks import TrackSummary, forget_pictures
from mien.timeline.windows import Windower
from mien.train.distributed import pick_device

FILES = ("timeline.csv", "timeline.parquet", "predictions.json", "report.html", "annotated.mp4")


def predict_video(
    video: Path | str,
    models: Mapping[str, nn.Module],
    out: Path | str,
    config: PredictConfig | None = None,
    hashes: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Writes ``timeline.csv``, ``timeline.parquet``, ``predictions.json``, ``report.html`` and, where the configuration asks for
    it, ``annotated.mp4`` to `out`.

    Files of an earlier video are replaced together, at the end; what is interrupted leaves them as they were.

    A video without a face gives the files with no rows, and one that cannot be read gives no files; the outcome says which.

    Args:
        models: classifiers and regressors by the name that their columns carry.
        hashes: of the weights by model name, for the record.
        progress: called with the number of frames read; those of the second pass go on from the first.

    Raises:
        UserError: settings or models that cannot work, whatever the video.
    """
    started, config, path, out = time.monotonic(), config or PredictConfig(), Path(video), Path(out)
    if not models:
        raise UserError("received no model; give at least one (--model FOLDER)")
    ready = {name: as_clip_model(name, model) for name, model in models.items()}
    specs = {name: model.spec for name, model in ready.items()}
    refuse_personality(specs, config.allow_personality)
    contract, notes = shared_contract(specs, config.source, config.allow_contract_mismatch)
    warnings = warnings_of(specs) + notes
    runner = BatchRunner(ready, pick_device(config.device))
    delays = {name: r.model.config.delay_s for name, r in runner.sequences.items()}
    if config.step_s is None:
        config = replace(config, step_s=step_of(specs, set(delays), STEP_S))
    table = columns(specs, config.rows_s, config.smooth_s, delays)
    try:
        run = Run(probe(path), specs, dict(hashes or {}), config, contract, table, warnings=warnings, delays=delays)
        stream = CropStream(path, contract, config.boxes, progress)  # fails here, before anything is written
    except VideoError as error:
        return Outcome(path, out, "empty" if error.status == "empty" else "unreadable", error.reason)
    with all_or_nothing(out) as unfinished, BoxLog(config.annotate) as boxes:
        _write_timeline(run, boxes.noting(stream), stream, runner, unfinished)
        write_report(run, write_record(run, unfinished), unfinished)
        if config.annotate and run.num_rows:
            annotate(run, boxes, unfinished, progress)
    return Outcome(
        path,
        out,
        "ok" if run.num_rows else "no_face",
        "" if run.num_rows else run.why_no_rows(),
        len(run.tracks),
        run.num_rows,
        run.num_frames,
        time.monotonic() - started,
        tuple(run.warnings),
    )


@contextmanager
def all_or_nothing(out: Path) -> Iterator[Path]:
    """A folder in `out`, whose files replace those of an earlier video in `out` once all are there; it is gone afterwards."""
    unfinished = out / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        for file in unfinished.iterdir():
            file.replace(out / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def refuse_personality(specs: Mapping[str, LabelSpec], allowed: bool) -> None:
    """Raises UserError for a model of traits that nobody has asked for by name."""
    for name, spec in specs.items():
        if spec.kind == "traits" and not allowed:
            raise UserError(
                f"{name} predicts {', '.join(spec.names)}: {PERSONALITY_NOTE}. To go on, add --allow-personality"
            )


def warnings_of(specs: Mapping[str, LabelSpec]) -> list[str]:
    """What must be said wherever the numbers of these models are shown."""
    drawn = [f"{n} was {DRAWN_BANNER}" for n, s in specs.items() if s.training_data == "drawn"]
    return drawn + [f"{n}: {PERSONALITY_NOTE}" for n, s in specs.items() if s.kind == "traits"]


def _write_timeline(
    run: Run, frames: Iterable[list[FaceSample]], stream: CropStream, runner: BatchRunner, out: Path
) -> None:
    """`frames` are those of `stream`."""
    started = time.monotonic()
    windower, config = Windower(runner.shapes, run.config.rows_s), run.config
    with stream, TimelineWriter(out, run.columns) as writer:
        at_once = max(config.batch_size, CHUNK) if run.delays else config.batch_size
        rows = score_stream(frames, windower, runner, at_once)
        for scored in smoothed(rows, config.smooth_s) if config.smooth_s else rows:
            row = row_of(scored, run)
            writer.add(row)
            number = scored.moment.track
            if number not in run.tracks:
                forget_pictures(run.tracks.values(), scored.moment.time_s)
                run.tracks[number] = TrackSummary(number, run.models)
            run.tracks[number].add(scored.moment, row, scored.values)
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
        values = scored.values[name]
        row |= dict(zip(names.values, values.tolist(), strict=True)) | {names.seen: seen}
        if names.label is not None and names.confidence is not None:
            top = int(values.argmax())
            row |= {names.label: run.models[name].names[top], names.confidence: float(values[top])}
    row |= dict(zip(("x0", "y0", "x1", "y1"), (float(v) for v in face.box), strict=True))
    row |= {"score": float(face.score), "face_px": face.face_px}
    row |= {"sharpness": float(face.sharpness), "yaw": float(face.yaw), "quality": quality_of(moment)}
    return row
