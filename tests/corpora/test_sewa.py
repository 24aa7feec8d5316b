"""SEWA: ratings over time beside video, both forms of the data set, counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.corpora.sewa import COUNTS, SEWA
from mien.errors import UserError
from tests.corpora.dimensional import (
    SEWA_HEADER,
    by_source,
    clip_of,
    prepared,
    sewa_rows,
    text,
    touch,
    wave,
    write_sewa,
    write_table,
)


def test_prepared(tmp_path: Path) -> None:
    manifest, shards = prepared("sewa", write_sewa(tmp_path / "in"), tmp_path / "out")
    rows = by_source(manifest)
    row = rows["video/Train_DE_01.avi"]
    assert (row["subject"], row["split"], row["culture"]) == ("Train_DE_01", "train", "DE")
    assert rows["video/Devel_HU_02.avi"]["split"] == "val"
    clip = clip_of(shards, row)
    times = clip.numbers("times_s")
    inside = times <= 0.9  # the last of ten rows; nothing is said of later frames but for one step
    for phase, name in enumerate(("arousal", "valence", "liking")):
        rated = np.interp(times, np.arange(10) / 10, wave(np.arange(10) / 10, phase))
        np.testing.assert_allclose(clip.numbers(name)[inside], rated[inside], atol=1e-5)
    test = rows["video/Test_CN_03.avi"]
    assert test["split"] == "test"
    assert np.isnan(clip_of(shards, test).numbers("valence")).all()


def test_counts_of_the_real_size(tmp_path: Path) -> None:
    for part, count in COUNTS.items():
        for i in range(1, count + 1):
            name = f"{part}_{i:02d}"
            if not part.startswith("Test"):
                write_table(tmp_path / f"labels/{name}.csv", SEWA_HEADER, sewa_rows(name, 0.3))
            touch(tmp_path, [f"video/{name}.avi"])
    found = SEWA().read(tmp_path)
    assert found.problems == ()
    splits = [e.values["split"] for e in found.entries]
    assert [splits.count(s) for s in ("train", "val", "test")] == [68, 28, 104]
    (tmp_path / "labels/Devel_DE_14.csv").unlink()
    (tmp_path / "video/Train_HU_34.avi").unlink()
    problems = SEWA().read(tmp_path).problems
    assert "1 recordings without labels: Devel_DE_14" in problems
    assert "1 videos missing: Train_HU_34" in problems


def test_sewa_db_with_ones_own_split(tmp_path: Path) -> None:
    for name in ("S1_A seg 0", "S1_B"):
        write_table(
            tmp_path / f"ratings/{name}.csv", ["Time ", " arousal", "'valence'"], [[0, 0.1, 0.2], [0.02, 0.3, 0.4]]
        )
    touch(tmp_path, ["db/S1_A seg 0/S1_A seg 0.avi", "db/S1_B.avi"])
    text(tmp_path / "split.csv", ["name,split,subject", "S1_A seg 0,train,p1", "S1_B,test,p2"])
    found = SEWA("ratings", "split.csv").read(tmp_path)
    first, second = found.entries
    assert first.path == "db/S1_A seg 0/S1_A seg 0.avi"
    assert first.values == {"subject": "p1", "split": "train"}
    assert second.targets is not None
    values = second.targets().values
    np.testing.assert_allclose(values["valence"], [0.2, 0.4], atol=1e-6)
    assert np.isnan(values["liking"]).all()
    assert "train: 1 segments, published 435" in found.problems


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    text(tmp_path / "split.csv", ["name,split", "../../x,train"])
    with pytest.raises(UserError, match="cannot be the name of a file"):
        SEWA(splits="split.csv").read(tmp_path)
    text(tmp_path / "split.csv", ["name,split", "x,devel"])
    with pytest.raises(UserError, match="x has the split 'devel'; allowed are train, val, test"):
        SEWA(splits="split.csv").read(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name;arousal;valence", "x;0;0"], "has no column timestamp or time"),
        (["timestamp;arousal", "0;0"], "has no column valence"),
        (["timestamp;arousal;valence", "1;0;0", "1;0;0"], "timestamp does not rise"),
        (["timestamp;arousal;valence"], "has no rows"),
    ],
)
def test_damaged_tables(tmp_path: Path, lines: list[str], message: str) -> None:
    text(tmp_path / "labels/Train_DE_01.csv", lines)
    with pytest.raises(UserError, match=message):
        SEWA().read(tmp_path)


def test_wrong_root(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="looked for labels/Train_DE_01.csv and so on, found nothing; sign the agreement"
    ):
        SEWA().read(tmp_path)
