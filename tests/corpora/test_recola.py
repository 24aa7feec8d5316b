"""RECOLA: mean of raters or gold standard, its own files or AVEC 2016's, parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.corpora.recola import PEOPLE, RECOLA
from mien.errors import UserError
from tests.corpora.dimensional import (
    RECOLA_HEADER,
    by_source,
    clip_of,
    prepared,
    recola_rows,
    text,
    touch,
    wave,
    write_avec2016,
    write_recola,
    write_table,
)

BASE = "RECOLA-Annotation/emotional_behaviour"


@pytest.mark.parametrize("rating", ["mean", "gold"])
def test_prepared(tmp_path: Path, rating: str) -> None:
    manifest, shards = prepared("recola", write_recola(tmp_path / "in"), tmp_path / "out", f"rating={rating}")
    rows = by_source(manifest)
    parts = {r["subject"]: r["split"] for r in rows.values() if r["status"] == "ok"}
    assert parts == {"P16": "test", "P28": "val", "P45": "train"}
    clip = clip_of(shards, rows["RECOLA-Video-recordings/P45.mp4"])
    times = clip.numbers("times_s")  # 25 frames and 25 rows a second: the same instants
    for phase, name in enumerate(("valence", "arousal")):
        want = wave(times, phase) + 0.025 if rating == "mean" else wave(times, phase + 2)
        np.testing.assert_allclose(clip.numbers(name), want, atol=1e-5)


def test_counts_and_a_table_of_the_real_size(tmp_path: Path) -> None:
    for name in (f"P{n}" for part in PEOPLE.values() for n in part):
        for target in ("arousal", "valence"):
            count = 7_501 if name == "P16" else 3
            write_table(tmp_path / BASE / target / f"{name}.csv", RECOLA_HEADER, recola_rows(0, count))
        touch(tmp_path, [f"RECOLA-Video-recordings/{name}.mp4"])
    found = RECOLA().read(tmp_path)
    assert len(found.entries) == 23
    short, parts = found.problems[1], found.problems[0]
    assert "not official" in parts
    assert short.startswith("22 tables without 7,501 rows")
    assert len(found.problems) == 2
    targets = found.entries[0].targets
    assert targets is not None
    assert targets().times_s[-1] == pytest.approx(300)


def test_avec_2016(tmp_path: Path) -> None:
    found = RECOLA().read(write_avec2016(tmp_path))
    assert {e.path: e.values["split"] for e in found.entries} == {
        "recordings_video/train_1.mp4": "train",
        "recordings_video/dev_1.mp4": "val",
        "recordings_video/test_1.mp4": "test",
    }
    by_name = {e.values["subject"]: e.targets for e in found.entries}
    assert by_name["test_1"] is None
    assert by_name["dev_1"] is not None
    rated = by_name["dev_1"]()
    np.testing.assert_allclose(rated.values["arousal"], wave(rated.times_s, 1), atol=1e-5)
    assert "train: 1 recordings, published 9" in found.problems
    assert not any("without arousal" in p for p in found.problems)


def test_a_rater_who_left_out_a_row(tmp_path: Path) -> None:
    root = write_recola(tmp_path, ("P16",), 2)
    for target in ("arousal", "valence"):
        lines = ["time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3", "0;0.1;0.2;;;;", "0.04;;;;;;"]
        text(root / BASE / target / "P16.csv", lines)
    reader = RECOLA().read(root).entries[0].targets
    assert reader is not None
    np.testing.assert_allclose(reader().values["arousal"], [0.15, np.nan], atol=1e-6)


def test_problems_and_own_split(tmp_path: Path) -> None:
    root = write_recola(tmp_path, ("P16", "P99"), 2)
    (root / BASE / "valence/P16.csv").unlink()
    problems = RECOLA().read(root).problems
    assert "1 people of no known part: no split: P99" in problems
    assert any(p.startswith("23 recordings without valence") for p in problems)
    text(root / "split.csv", ["name;split", "P99;train"])
    found = RECOLA(splits="split.csv").read(root)
    assert [e.values["split"] for e in found.entries] == ["train"]
    assert "1 tables of arousal in no part, left out: P16" in found.problems


def test_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="looked for RECOLA-Annotation/emotional_behaviour/arousal/ or ratings_gold"):
        RECOLA().read(tmp_path)
    root = write_recola(tmp_path, ("P16",), 3)
    text(root / BASE / "valence/P16.csv", ["time;FM1", "0;0", "9;0", "10;0"])
    with pytest.raises(UserError, match=r"P16.csv has other times than the table of valence"):
        RECOLA().read(root)
    text(root / BASE / "valence/P16.csv", ["time;rater", "0;0", "0.04;0", "0.08;0"])
    with pytest.raises(UserError, match="has no column of the raters FM1"):
        RECOLA().read(root)
