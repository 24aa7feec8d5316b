"""A video to the movements of its faces: a timeline, events, a record and a page, in constant memory, without any model of
ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pyarrow.parquet as pq

from mien.data.video import VideoError, probe
from mien.faces.mesh import landmarker_file
from mien.faces.movements import MovementReader, MovementStream
from mien.faces.options import PrepareConfig, contract_for
from mien.options.shared import usable_cores
from mien.timeline.annotate import annotate, note_boxes
from mien.timeline.events import write_events
from mien.timeline.motion import stretches
from mien.timeline.movements import QUALITY, Movements, MovementsWriter, columns_of, keep, values_at, values_of
from mien.timeline.options import PredictConfig, Progress
from mien.timeline.record import write_record
from mien.timeline.report import write_report
from mien.timeline.result import Folder, Timeline, all_or_nothing
from mien.timeline.run import Run
from mien.timeline.table import TimelineWriter, columns, schema_of
from mien.timeline.tracks import TrackSummary

LOOK_S, GAP_S = 0.3, 0.7
"""Seconds between two looks of the detector, and for which a face may be missed by it: once. The mesh follows the faces in
between, and says itself where there is none."""
SHORTEST_STEP_S = 0.01
PICTURES = (
    "a folder of images is read as one video of 25 frames a second: of separate photographs, events, smoothing and the "
    "neutral face mean nothing, and movements.parquet has the raw numbers"
)


def predict_movements(
    video: Path | str,
    out: Path | str | None = None,
    config: PredictConfig | None = None,
    progress: Progress | None = None,
) -> Timeline:
    """Writes ``timeline.csv``, ``timeline.parquet``, ``movements.parquet``, ``events.csv``, ``predictions.json``,
    ``report.html`` and, where the configuration asks for it, ``annotated.mp4`` to `out`, as `predict_video` does.

    Raises:
        UserError: settings that cannot work; the landmarker's file is not here.
    """
    started, config, path = time.monotonic(), config or PredictConfig(), Path(video)
    # With boxes of a file: kind "box" takes them with points and without.
    kind = "none" if config.crop == "none" else "box" if config.boxes is not None else "face"
    contract = contract_for(kind, boxes=config.boxes is not None)
    movements = Movements(config.neutral, config.thresholds)
    folder, reader = Folder(out), MovementReader(landmarker_file(), usable_cores())
    search = PrepareConfig(contract, boxes=config.boxes, every_s=LOOK_S, gap_s=GAP_S)
    table = columns({}, config.step_s or 0.0, extra=columns_of(movements, alone=True), quality=QUALITY)
    try:
        info = probe(path)
        stream = MovementStream(path, search, reader)
        first = list(islice(stream, 1))
    except VideoError as error:
        reader.close()
        return Timeline(path, error.status, error.reason, schema_of(table), {}, folder)
    step_s = max(SHORTEST_STEP_S, 1 / info.fps) if config.step_s is None else config.step_s
    run = Run(info, {}, {}, replace(config, step_s=step_s), contract, table, movements=movements)
    if path.is_dir():
        run.warnings.append(PICTURES)
    with all_or_nothing(folder.path) as unfinished, TemporaryFile() as boxes:
        try:
            _read(run, chain(first, stream), boxes, unfinished, progress)
        finally:
            stream.close()
        if stream.problem:
            run.warnings.append(f"the video is damaged: {stream.problem}")
        finish(run, unfinished)
        with TimelineWriter(unfinished, run.columns) as writer:
            for row in _rows(movements, config.step_s):
                writer.add(row)
                run.tracks.setdefault(row["track"], TrackSummary(row["track"], {})).add(row["time_s"], row, {})
        run.num_rows = writer.num_rows
        if run.why_no_rows:
            run.warnings.append(run.why_no_rows)
        if config.annotate and run.num_rows:
            annotate(run, boxes, unfinished, progress)
        run.wall_s = time.monotonic() - started
        record = write_record(run, unfinished)
        write_report(run, record, unfinished)
    return Timeline(path, "ok" if run.num_rows else "no_face", run.why_no_rows, schema_of(table), record, folder)


def finish(run: Run, out: Path) -> None:
    """What is known once all of the video is read: neutral faces, and events."""
    assert run.movements is not None
    run.movements.finish(out)
    run.warnings += run.movements.warnings
    write_events(run.movements.events, out / "events.csv")


def with_movements(run: Run, out: Path) -> None:
    """Adds the movements to the rows of a timeline that models wrote."""
    assert run.movements is not None
    finish(run, out)
    rows = pq.ParquetFile(out / "timeline.parquet").read().to_pylist()
    empty = {c.name: np.nan for c in run.columns if c.kind == "number"}
    with TimelineWriter(out, run.columns) as writer:
        for row in rows:
            known = {k: v for k, v in row.items() if v is not None}
            writer.add(empty | known | values_at(run.movements, row["track"], row["time_s"], run.config.rows_s))


def _read(run: Run, stream: Any, boxes: IO[bytes], out: Path, progress: Progress | None) -> None:
    assert run.movements is not None
    with MovementsWriter(out, run.config.points) as writer:
        for frame, faces in stream:
            keep(frame.size, faces, writer, run.movements)
            note_boxes(faces, boxes)
            run.num_frames += 1
            if progress is not None:
                progress(run.num_frames)


def _rows(movements: Movements, step_s: float | None) -> Iterator[dict[str, Any]]:
    """In order of (time, track): every frame of every track, or its frames nearest to the multiples of the step."""
    places = [
        (time_s, track.track, k)
        for track in movements.tracks.values()
        for time_s, k in (enumerate_frames(track.time_s) if step_s is None else at_steps(track.time_s, step_s))
    ]
    for time_s, number, k in sorted(places):
        track = movements.tracks[number]
        row = values_of(movements, track, k) | {"time_s": time_s, "track": number}
        row["quality"] = row.pop("movement_quality")
        yield row | {name: float(track.table[name][k].as_py()) for name in FACE}


FACE = ("x0", "y0", "x1", "y1", "score", "face_px", "sharpness", "yaw")


def enumerate_frames(time_s: np.ndarray) -> Iterator[tuple[float, int]]:
    return ((float(t), k) for k, t in enumerate(time_s))


def at_steps(time_s: np.ndarray, step_s: float) -> Iterator[tuple[float, int]]:
    """(multiple of the step, frame nearest to it), within the stretches of a track; one in the middle of a stretch that
    holds none."""
    for begin, end in stretches(time_s, np.ones(len(time_s), bool)):
        part = time_s[begin:end]
        grid = np.arange(np.ceil(part[0] / step_s - 1e-6), np.floor(part[-1] / step_s + 1e-6) + 1) * step_s
        for t in grid if len(grid) else [(part[0] + part[-1]) / 2]:
            yield round(float(t), 6) + 0.0, begin + int(np.abs(part - t).argmin())
