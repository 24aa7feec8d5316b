"""What `mien.predict` gives in Python: `pytest tests/timeline/test_timeline.py`."""

from __future__ import annotations

import csv
import gc
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import mien
from mien.errors import UserError
from mien.models import Provenance, save_model
from mien.timeline import Timeline, Track, pipeline, result
from mien.verbs.main import run
from tests.timeline.helpers import classifier, every, regressor, write_video

CROPS: dict[str, Any] = {"crop": "none", "device": "cpu"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, a video of two seconds, a shorter one, and a file that is none."""
    root = tmp_path_factory.mktemp("timeline")
    for name, model in (("expr", classifier(seed=1)), ("va", regressor(seed=2))):
        save_model(root / name / "model", model, model.config, Provenance())
    write_video(root / "my.mp4", every(0.05, 41))
    write_video(root / "short.mp4", every(0.05, 11))
    (root / "bad.mp4").write_bytes(b"nothing")
    return root


@pytest.fixture(scope="module")
def line(here: Path) -> Timeline:
    return mien.predict(here / "my.mp4", here / "expr", **CROPS)


def without_times(folder: Path) -> dict[str, Any]:
    """Every file of the folder, less the moment it was made at and the seconds it took."""
    files: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    record = json.loads(files["predictions.json"])
    made = record["provenance"]
    seconds = f" frames in {made.pop('wall_s'):.1f} s".encode()
    page = files["report.html"].replace(made.pop("created").encode(), b"").replace(seconds, b"")
    return files | {"predictions.json": json.dumps(record), "report.html": page}


def test_saved_files_are_those_of_the_command(here: Path, tmp_path: Path):
    models = [f"--model={here / 'expr'}", f"--model=feel={here / 'va'}"]
    words = [*models, "--crop", "none", "--device", "cpu", "--annotate", "--out", str(tmp_path / "command")]
    assert run(["predict", str(here / "my.mp4"), *words]) == 0
    given = {"expr": mien.load(here / "expr"), "feel": str(here / "va")}
    kept = mien.predict(here / "my.mp4", given, out=tmp_path / "kept", annotate=True, **CROPS)
    kept.save(tmp_path / "saved")
    mien.predict(str(here / "my.mp4"), given, annotate=True, **CROPS).save(tmp_path / "temporary")
    typed = without_times(tmp_path / "command")
    assert sorted(typed) == sorted(set(result.FILES) - {"movements.parquet", "events.csv"})
    for name in ("kept", "saved", "temporary"):
        assert without_times(tmp_path / name) == typed


def test_the_table_holds_the_rows_of_the_files(line: Timeline):
    assert line.table.equals(pq.read_table(line.file("timeline.parquet")))
    with open(line.file("timeline.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: "" if v is None else str(v) for k, v in r.items()} for r in line.table.to_pylist()] == rows
    assert line.table.num_rows == 9
    assert (line.table.schema, line.status, line.reason) == (line.schema, "ok", "")


def test_a_track_says_what_its_rows_say_on_average(line: Timeline):
    (track,) = line.tracks
    flagged = sum(q != "ok" for q in line.table["quality"].to_pylist())
    assert track == Track(0, 0.0, 2.0, 9, flagged, {"expr": track.mean})
    for name, mean in track.mean.items():
        assert mean == pytest.approx(np.mean(line.table[f"p_{name}"].to_numpy()), abs=2e-6)


def test_the_record_is_the_file(here: Path, line: Timeline):
    assert line.record == json.loads(line.file("predictions.json").read_text())
    assert line.warnings == []
    loose = mien.predict(here / "short.mp4", here / "expr", allow_contract_mismatch=True, device="cpu")
    assert (loose.status, loose.reason, loose.table.num_rows) == ("no_face", "no face found in 11 frames", 0)
    assert loose.warnings == loose.record["warnings"]
    assert [w.partition(":")[0] for w in loose.warnings] == ["expr", "no face found in 11 frames"]


def test_several_models_have_their_names(here: Path):
    places = [here / "expr", mien.load(here / "va")]
    for given, names in ((places, ("expr", "va")), (dict(zip("ab", places, strict=True)), ("a", "b"))):
        line = mien.predict(here / "short.mp4", given, **CROPS)
        assert {f"{names[0]}_p_open", f"{names[1]}_valence"} <= set(line.table.column_names)
        assert [(n, *found) for n, found in line.tracks[0].means.items()] == [
            (names[0], "open", "closed"),
            (names[1], "arousal", "valence"),
        ]
        with pytest.raises(UserError, match=rf"take means\[NAME\], of {names[0]}, {names[1]}"):
            _ = line.tracks[0].mean


def test_a_temporary_folder_goes_with_its_timeline(here: Path):
    line = mien.predict(here / "short.mp4", here / "expr", **CROPS)
    page = line.file("report.html")
    assert page.is_file()
    table = line.table
    del line
    gc.collect()
    assert not page.parent.exists()
    assert table.num_rows == 3


def test_a_list_or_a_folder_of_videos_gives_a_list(here: Path, tmp_path: Path):
    given = [here / "short.mp4", here / "bad.mp4", here / "my.mp4"]
    short, bad, my = mien.predict(given, here / "expr", out=tmp_path / "o", **CROPS)
    assert [line.video for line in (short, bad, my)] == given
    assert [line.table.num_rows for line in (short, bad, my)] == [3, 0, 9]
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["my", "short"]
    assert bad.status == "unreadable"
    assert "not a readable video" in bad.reason
    assert (bad.record, bad.tracks, bad.warnings) == ({}, [], [])
    assert bad.table.schema == short.table.schema
    with pytest.raises(UserError, match=r"bad\.mp4: not a readable video.*, so there are no files"):
        bad.save(tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    assert [line.video for line in mien.predict(given[:1], here / "expr", **CROPS)] == given[:1]
    (folder := tmp_path / "folder").mkdir()
    (folder / "my.mp4").symlink_to(here / "my.mp4")
    assert [line.video for line in mien.predict(folder, here / "expr", **CROPS)] == [folder / "my.mp4"]


def test_one_video_that_cannot_be_read_is_the_users_error(here: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"bad\.mp4: not a readable video"):
        mien.predict(here / "bad.mp4", here / "expr", out=tmp_path / "o", **CROPS)
    with pytest.raises(UserError, match="received no video"):
        mien.predict([], here / "expr")
    assert not (tmp_path / "o").exists()


def test_files_of_another_video_are_not_taken_for_its_own(here: Path, tmp_path: Path):
    def predicted(name: str) -> Timeline:
        return mien.predict(here / name, here / "expr", out=tmp_path / "o", **CROPS)

    long, short = predicted("my.mp4"), predicted("short.mp4")
    with pytest.raises(UserError, match=r"no longer holds the files of .*my\.mp4: predict it again"):
        _ = long.table
    assert short.table.num_rows == 3
    predicted("my.mp4")
    assert short.table.num_rows == 3
    with pytest.raises(UserError, match="no longer holds"):
        short.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_without_pandas_the_error_says_what_to_install(line: Timeline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(result, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install pandas"):
        line.to_pandas()


def test_seconds_cover_both_passes(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """And the notice at the end has start-up and loading besides."""
    both = pipeline.annotate

    def slowly(*args: Any) -> None:
        time.sleep(0.4)
        both(*args)

    monkeypatch.setattr(pipeline, "annotate", slowly)
    words = ["--model", str(here / "expr"), "--crop", "none", "--annotate", "--out", str(here / "slow")]
    assert run(["predict", str(here / "short.mp4"), *words]) == 0
    record = json.loads((here / "slow" / "predictions.json").read_text())
    assert record["provenance"]["wall_s"] > 0.4
    said = capsys.readouterr().out
    of_video, in_all = re.findall(r"([\d.]+) s(?: ->| in all, from the start of the program)", said)
    assert 0.4 <= float(of_video) <= float(in_all)


def test_the_command_has_to_say_where(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["predict", str(here / "my.mp4"), "--model", str(here / "expr")]) == 2
    assert "--out is missing" in capsys.readouterr().err
