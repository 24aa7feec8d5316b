"""AVCAffe: labels of a person's task on each of its segments, words in order, counts of the real size."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.corpora.avcaffe import VALIDATION, AVCAffe
from mien.errors import UserError
from tests.corpora.dimensional import by_source, prepared, text, touch, write_avcaffe, write_avcaffe_texts


def test_prepared_from_crops(tmp_path: Path) -> None:
    manifest, _ = prepared("avcaffe", write_avcaffe(tmp_path / "in", crops=True), tmp_path / "out")
    rows = by_source(manifest)
    base = "images/shorter_segments_face/"
    first = rows[f"{base}aiim001/task_1/aiim001_task_1_001"]
    other = rows[f"{base}aiim001/task_1/aiim001_task_1_002"]
    last = rows[f"{base}aiim003/task_2/aiim003_task_2_001"]
    for row in (first, other):  # the first of the four tasks
        assert (row["label"], row["arousal"], row["valence"]) == ("Excited", "Excited", "Pleasant")
        assert (row["video"], row["split"], row["fold_1"], row["public_face"]) == (
            "aiim001_task_1",
            "val",
            "test",
            "yes",
        )
    assert (first["speech"], other["speech"]) == ("yes", "no")
    assert (last["label"], last["valence"], last["effort"]) == ("Dull", "Unsatisfied", 4)  # the fourth
    assert (last["subject"], last["split"], last["fold_1"], last["public_face"]) == ("aiim003", "train", "train", "no")
    assert first["fps"] == pytest.approx(16)


def test_videos_and_target(tmp_path: Path) -> None:
    found = AVCAffe(target="valence").read(write_avcaffe(tmp_path))
    assert found.classes == ("Pleasant", "Pleased", "Neutral", "Unsatisfied", "Unpleasant")
    assert (found.crop, len(found.entries)) == ("face", 6)
    assert all(e.values["label"] == e.values["valence"] and (tmp_path / e.path).is_file() for e in found.entries)


def test_counts_of_the_real_size(tmp_path: Path) -> None:
    people = [f"aiim{n:03d}" for n in range(1, 109) if n not in (50, 51)]
    write_avcaffe_texts(tmp_path, people, 9, sorted(VALIDATION))
    extra = 58_112 - 106 * 9 * 60
    for i in range(106 * 9):
        person, task = people[i // 9], i % 9 + 1
        place = tmp_path / f"videos/shorter_segments/{person}/task_{task}"
        touch(place, (f"{person}_task_{task}_{k:03d}.avi" for k in range(60 + (i < extra))))
    found = AVCAffe().read(tmp_path)
    assert found.problems == ()
    val = [e for e in found.entries if e.values["split"] == "val"]
    assert len(found.entries) == 58_112
    assert {e.values["subject"] for e in val} == VALIDATION


def test_problems(tmp_path: Path) -> None:
    root = write_avcaffe(tmp_path)
    text(root / "ground_truths/effort.txt", ["aiim001_task_1, 3", "aiim009_task_1, 4"])
    text(root / "info/train.txt", ["aiim001"])
    (root / "info/public_face_ids.txt").unlink()
    problems = AVCAffe().read(root).problems
    assert "segments: 6 found, published 58,112" in problems
    assert "3 tasks without effort: aiim001_task_2, aiim003_task_1, aiim003_task_2" in problems
    assert "1 labelled tasks without a segment: aiim009_task_1" in problems
    assert "1 people in both info/train.txt and info/val.txt: aiim001" in problems
    assert "1 people in neither info/train.txt nor info/val.txt, taken as train: aiim003" in problems
    assert "1 info files missing: info/public_face_ids.txt" in problems


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("arousal", "aiim001_task_1, Bored", "line 1 is 'Bored'; arousal is one of Excited, Wide-awake"),
        ("effort", "aiim001_task_1, 22", "demands are 0 to 21"),
        ("effort", "aiim001_task_1, nan", "demands are 0 to 21"),
        ("effort", "nothing", "has no line such as aiim001_task_1, 10"),
    ],
)
def test_damaged_truths(tmp_path: Path, file: str, line: str, message: str) -> None:
    root = write_avcaffe(tmp_path)
    text(root / f"ground_truths/{file}.txt", [line])
    with pytest.raises(UserError, match=message):
        AVCAffe().read(root)


def test_wrong_root(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="looked for images/shorter_segments_face/aiim001/task_1/ or videos/.*found nothing"
    ):
        AVCAffe().read(tmp_path)
    root = write_avcaffe(tmp_path)
    (root / "info/val.txt").unlink()
    with pytest.raises(
        UserError, match=r"looked for info/val.txt, found ground_truths/, info/, videos/; request access"
    ):
        AVCAffe().read(root)
