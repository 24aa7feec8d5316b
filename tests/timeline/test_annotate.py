"""`annotated.mp4`: `pytest tests/timeline/test_annotate.py`."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryFile

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.timeline import PredictConfig, predict_video
from mien.timeline.annotate import NearestRows, noted, noting
from tests.timeline.helpers import BOXED, classifier, every, face, loaded, write_boxes, write_video


def test_every_frame_is_there_at_its_time_with_its_box(tmp_path: Path):
    times = [*every(0.1, 6), *(0.55 + 0.05 * k for k in range(8))]
    video = write_video(tmp_path / "v.mp4", times, size=96)
    # the face jumps from the left to the right between two rows: the box is the frame's own, not one in between
    marks = [(t, 0, (5, 20, 35, 60) if t < 0.3 else (55, 20, 85, 60)) for t in times]
    boxes = write_boxes(tmp_path / "boxes.csv", "v.mp4", marks)
    config, seen = PredictConfig(boxes=str(boxes), annotate=True), []
    model = classifier(contract=BOXED, training_data="drawn")
    predict_video(video, {"m": loaded(model)}, tmp_path / "o", config, progress=seen.append)
    assert seen == list(range(1, 2 * len(times) + 1))
    with av.open(str(tmp_path / "o" / "annotated.mp4")) as container:
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    np.testing.assert_allclose([t for t, _ in frames], times, atol=2e-3)
    scale = 640 / 96
    for time_s, image in frames:
        assert image.shape[1] == 640
        assert image.shape[0] > 640  # the caption stands below the picture
        left, right = (off_line(image[round(50 * scale)], round(x * scale)) for x in (5, 85))
        near, far = (left, right) if time_s is not None and time_s < 0.29 else (right, left)
        assert near < 40 < far


def off_line(row: np.ndarray, x: int) -> int:
    """How far pixels around `x` are from the first class's colour (boxes are smoothed a little, hence not those at `x` alone)."""
    return int(np.abs(row[x - 12 : x + 13].astype(int) - (0x44, 0x77, 0xAA)).max(1).min())


def test_the_nearest_row_of_each_track():
    rows = [{"time_s": 0.25 * k, "track": t, "x": 10 * k + t} for k in range(2000) for t in (0, 1)]
    near = NearestRows(pa.Table.from_pylist(rows), 0.25)
    for k in range(1, 1999):
        assert {t: r["x"] for t, r in near.at(0.25 * k + 0.1).items()} == {0: 10 * k, 1: 10 * k + 1}
    assert near.at(1000.0) == {}


def test_boxes_come_back_frame_by_frame():
    frames = [[face(0.0, 3, frame_idx=0), face(0.0, 4, frame_idx=0)], [], [face(0.2, 3, frame_idx=2)]]
    with TemporaryFile() as log:
        assert list(noting(frames, log)) == frames
        box = (10.0, 10.0, 110.0, 90.0)
        assert list(noted(log)) == [(0, [(3, box), (4, box)]), (2, [(3, box)])]


def test_a_box_has_the_colour_of_its_class_in_the_report(tmp_path: Path):
    times, checked = every(0.05, 41), 0
    video = write_video(tmp_path / "v.mp4", times, size=96)
    boxes = write_boxes(tmp_path / "boxes.csv", "v.mp4", [(t, 0, (25, 20, 75, 80)) for t in times])
    config = PredictConfig(boxes=str(boxes), annotate=True)
    predict_video(video, {"m": loaded(classifier(contract=BOXED, seed=3))}, tmp_path / "o", config)
    page = (tmp_path / "o" / "report.html").read_text()
    colors = {n: c for c, n in re.findall(r'<li><i style="--c:(#[0-9a-f]{6})"></i>(open|closed)</li>', page)}
    assert len(set(colors.values())) == 2
    rows = {r["time_s"]: r["label"] for r in pq.read_table(tmp_path / "o" / "timeline.parquet").to_pylist()}
    with av.open(str(tmp_path / "o" / "annotated.mp4")) as container:
        for frame in container.decode(video=0):
            label = rows.get(round(frame.time or 0.0, 3))
            if label is not None:
                line = frame.to_ndarray(format="rgb24")[round(50 * 640 / 96), round(25 * 640 / 96) - 2 :][:6]
                wanted = [int(colors[label][k : k + 2], 16) for k in (1, 3, 5)]
                assert np.abs(line.astype(int) - wanted).max(axis=1).min() < 40
                checked += 1
    assert checked == 9
