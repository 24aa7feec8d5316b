"""First Impressions: ratings from pickles that may run nothing, files anywhere, counts of the real size."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from mien.corpora.first_impressions import FirstImpressions, read_ratings
from mien.errors import UserError
from tests.corpora.dimensional import (
    PEOPLE,
    TRAITS,
    by_source,
    prepared,
    touch,
    write_first_impressions,
    write_ratings,
)

ALL = (*TRAITS, "interview")


def test_prepared(tmp_path: Path) -> None:
    manifest, _ = prepared("first-impressions", write_first_impressions(tmp_path / "in"), tmp_path / "out")
    rows = by_source(manifest)
    assert len(rows) == 6
    second = rows["validation-1/validation80_01/-2qsCrkXdWs.003.mp4"]
    assert (second["subject"], second["split"], second["status"]) == ("-2qsCrkXdWs", "val", "ok")
    assert [second[t] for t in ALL] == [(1 + k) / 16 for k in range(6)]  # the second name: (n + k) / 16


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    written = write_ratings(tmp_path / "a.pkl", ["x.000.mp4", "Ünï.001.mp4"], protocol)
    assert read_ratings(tmp_path / "a.pkl") == written


def test_counts_of_the_real_size(tmp_path: Path) -> None:
    for part, count in (("training", 6_000), ("validation", 2_000), ("test", 2_000)):
        names = [f"{part}{i // 3:04d}.{i % 3:03d}.mp4" for i in range(count)]
        write_ratings(tmp_path / f"annotation_{part}.pkl", names)
        touch(tmp_path / part, names)
    found = FirstImpressions().read(tmp_path)
    assert found.problems == ()
    assert len({e.path for e in found.entries}) == 10_000
    (tmp_path / "test/test0000.000.mp4").unlink()
    touch(tmp_path, ["more/test0001.000.mp4", "more/stranger.000.mp4"])
    problems = FirstImpressions().read(tmp_path).problems
    assert "1 annotated videos missing: test0000.000" in problems
    assert "1 videos without annotation, left out: stranger.000" in problems
    double = "more/test0001.000.mp4 = test/test0001.000.mp4"
    assert f"1 names in more than one place, the first is used: {double}" in problems


class Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_runs_something_is_refused(tmp_path: Path) -> None:
    bait = tmp_path / "was-run"
    for protocol in (0, 2, 4):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({t: {"a.000.mp4": Runs(bait)} for t in ALL}, protocol))
        with pytest.raises(UserError, match="asks to build an object"):
            read_ratings(tmp_path / "a.pkl")
    assert not bait.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", "is not a pickle of numbers"),
        (pickle.dumps({"a": 1}), "has no ratings of openness"),
        (pickle.dumps({t: [1, 2] for t in ALL}), "openness is a list"),
        (pickle.dumps({t: {"a.mp4": 1.5} for t in ALL}), r"openness of 'a.mp4' is 1.5; each file name has a number"),
        (pickle.dumps({t: {"a.mp4": float("nan")} for t in ALL}), "'a.mp4' is nan"),
        (pickle.dumps({t: {7: 0.5} for t in ALL}), "has a int, float"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "memo number 2147483647"),
        (pickle.dumps({t: {} for t in ALL})[:-9], "is not a pickle of numbers"),
    ],
)
def test_damaged_pickles(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_ratings(tmp_path / "a.pkl")


def test_missing_annotation_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"looked for annotation_training.pkl, found nothing; register at"):
        FirstImpressions().read(tmp_path)
    for part in ("training", "validation"):
        write_ratings(tmp_path / f"annotation_{part}.pkl", [f"{PEOPLE[part]}.000.mp4"])
    with pytest.raises(UserError, match="without it leave test out of the option splits"):
        FirstImpressions().read(tmp_path)
    assert len(FirstImpressions("train,val").read(tmp_path).entries) == 2


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    for part in PEOPLE:
        write_ratings(tmp_path / f"annotation_{part}.pkl", ["../../etc/passwd"])
    with pytest.raises(UserError, match="cannot be the name of a file"):
        FirstImpressions().read(tmp_path)


def test_a_video_on_both_sides_is_named(tmp_path: Path) -> None:
    for part, name in (("training", "a.000.mp4"), ("validation", "b.000.mp4"), ("test", "a.001.mp4")):
        write_ratings(tmp_path / f"annotation_{part}.pkl", [name], traits=TRAITS)
    found = FirstImpressions().read(tmp_path)
    assert "1 source videos in both train and test: a" in found.problems
    assert found.target_names == TRAITS
    assert "no rating of `interview` (edition 1): left out" in found.problems
