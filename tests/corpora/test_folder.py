"""Videos of one's own: ratings beside them, classes by folder, parts given or drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.corpora.folder import DRAWN, Folder
from mien.errors import UserError
from tests.corpora.dimensional import by_source, clip_of, prepared, text, touch, video


def rated(root: Path, name: str, slope: float, header: str = "time_s,valence,arousal") -> None:
    """Valence rises by `slope` a second, arousal falls."""
    text(root / name, [header, *(f"{t / 10},{slope * t / 10},{-slope * t / 10}" for t in range(10))])


def test_ratings_beside_the_videos_and_in_a_folder(tmp_path: Path):
    root = tmp_path / "in"
    video(root / "a.mp4")
    video(root / "deep/b.mp4", 1)
    rated(root, "a.csv", 1.0)
    rated(root, "labels/b.csv", 0.5)
    text(root / "splits.csv", ["name,split,subject", "a,train,Ann", "deep/b.mp4,test,Bo"])
    manifest, shards = prepared("folder", root, tmp_path / "out")
    rows = by_source(manifest)
    assert [(rows[n]["split"], rows[n]["subject"]) for n in ("a.mp4", "deep/b.mp4")] == [
        ("train", "Ann"),
        ("test", "Bo"),
    ]
    for name, slope in (("a.mp4", 1.0), ("deep/b.mp4", 0.5)):
        clip = clip_of(shards, rows[name])
        times = clip.numbers("times_s")
        np.testing.assert_allclose(clip.numbers("valence"), slope * times, atol=1e-5)
        np.testing.assert_allclose(clip.numbers("arousal"), -slope * times, atol=1e-5)


def test_classes_by_folder_and_parts_drawn_of_each(tmp_path: Path):
    touch(tmp_path, [f"{label}/{n}.mp4" for label in ("happy", "sad") for n in range(20)])
    found = Folder().read(tmp_path)
    assert found.classes == ("happy", "sad")
    assert found.problems == (DRAWN,)
    for label in found.classes:
        parts = [e.values["split"] for e in found.entries if e.values["label"] == label]
        assert [parts.count(p) for p in ("train", "val", "test")] == [14, 3, 3]
    assert found.entries == Folder().read(tmp_path).entries
    few = tmp_path / "few"
    touch(few, [f"{label}/{n}.mp4" for label in ("a", "b") for n in range(3)])
    assert sorted(str(e.values["split"]) for e in Folder().read(few).entries) == [
        "test",
        "test",
        "train",
        "train",
        "val",
        "val",
    ]


def test_what_is_missing_is_said(tmp_path: Path):
    touch(tmp_path, ["a.mp4", "b.mp4", "c.mp4"])
    with pytest.raises(UserError, match="no video has a table of ratings.*two classes or more"):
        Folder().read(tmp_path)
    rated(tmp_path, "a.csv", 1.0)
    text(tmp_path / "splits.csv", ["name,split", "a,train", "b,test", "z,val"])
    assert Folder().read(tmp_path).problems == (
        "2 videos without ratings: b.mp4, c.mp4",
        "1 videos of no part: c.mp4",
        "1 names in the splits without a video: z",
    )
    with pytest.raises(UserError, match="splits=other.csv: no such file"):
        Folder(splits="other.csv").read(tmp_path)
    rated(tmp_path, "b.csv", 1.0, "time_s,valence,dominance")
    with pytest.raises(UserError, match="have other columns"):
        Folder().read(tmp_path)
    rated(tmp_path, "b.csv", 1.0, "time_s,valence,frames")
    with pytest.raises(UserError, match="a target cannot be called frames"):
        Folder().read(tmp_path)
    text(tmp_path / "b.csv", ["time_s", "0.1"])
    with pytest.raises(UserError, match="no column besides the time"):
        Folder().read(tmp_path)
    with pytest.raises(UserError, match="holds no videos"):
        Folder().read(text(tmp_path / "empty" / "note.txt", [""]).parent)


def test_parts_are_drawn_of_what_is_rated_and_never_read_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "in"
    touch(root, [f"{n:02d}.mp4" for n in range(40)])
    for n in range(4):
        rated(root, f"{n:02d}.csv", 1.0)
    text(tmp_path / "splits.csv", ["name,split", *(f"{n:02d},test" for n in range(40))])  # of another corpus
    monkeypatch.chdir(tmp_path)
    found = Folder().read(root)
    assert sorted(str(e.values["split"]) for e in found.entries[:4]) == ["test", "train", "train", "val"]
    assert {e.values["split"] for e in found.entries[4:]} == {None}


def test_other_ratings_are_other_data(tmp_path: Path):
    """Their rows say the same; a run on one must not go on with the other."""
    found, drawn = [], video(tmp_path / "a.mp4")
    for number, slope in enumerate((1.0, 1.0, 0.5)):
        root = tmp_path / f"in{number}"
        root.mkdir()
        shutil.copy(drawn, root)
        rated(root, "a.csv", slope)
        found.append(prepared("folder", root, tmp_path / f"out{number}")[1])
    assert found[0].hash == found[1].hash != found[2].hash
    assert len({s.manifest.hash for s in found}) == 1
