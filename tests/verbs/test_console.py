"""Names of files and classes are shown as they are, whatever they hold."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from mien.console import console
from mien.data.manifest import Manifest
from mien.faces.report import show as show_prepared
from mien.scoring.scores import Scores
from mien.scoring.values import VALUE_METRICS
from mien.timeline.result import Folder, Timeline
from mien.train.log import RunLog
from mien.verbs.evaluate import show as show_evaluation
from mien.verbs.predict import show_each as show_predictions

HOSTILE = "clip [/old] [bold].mp4"


def test_what_was_prepared(capsys: pytest.CaptureFixture[str]):
    row = {
        "clip_id": f"{HOSTILE}/0/0",
        "source": HOSTILE,
        "track": 0,
        "status": "unreadable",
        "reason": "[red]",
        "num_frames": 0,
    }
    show_prepared(Manifest.from_rows([row]), console())
    assert f"{HOSTILE}: unreadable, [red]" in capsys.readouterr().out


def test_what_was_predicted(capsys: pytest.CaptureFixture[str]):
    video, out, columns = Path(HOSTILE), Folder("out [/b]"), pa.schema([])
    made = {"rows": 2, "warnings": ["drawn [/i]"], "provenance": {"frames": 3, "wall_s": 4.0}}
    show_predictions(
        [
            Timeline(video, "ok", "", columns, made, out),
            Timeline(video, "unreadable", "no [/such] codec", columns, {}, out),
        ]
    )
    said = capsys.readouterr()
    assert f"{HOSTILE}: 0 track(s), 2 rows" in said.out
    assert f"drawn [/i] ({video.name})" in said.out
    assert f"{HOSTILE}: no [/such] codec" in said.err


def test_a_score(capsys: pytest.CaptureFixture[str]):
    values = {m: 0.5 for m in VALUE_METRICS} | {f"{m}_95": [0.4, 0.6] for m in VALUE_METRICS}
    record = values | {
        "kind": "dimensional", "per": "clip", "contract_mismatch": "", "num_videos": 2, "target": "[b]",
        "split": "split=test", "resampled": "videos", "per_target": {"[/x]": values}, "left_out": {}, "audit": "[/]",
        "failed": [{"item": HOSTILE, "reason": ""}],
    }  # fmt: skip
    show_evaluation(Scores(record))
    said = capsys.readouterr().out
    for text in ("[b], split=test", "[/x]", f": {HOSTILE}", "audit: [/]"):
        assert text in said


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = RunLog(tmp_path, 0, 10, HOSTILE)
    log.show(10, 1.0, 1.0, 1.0, 1.0)
    log.say("[/said]")
    log.close()
    said = capsys.readouterr().err
    assert f"{HOSTILE} step 10/10" in said
    assert "[/said]" in said
