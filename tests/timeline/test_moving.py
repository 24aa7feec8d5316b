"""`mien predict VIDEO` without a model, and movements beside models, on drawn people."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

import mien
from mien import foreign
from mien.corpora.synthetic import Placed, draw_scene, write_video
from mien.errors import UserError
from mien.faces.options import contract_for
from mien.models import Provenance, save_model
from mien.movements.names import COEFFICIENTS, MOVEMENTS, STILL
from mien.verbs.main import run
from tests.timeline.helpers import classifier

FRAMES, FPS = 40, 30
PEOPLE = [Placed(1, (170.0, 190.0), 180.0, index=0), Placed(3, (470.0, 180.0), 190.0, index=2)]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("moving") / "two.mp4"
    write_video(path, draw_scene(PEOPLE, FRAMES, FPS).frames, FPS)
    return path


@pytest.fixture(scope="module")
def out(video: Path) -> Path:
    folder = video.parent / "out"
    assert run(["predict", str(video), "--out", str(folder), "--points", "--annotate"]) == 0
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "timeline.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_frame_of_every_face_has_a_row(out: Path):
    rows = rows_of(out)
    assert len(rows) == 2 * FRAMES
    assert sorted({r["track"] for r in rows}) == ["0", "1"]
    assert [float(r["time_s"]) for r in rows] == sorted(float(r["time_s"]) for r in rows)
    ok = [r for r in rows if r["quality"] == "ok"]
    assert len(ok) > 1.5 * FRAMES
    for name in (m.name for m in MOVEMENTS if m.low == 0):
        assert all(0 <= float(r[name]) <= 1 for r in ok)
    assert not set(STILL) & set(rows[0])


def test_where_nothing_can_be_said_values_are_empty(out: Path):
    table = pq.read_table(out / "timeline.parquet").to_pylist()
    for row in table:
        assert (row["smile"] is None) == (row["quality"] != "ok")
        assert (row["head_turn"] is None) == (row["quality"] != "ok")


def test_all_coefficients_and_points_are_kept(out: Path):
    table = pq.read_table(out / "movements.parquet")
    assert set(COEFFICIENTS) <= set(table.column_names)
    assert all(table.schema.field(n).metadata[b"meaning"] for n in table.column_names)
    row = next(r for r in table.to_pylist() if r["quality"] == "ok")
    points = np.array(row["points"]).reshape(478, 3)
    inside = (points[:, 0] > row["x0"] - 20) & (points[:, 0] < row["x1"] + 20)
    assert inside.mean() > 0.9


def test_the_record_and_the_page_say_what_was_read(out: Path):
    record = json.loads((out / "predictions.json").read_text())
    assert record["models"] == {}
    assert [t["track"] for t in record["movements"]["tracks"]] == [0, 1]
    assert record["movements"]["baseline"] == "auto"
    peaks = [p for t in record["movements"]["tracks"] for found in t["peaks"].values() for p in found]
    assert peaks
    assert all(0.3 <= p["value"] <= 1 for p in peaks)
    assert record["files"]["events"] == "events.csv"
    assert any("not a feeling" in text for text in record["what_it_is_not"])
    page = (out / "report.html").read_text()
    assert page.count("<h3>Movements</h3>") == 2
    assert "face movement over time" in page


def test_annotated_shows_the_movements(out: Path):
    with av.open(str(out / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_torch_is_not_imported(video: Path, tmp_path: Path):
    words = ["predict", str(video), "--out", str(tmp_path / "o"), "--annotate"]
    code = f"import sys; from mien.verbs.main import run; run({words!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_rows_at_a_step_are_those_of_the_nearest_frames(video: Path, out: Path, tmp_path: Path):
    line = mien.predict(video, out=tmp_path / "o", step_s=0.25, baseline="none")
    assert sorted(set(line.table["time_s"].to_pylist())) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert not [name for name in line.table.column_names if name.endswith("_rel")]
    every = pq.read_table(out / "timeline.parquet").to_pylist()
    for row in line.table.to_pylist():
        same = [r for r in every if r["track"] == row["track"]]
        nearest = min(same, key=lambda r: abs(r["time_s"] - row["time_s"]))
        assert row["jaw_open"] == nearest["jaw_open"]


def test_movements_beside_a_model_share_its_rows_and_tracks(video: Path, out: Path, tmp_path: Path):
    model = classifier(contract=contract_for("face"))
    save_model(tmp_path / "m", model, model.config, Provenance())
    plain = mien.predict(video, tmp_path / "m", out=tmp_path / "plain", device="cpu")
    both = mien.predict(video, tmp_path / "m", out=tmp_path / "both", device="cpu", movements=True)
    names = plain.table.column_names
    assert both.table.select(names).equals(plain.table)
    assert "movements" not in plain.record
    assert not (tmp_path / "plain" / "movements.parquet").exists()
    frames = {(r["track"], round(r["time_s"], 3)): r for r in pq.read_table(out / "timeline.parquet").to_pylist()}
    known = 0
    for row in both.table.to_pylist():
        near = [r for (t, s), r in frames.items() if t == row["track"] and abs(s - row["time_s"]) < 0.02]
        if row["movement_quality"] == "ok" and near and near[0]["smile"] is not None:
            known += 1
            assert row["jaw_open"] == pytest.approx(near[0]["jaw_open"], abs=0.15)
    assert known >= 4


def test_a_video_without_a_face_has_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_video(tmp_path / "none.mp4", draw_scene([], 10, FPS).frames, FPS)
    assert run(["predict", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "o")]) == 2
    assert "no face found in 10 frames" in capsys.readouterr().err
    assert rows_of(tmp_path / "o") == []
    assert (tmp_path / "o" / "events.csv").read_text().startswith("onset,duration,label")


def test_without_the_file_one_line_says_how_to_get_it(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreign, "installed", lambda file: None)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="mien get face-landmarker"):
        mien.predict(video, out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_the_same_video_gives_the_same_numbers(video: Path, out: Path, tmp_path: Path):
    mien.predict(video, out=tmp_path / "o")
    assert (tmp_path / "o" / "timeline.csv").read_text() == (out / "timeline.csv").read_text()
    assert (tmp_path / "o" / "events.csv").read_text() == (out / "events.csv").read_text()
