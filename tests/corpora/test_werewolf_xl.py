"""Werewolf-XL: three targets per clip, folds by session, people in several seats, counts of the real size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.corpora.werewolf_xl import FOLDS, WerewolfXL
from mien.errors import UserError
from tests.corpora.dimensional import by_source, prepared, text, touch, write_werewolf

HEADER = "VideoName,Session,Mean_P_1_2,Mean_A_1_2,Mean_D_1_2"


def test_prepared_from_aligned_frames(tmp_path: Path) -> None:
    manifest, _ = prepared("werewolf-xl", write_werewolf(tmp_path / "in"), tmp_path / "out")
    rows = by_source(manifest)
    row = rows["features/07_01_200_aligned"]
    assert [row[t] for t in ("valence", "arousal", "dominance")] == [0.25, 0.5, 0.75]
    assert (row["subject"], row["session"], row["categorical"], row["num_frames"]) == ("07_01", 7, "开心", 8)
    assert [row[f"fold_{k}"] for k in range(1, 6)] == ["train", "test", "train", "train", "train"]
    assert rows["features/30_09_001_aligned"]["fold_5"] == "test"


def test_speaker_videos(tmp_path: Path) -> None:
    found = WerewolfXL(folds=10).read(write_werewolf(tmp_path, frames=False))
    assert (found.crop, found.stand_in) == ("face", None)
    tests = [[k for k in range(1, 11) if e.values[f"fold_{k}"] == "test"] for e in found.entries]
    assert tests == [[1], [3], [10]]


def test_counts_of_the_real_size(tmp_path: Path) -> None:
    names = [f"{1 + 6 * f + i % 6:02d}_{1 + i % 9:02d}_{i:04d}" for f, n in enumerate(FOLDS) for i in range(n)]
    text(tmp_path / "all.csv", [HEADER, *(f"{n},{int(n[:2])},0.5,0.25,1" for n in names)])
    touch(tmp_path / "videos", (f"{n}.mp4" for n in names))
    found = WerewolfXL().read(tmp_path)
    assert len(found.entries) == 14_457
    assert len(found.problems) == 1
    assert found.problems[0].startswith("subjects are seats")
    for k, count in enumerate(FOLDS, 1):
        parts = [e.values[f"fold_{k}"] for e in found.entries]
        assert (parts.count("test"), parts.count("train")) == (count, 14_457 - count)
    for entry in found.entries:  # every clip is tested once, and its session in one fold only
        assert [entry.values[f"fold_{k}"] for k in range(1, 6)].count("test") == 1


def test_problems(tmp_path: Path) -> None:
    root = write_werewolf(tmp_path)
    (root / "features/07_01_200_aligned").rename(root / "features/07_01_201_aligned")
    problems = WerewolfXL().read(root).problems
    assert "3 clips, published 14,632 (papers) or 14,457 (lists)" in problems
    assert "1 labelled clips missing: 07_01_200_aligned" in problems
    assert "1 clips without label, left out: 07_01_201" in problems


def test_people_in_several_seats_are_one_subject(tmp_path: Path) -> None:
    root = write_werewolf(tmp_path)
    text(root / "people.csv", ["Round,Name,a,b,end", "1,x,1-2,30-9,", "7,y,7-1,,"])
    found = WerewolfXL(participants="people.csv").read(root)
    assert [e.values["subject"] for e in found.entries] == ["01_02", "07_01", "01_02"]


def test_other_scales_need_a_range(tmp_path: Path) -> None:
    text(tmp_path / "a.csv", [HEADER, "01_01_001,1,1,3,5"])
    with pytest.raises(UserError, match="Mean_A_1_2 is 3, outside 0 to 1; give the options low and high"):
        WerewolfXL().read(tmp_path)
    values = WerewolfXL(low=1, high=5).read(tmp_path).entries[0].values
    assert np.allclose([values[t] for t in ("valence", "arousal", "dominance")], [0, 0.5, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../01_01_001,1,0,0,0", "cannot be the name of a file"),
        ("clip,1,0,0,0", "names are <session 1 to 30>_<seat>_<utterance>"),
        ("31_01_001,31,0,0,0", "session 1 to 30"),
        ("01_01_001,1,x,0,0", "Mean_P_1_2 is 'x'; it is a number"),
        ("01_01_001,1,nan,0,0", "Mean_P_1_2 is nan"),
        ("01_01_001,1,0,0", "has 4 cells, its header 5"),
    ],
)
def test_damaged_tables(tmp_path: Path, line: str, message: str) -> None:
    text(tmp_path / "a.csv", [HEADER, line])
    with pytest.raises(UserError, match=message):
        WerewolfXL().read(tmp_path)


def test_wrong_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="looked for a CSV with the columns VideoName.*found nothing; links in"):
        WerewolfXL().read(tmp_path)
    for name in "ab":
        text(tmp_path / f"{name}.csv", [HEADER])
    with pytest.raises(UserError, match=r"holds a.csv and b.csv: say which with the option labels"):
        WerewolfXL().read(tmp_path)
