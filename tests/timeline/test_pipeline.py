"""A drawn video through the whole of predict: `pytest tests/timeline/test_pipeline.py`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg
import torch

from mien.data.video import read_frames
from mien.errors import UserError
from mien.models import Model, Provenance
from mien.timeline import PredictConfig, Timeline, pipeline, predict_video
from tests.timeline.helpers import BOXED, READY, classifier, every, loaded, write_boxes, write_video

CROPS = PredictConfig(crop="none")


def rows_of(out: Path) -> list[dict[str, str]]:
    with open(out / "timeline.csv", newline="") as file:
        return list(csv.DictReader(file))


def record_of(out: Path) -> dict:
    return json.loads((out / "predictions.json").read_text())


def frames_of(line: Timeline) -> int:
    return line.record["provenance"]["frames"]


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Timeline, Path]:
    """Two seconds at 20 fps seen by two models, one of them trained on drawn faces, one on grey ones."""
    root = tmp_path_factory.mktemp("two")
    video = write_video(root / "a <b> & c.mp4", every(0.05, 41))
    models = {
        "m1": loaded(classifier(("open", "closed"), seed=1), "abcdef012345"),
        "m2": loaded(classifier(("x", "y", "z"), seed=2, training_data="drawn", color=False)),
    }
    out = root / "out"
    return predict_video(video, models, out, CROPS), out


def test_one_pass_gives_every_model_its_columns(two_models):
    line, out = two_models
    rows = rows_of(out)
    assert (line.status, line.table.num_rows, len(line.tracks), frames_of(line)) == ("ok", 9, 1, 41)
    assert [float(r["time_s"]) for r in rows] == [0.25 * k for k in range(9)]
    own = ["p_open", "p_closed", "label", "confidence", "seen"]
    other = ["p_x", "p_y", "p_z", "label", "confidence", "seen"]
    tail = ["x0", "y0", "x1", "y1", "score", "face_px", "sharpness", "yaw", "quality"]
    assert list(rows[0]) == ["time_s", "track", *(f"m1_{c}" for c in own), *(f"m2_{c}" for c in other), *tail]
    for row in rows:
        values = [float(row[f"m2_p_{c}"]) for c in "xyz"]
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert row["m2_label"] == "xyz"[int(np.argmax(values))]
        assert float(row["m2_confidence"]) == pytest.approx(max(values), abs=1e-4)
    assert len({row["m1_p_open"] for row in rows}) > 5


def test_parquet_holds_what_the_csv_shows(two_models):
    _, out = two_models
    table, rows = pq.read_table(out / "timeline.parquet"), rows_of(out)
    assert table.column_names == list(rows[0])
    for got, shown in zip(table.to_pylist(), rows, strict=True):
        assert {k: "" if v is None else str(v) for k, v in got.items()} == shown


def test_the_record_explains_itself(two_models):
    _, out = two_models
    record = record_of(out)
    assert record["banner"].startswith("trained only on drawn faces")
    assert [c["name"] for c in record["columns"]] == list(rows_of(out)[0])
    assert all(len(c["meaning"]) > 10 for c in record["columns"])
    assert record["models"]["m1"]["hash"] == "abcdef012345"
    assert record["models"]["m2"]["spec"]["names"] == ["x", "y", "z"]
    assert record["contract"]["hash"] == READY.geometry.hash
    assert len(record["video"]["sha256"]) == 64
    track = record["tracks"][0]
    assert (track["rows"], track["start_s"], track["end_s"]) == (9, 0.0, 2.0)
    best = track["models"]["m1"]["peaks"]["open"][0]
    found = {float(r["time_s"]): float(r["m1_p_open"]) for r in rows_of(out)}
    assert best["time_s"] == max(found, key=lambda t: found[t])
    assert best["probability"] == pytest.approx(max(found.values()), abs=1e-5)
    mean = sum(found.values()) / len(found)
    assert track["models"]["m1"]["mean"]["open"] == pytest.approx(mean, abs=1e-5)


def test_the_page_is_whole_and_loads_nothing(two_models):
    _, out = two_models
    page = (out / "report.html").read_text()
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:)?//""", own)
    assert "default-src 'none'" in own
    assert "{{" not in own
    assert "m2 was trained only on drawn faces" in own
    assert "m1 was trained only on drawn faces" not in own
    assert "a &lt;b&gt; &amp; c.mp4" in own
    assert "<b>" not in own
    assert own.count('class="chart"') == 2
    assert "data:image/jpeg;base64," in own
    for column in rows_of(out)[0]:
        assert f"<code>{column}</code>" in own
    charts = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert charts[1]["names"] == ["x", "y", "z"]
    total = np.sum(charts[1]["y"], axis=0)
    np.testing.assert_allclose(total[1:-1], 1, atol=1e-3)
    assert total[0] == total[-1] == 0


def test_a_row_is_what_the_model_says_of_the_stored_frames(tmp_path: Path):
    video = write_video(tmp_path / "v.mp4", every(0.05, 41), size=32)
    model = classifier(seed=3)
    predict_video(video, {"m": loaded(model)}, tmp_path / "out", CROPS)
    frames = []
    for frame in read_frames(video):
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(frame.image), READY.store.quality, "RGB", "420")
        frames.append(simplejpeg.decode_jpeg(jpeg).astype(np.float32) / 255)
    # the row at 1.0 s: eight frames 0.1 s apart from 0.65 to 1.35 s, frame numbers 13, 15, ... 27
    clip = (np.stack(frames[13:28:2]) - model.spec.clip.mean) / model.spec.clip.std
    expected = model.predict(torch.from_numpy(clip).float().permute(3, 0, 1, 2)[None])[0].tolist()
    row = next(r for r in rows_of(tmp_path / "out") if float(r["time_s"]) == 1.0)
    assert [float(row["p_open"]), float(row["p_closed"])] == pytest.approx(expected, abs=1e-5)


def test_batches_do_not_change_the_numbers(tmp_path: Path):
    video, model = write_video(tmp_path / "v.mp4", every(0.05, 41)), classifier(seed=4)
    for size in (1, 64):
        predict_video(video, {"m": loaded(model)}, tmp_path / str(size), PredictConfig(crop="none", batch_size=size))
    one, many = rows_of(tmp_path / "1"), rows_of(tmp_path / "64")
    for a, b in zip(one, many, strict=True):
        assert float(a["p_open"]) == pytest.approx(float(b["p_open"]), abs=2e-6)


def test_people_of_given_boxes_keep_their_tracks_and_rows_their_order(tmp_path: Path):
    video = write_video(tmp_path / "v.mp4", every(0.05, 41), size=96)
    left = [(0.05 * k, 3, (5, 5, 45, 55)) for k in range(41)]
    right = [(0.05 * k, 8, (50, 30, 90, 80)) for k in range(20)]
    boxes = write_boxes(tmp_path / "boxes.csv", "v.mp4", left + right)
    line = predict_video(
        video, {"m": loaded(classifier(contract=BOXED))}, tmp_path / "o", PredictConfig(boxes=str(boxes))
    )
    rows = rows_of(tmp_path / "o")
    order = [(float(r["time_s"]), int(r["track"])) for r in rows]
    assert len(line.tracks) == 2
    assert order == sorted(order)
    tracks = {t: [r for r in rows if int(r["track"]) == t] for t in {int(r["track"]) for r in rows}}
    assert sorted(len(r) for r in tracks.values()) == [4, 9]
    long = max(tracks.values(), key=len)
    assert [float(long[0][k]) for k in ("x0", "y0", "x1", "y1", "face_px")] == [5, 5, 45, 55, 50]


def test_variable_frame_rate_keeps_the_containers_seconds(tmp_path: Path):
    times = every(0.1, 8) + [0.75 + 0.02 * k for k in range(30)]
    line = predict_video(write_video(tmp_path / "v.mkv", times), {"m": loaded(classifier())}, tmp_path / "o", CROPS)
    assert frames_of(line) == len(times)
    assert [float(r["time_s"]) for r in rows_of(tmp_path / "o")] == [0.25 * k for k in range(6)]


def test_one_frame_is_one_row(tmp_path: Path):
    line = predict_video(write_video(tmp_path / "v.mp4", [0.0]), {"m": loaded(classifier())}, tmp_path / "o", CROPS)
    assert (line.status, line.table.num_rows) == ("ok", 1)
    assert rows_of(tmp_path / "o")[0]["quality"] == "edge"
    assert 'class="chart"' in (tmp_path / "o" / "report.html").read_text()


def test_a_video_without_a_face_gives_empty_files_that_say_so(tmp_path: Path):
    boxes = write_boxes(tmp_path / "boxes.csv", "another.mp4", [(0.0, 0, (0, 0, 9, 9))])
    video = write_video(tmp_path / "v.mp4", every(0.05, 10))
    line = predict_video(
        video, {"m": loaded(classifier(contract=BOXED))}, tmp_path / "o", PredictConfig(boxes=str(boxes))
    )
    assert (line.status, line.reason) == ("no_face", "no face found in 10 frames")
    assert rows_of(tmp_path / "o") == []
    assert pq.read_table(tmp_path / "o" / "timeline.parquet").num_rows == 0
    assert record_of(tmp_path / "o")["warnings"] == ["no face found in 10 frames"]
    page = (tmp_path / "o" / "report.html").read_text()
    assert "No face found in 10 frames" in page
    assert len(page) < 100_000  # nothing to draw, so no plotting library


@pytest.mark.parametrize("content", [b"", b"this is not a video" * 50])
def test_a_broken_file_leaves_nothing(tmp_path: Path, content: bytes):
    (tmp_path / "v.mp4").write_bytes(content)
    line = predict_video(tmp_path / "v.mp4", {"m": loaded(classifier())}, tmp_path / "o", CROPS)
    assert line.status in ("unreadable", "empty")
    assert line.reason
    assert not (tmp_path / "o").exists()


def test_files_of_two_videos_never_lie_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An earlier video's files stay as they are until all of the next one's are there."""
    out, model = tmp_path / "o", {"m": loaded(classifier())}
    first, second = (write_video(tmp_path / f"{n}.mp4", every(0.04, 20)) for n in ("first", "second"))
    predict_video(first, model, out, PredictConfig(crop="none", annotate=True))
    before = {f.name: f.read_bytes() for f in out.iterdir()}
    assert "annotated.mp4" in before

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "write_record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            predict_video(second, model, out, CROPS)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before
    predict_video(second, model, out, CROPS)
    assert sorted(f.name for f in out.iterdir()) == sorted(set(before) - {"annotated.mp4"})
    assert record_of(out)["video"]["name"] == "second.mp4"


def test_settings_that_cannot_work_are_the_users_errors(tmp_path: Path):
    video = write_video(tmp_path / "v.mp4", [0.0])
    with pytest.raises(UserError, match="--crop none"):
        predict_video(video, {"m": loaded(classifier())}, tmp_path / "o")
    with pytest.raises(UserError, match="pre-training model"):
        predict_video(
            video, {"m": Model(torch.nn.Linear(1, 1), None, Provenance(), Path("m"), "")}, tmp_path / "o", CROPS
        )
    with pytest.raises(UserError, match="no model"):
        predict_video(video, {}, tmp_path / "o", CROPS)
    with pytest.raises(UserError, match="--step-s 0"):
        PredictConfig(step_s=0)
    assert not (tmp_path / "o").exists()
