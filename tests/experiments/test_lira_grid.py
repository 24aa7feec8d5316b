"""The pure parts of experiments/lira_grid.py: `pytest tests/test_lira_grid.py`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lira_grid import SIZE, SPLIT, Options, Sentence, listing, opening, probe

from mien.faces.align import FIVE_POINT


def test_the_opening_grows_with_a_dark_mouth_and_not_with_the_light():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    (left, height), (right, _) = FIVE_POINT[3] * SIZE, FIVE_POINT[4] * SIZE
    gaps = np.abs(np.sin(np.arange(40) / 5)) * 7
    frames = []
    for gap in gaps:
        inside = ((x - (left + right) / 2) / 9) ** 2 + ((y - height - 5) / (0.01 + gap)) ** 2 < 1
        frames.append(np.where(inside, 40, 150) + rng.normal(0, 3, x.shape))
    found = opening(np.clip(frames, 0, 255).astype(np.uint8))
    assert np.corrcoef(found, gaps)[0, 1] > 0.97
    assert found[gaps < 0.1].max(initial=0) < 0.01
    darker = opening(np.clip(0.7 * np.array(frames), 0, 255).astype(np.uint8))
    np.testing.assert_allclose(darker, found, atol=0.02)


def test_sentences_of_the_test_split_are_not_even_prepared(tmp_path: Path):
    grid, faces = tmp_path / "grid", tmp_path / "faces"
    for folder in (grid, faces):
        folder.mkdir()
    splits = {"aaaa1n": "train", "bbbb2n": "val", "cccc3n": "test", "dddd4n": "train"}
    (grid / "labels.csv").write_text("path,split\n" + "".join(f"clips/{k}.mp4,{v}\n" for k, v in splits.items()))
    for name in ("grid_aaaa1n.mpg", "grid_bbbb2n.mpg", "grid_cccc3n.mpg", "other.mp4", "SOURCES.tsv"):
        (faces / name).touch()
    count = listing(Options(grid, tmp_path, faces, sentences=2), tmp_path / "videos.csv")
    with (tmp_path / "videos.csv").open() as file:
        rows = {Path(r["path"]).stem: r[SPLIT] for r in csv.DictReader(file)}
    assert rows == {"aaaa1n": "train", "bbbb2n": "test", "grid_aaaa1n": "train", "other": "train"}
    assert count == 4


def test_the_probe_is_scored_on_held_out_sentences_and_skips_frames_without_sound():
    rng = np.random.default_rng(0)
    data, inputs = [], []
    for k in range(12):
        x = rng.normal(0, 1, (30, 5))
        loud = x @ np.array([1.0, -1, 0, 0, 0]) + 0.1 * rng.normal(0, 1, 30)
        loud[:3] = np.nan
        data.append(Sentence(np.zeros(0), rng.normal(0, 1, 30), loud, held_out=k >= 8))
        inputs.append(x)
    found = probe(inputs, data, "loudness")
    assert found["frames"] == 4 * 27
    assert found["r2"] > 0.98
    assert found["r"] == pytest.approx(found["r2"] ** 0.5, abs=0.01)
    assert abs(probe(inputs, data, "opening")["r"]) < 0.3
