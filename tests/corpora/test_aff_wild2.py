"""Aff-Wild2: frames by number with gaps, invalid labels, editions, the number of the first image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.corpora.aff_wild2 import AffWild2
from mien.errors import UserError
from tests.corpora.dimensional import EXPRESSIONS, by_source, clip_of, prepared, text, touch, wave, write_aff_wild2

SEEN = [0, 1, 2, 5, 6, 7, 8, 10, 11]
"""Frames with a face, from 0."""


@pytest.mark.parametrize("first", [1, 0])
def test_prepared_expressions(tmp_path: Path, first: int) -> None:
    root = write_aff_wild2(tmp_path / "in", first)
    manifest, shards = prepared("aff-wild2", root, tmp_path / "out", f"first_number={first}")
    row = by_source(manifest)["cropped_aligned/video1_left"]
    assert (row["subject"], row["video"], row["split"], row["fold_1"]) == ("video1", "video1", "train", "train")
    clip = clip_of(shards, row)
    assert np.allclose(clip.numbers("times_s"), np.array(SEEN) / 30)
    want = [np.nan if i == 6 else (i + len("video1_left")) % 8 for i in SEEN]
    np.testing.assert_array_equal(clip.numbers("expression"), want)
    other = by_source(manifest)["cropped_aligned/12-24-1920x1080"]
    assert (other["split"], other["fold_1"], other["subject"]) == ("val", "test", "12-24-1920x1080")


def test_prepared_valence_and_arousal(tmp_path: Path) -> None:
    manifest, shards = prepared("aff-wild2", write_aff_wild2(tmp_path / "in"), tmp_path / "out", "task=va")
    clip = clip_of(shards, by_source(manifest)["cropped_aligned/video1_right"])
    times = np.array(SEEN) / 30
    for phase, name in enumerate(("valence", "arousal")):
        want = np.where(np.array(SEEN) == 6, np.nan, np.round(wave(times, phase), 3))
        np.testing.assert_allclose(clip.numbers(name), want, atol=1e-6)


def test_counts_of_the_real_size(tmp_path: Path) -> None:
    for part, count in (("Train_Set", 248), ("Validation_Set", 70)):
        for i in range(count):
            name = f"{part[:3]}{i}"
            text(tmp_path / f"EXPR_Classification_Challenge/{part}/{name}.txt", [EXPRESSIONS, "0", "7"])
            touch(tmp_path / f"batch1/cropped_aligned/{name}", ["00001.jpg", "00002.jpg"])
    found = AffWild2().read(tmp_path)
    assert found.problems == ()
    assert len(found.classes) == 8
    assert found.entries[0].path == "batch1/cropped_aligned/Tra0"


def test_the_number_of_the_first_image_is_checked(tmp_path: Path) -> None:
    root = write_aff_wild2(tmp_path / "zero", first=0)
    assert any("begin at 0: give the option first_number=0" in p for p in AffWild2().read(root).problems)
    root = write_aff_wild2(tmp_path / "one", first=1)
    problems = AffWild2(first_number=0).read(root).problems
    assert any("faces after the last line of the annotation" in p for p in problems)
    assert "no folder has an image 00000: first_number=1 is the likely one" in problems


def test_problems(tmp_path: Path) -> None:
    root = write_aff_wild2(tmp_path)
    base = root / "Annotations/EXPR_Recognition_Challenge"
    (base / "Train_Set/video1_right.txt").rename(base / "Validation_Set/video1_right.txt")
    (root / "cropped_aligned/12-24-1920x1080").rename(root / "cropped_aligned/other one")
    problems = AffWild2().read(root).problems
    assert "train: 1 annotated tracks, published 248" in problems
    assert "1 videos in both train and val: video1" in problems
    assert "1 annotated tracks without faces: 12-24-1920x1080" in problems
    assert "1 folders of faces without annotation, left out: other one" in problems


def test_seven_expressions_are_another_edition(tmp_path: Path) -> None:
    root = write_aff_wild2(tmp_path)
    paths = list((root / "Annotations/EXPR_Recognition_Challenge").glob("*/*.txt"))
    for path in paths:
        text(path, [EXPRESSIONS.removesuffix(",Other"), "0", "6"])
    found = AffWild2().read(root)
    assert found.classes == tuple(EXPRESSIONS.split(",")[:7])
    assert any("an edition before 2022" in p for p in found.problems)
    text(paths[0], [EXPRESSIONS, "0"])
    with pytest.raises(UserError, match="mixes editions"):
        AffWild2().read(root)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "begins with nothing; the header is Neutral"),
        (["Happiness,Neutral"], "begins with Happiness,Neutral"),
        ([EXPRESSIONS, "8"], "line 2 is 8; no label"),
        ([EXPRESSIONS, "0", "-5"], "line 3 is -5"),
        ([EXPRESSIONS, "0.5"], r"line 2 is 0.5"),
        ([EXPRESSIONS, "x"], "without 1 number"),
    ],
)
def test_damaged_annotation(tmp_path: Path, lines: list[str], message: str) -> None:
    root = write_aff_wild2(tmp_path)
    text(root / "Annotations/EXPR_Recognition_Challenge/Train_Set/video1_left.txt", lines)
    with pytest.raises(UserError, match=message):
        AffWild2().read(root)


def test_several_editions_need_a_choice(tmp_path: Path) -> None:
    root = write_aff_wild2(tmp_path)
    (root / "old" / "x").mkdir(parents=True)
    (root / "Annotations/EXPR_Recognition_Challenge").rename(root / "old/EXPR_Recognition_Challenge")
    write_aff_wild2(tmp_path)
    with pytest.raises(UserError, match="say which with the option annotations"):
        AffWild2().read(root)
    assert len(AffWild2(annotations="old").read(root).entries) == 3


def test_wrong_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="looked for VA_Estimation_Challenge/ with Train_Set and Validation_Set/"):
        AffWild2("va").read(tmp_path)
