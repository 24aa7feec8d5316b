"""A video and one or several models to a timeline, a JSON record and a page, in constant memory.

faces of each frame -> windows per track -> batches -> every model -> rows in order of time -> files; `annotated.mp4` is
made by a second pass over the video.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from mien.data.frame import Frame
from mien.data.labels import LabelSpec, refuse_personality
from mien.data.notes import PERSONALITY_NOTE
from mien.data.video import VideoError, probe
from mien.errors import UserError, require
from mien.faces.faces import FaceSample
from mien.faces.mesh import landmarker_file
from mien.faces.movements import MovementReader
from mien.models import Model
from mien.tasks.sequence import CHUNK
from mien.timeline.annotate import annotate, noting
from mien.timeline.contract import shared_contract
from mien.timeline.forward import BatchRunner
from mien.timeline.frames import CropStream
from mien.timeline.movements import Movements, MovementsWriter, columns_of, keep
from mien.timeline.moving import with_movements
from mien.timeline.options import STEP_S, PredictConfig, Progress
from mien.timeline.record import write_record
from mien.timeline.report import write_report
from mien.timeline.result import Folder, Timeline, all_or_nothing
from mien.timeline.run import DRAWN_BANNER, Run
from mien.timeline.scores import Known, Scored, score_stream
from mien.timeline.sequences import step_of
from mien.timeline.smooth import smoothed
from mien.timeline.table import TimelineWriter, columns, model_columns, quality_of, schema_of
from mien.timeline.tracks import TrackSummary, forget_pictures, to_jpeg
from mien.timeline.windows import Windower
from mien.train.distributed import pick_device


def predict_video(
    video: Path | str,
    models: Mapping[str, Model],
    out: Path | str | None = None,
    config: PredictConfig | None = None,
    progress: Progress | None = None,
) -> Timeline:
    """Writes ``timeline.csv``, ``timeline.parquet``, ``predictions.json``, ``report.html`` and, where the configuration asks for
    it, ``annotated.mp4`` to `out`, or to a temporary folder that goes with the timeline.

    Files of an earlier video are replaced together, at the end; what is interrupted leaves them as they were.

    A video without a face gives the files with no rows, and one that cannot be read gives no files; the status says which.

    Args:
        models: classifiers and regressors by the name that their columns carry.
        progress: called with the number of frames read; those of the second pass go on from the first.

    Raises:
        UserError: settings or models that cannot work, whatever the video.
    """
    started, config, path = time.monotonic(), config or PredictConfig(), Path(video)
    specs = specs_of(models, config.allow_personality)
    contract, notes = shared_contract(specs, config.source, config.allow_contract_mismatch)
    runner = BatchRunner(models, pick_device(config.device))
    delays = {name: r.model.config.delay_s for name, r in runner.sequences.items()}
    if config.step_s is None:
        config = replace(config, step_s=step_of(specs, set(delays), STEP_S))
    movements = Movements(config.neutral, config.thresholds) if config.movements else None
    reader = MovementReader(landmarker_file()) if movements else None
    extra = columns_of(movements) if movements else ()
    table = columns(specs, config.rows_s, config.smooth_s, delays, extra)
    folder = Folder(out)
    try:
        hashes = {name: model.hash for name, model in models.items()}
        warnings = warnings_of(specs) + notes
        run = Run(
            probe(path), specs, hashes, config, contract, table, warnings=warnings, movements=movements, delays=delays
        )
        stream = CropStream(
            path, contract, config.boxes, progress, bool(runner.moves)
        )  # fails here, before anything is written
    except VideoError as error:
        return Timeline(path, error.status, error.reason, schema_of(table), {}, folder)
    with all_or_nothing(folder.path) as unfinished, TemporaryFile() as boxes:
        _write_timeline(run, stream, boxes, runner, unfinished, reader)
        if config.annotate and run.num_rows:
            annotate(run, boxes, unfinished, progress)
        run.wall_s = time.monotonic() - started
        record = write_record(run, unfinished)
        write_report(run, record, unfinished)
    return Timeline(path, "ok" if run.num_rows else "no_face", run.why_no_rows, schema_of(table), record, folder)


def specs_of(models: Mapping[str, Model], allow_personality: bool) -> dict[str, LabelSpec]:
    """What the models' outputs mean.

    Raises:
        UserError: no model, one that has nothing to predict, or one of traits that nobody has asked for by name.
    """
    require(bool(models), "received no model; give at least one (--model FOLDER)")
    specs = {}
    for name, model in models.items():
        if model.spec is None:
            raise UserError(
                f"{name} is a pre-training model: it has no classes to predict; fine-tune it first (mien finetune)"
            )
        refuse_personality(f"{name} predicts", model.spec, allow_personality)
        specs[name] = model.spec
    return specs


def warnings_of(specs: Mapping[str, LabelSpec]) -> list[str]:
    """What must be said wherever the numbers of these models are shown."""
    drawn = [f"{n} was {DRAWN_BANNER}" for n, s in specs.items() if s.training_data == "drawn"]
    return drawn + [f"{n}: {PERSONALITY_NOTE}" for n, s in specs.items() if s.kind == "traits"]


def _write_timeline(
    run: Run, stream: CropStream, boxes: IO[bytes], runner: BatchRunner, out: Path, reader: MovementReader | None
) -> None:
    """The first pass; notes the boxes of every frame for the second."""
    windower, config = Windower(runner.shapes, run.config.rows_s), run.config
    moving = {c.name for c in columns_of(run.movements)} if run.movements else set()
    of_models = [c for c in run.columns if c.name not in moving]
    with ExitStack() as open_, stream, TimelineWriter(out, of_models) as writer:
        if reader is not None:
            stream.also = _moving(run, reader, open_.enter_context(MovementsWriter(out, config.points)))
        at_once = max(config.batch_size, CHUNK) if run.delays else config.batch_size
        rows = Known(score_stream(noting(stream, boxes), windower, runner, at_once))
        kept = iter(rows)
        for scored in smoothed(kept, config.smooth_s) if config.smooth_s else kept:
            row = row_of(scored, run)
            writer.add(row)
            number = scored.moment.track
            if number not in run.tracks:
                forget_pictures(run.tracks.values(), scored.moment.time_s)
                run.tracks[number] = TrackSummary(number, run.models)
            picture = partial(to_jpeg, scored.moment.centre.crop)
            run.tracks[number].add(scored.moment.time_s, row, scored.values, picture)
    run.num_rows, run.num_frames = writer.num_rows, stream.num_frames
    if reader is not None:
        with_movements(run, out)
    if stream.problem:
        run.warnings.append(f"the video is damaged: {stream.problem}")
    if rows.left_out:
        hidden = "have no row: their face was seen on fewer than a third of the window's frames"
        run.warnings.append(f"{rows.left_out} moments {hidden}")
    if run.why_no_rows:
        run.warnings.append(run.why_no_rows)


def _moving(run: Run, reader: MovementReader, writer: MovementsWriter) -> Callable[[Frame, list[FaceSample]], None]:
    """Reads the movements of each frame's faces beside the models."""

    def look(frame: Frame, faces: list[FaceSample]) -> None:
        assert run.movements is not None
        keep(frame.size, reader.read(frame, faces), writer, run.movements)

    return look


def row_of(scored: Scored, run: Run) -> dict[str, Any]:
    """The columns of one row by name."""
    moment, face = scored.moment, scored.moment.centre
    row: dict[str, Any] = {"time_s": moment.time_s, "track": moment.track}
    for (name, names), seen in zip(model_columns(run.models).items(), moment.seen, strict=True):
        values = scored.values[name]
        row |= dict(zip(names.values, values.tolist(), strict=True)) | {names.seen: seen}
        if names.top is not None:
            row |= zip(names.top, (run.models[name].names[values.argmax()], float(values.max())), strict=True)
    row |= dict(zip(("x0", "y0", "x1", "y1"), (float(v) for v in face.box), strict=True))
    row |= {"score": float(face.score), "face_px": face.face_px}
    row |= {"sharpness": float(face.sharpness), "yaw": float(face.yaw), "quality": quality_of(moment)}
    return row
