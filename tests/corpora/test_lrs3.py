"""LRS3: parts, splits, counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.corpora.lrs3 import LRS3
from mien.errors import UserError
from tests.corpora.dimensional import by_source, prepared, touch, write_lrs3


def test_prepared(tmp_path: Path) -> None:
    manifest, _ = prepared("lrs3", write_lrs3(tmp_path / "in"), tmp_path / "out")
    rows = by_source(manifest)
    assert {k: (r["subject"], r["split"], r["status"]) for k, r in rows.items()} == {
        "pretrain/00j9bKdiOjk/50001.mp4": ("00j9bKdiOjk", "train", "ok"),
        "trainval/0Fi83BHQsMA/00002.mp4": ("0Fi83BHQsMA", "train", "ok"),
        "test/0Fn9ZGrTaVU/00001.mp4": ("0Fn9ZGrTaVU", "test", "ok"),
    }


def test_counts_of_the_real_test_part(tmp_path: Path) -> None:
    touch(tmp_path, (f"test/talk{i % 412:03d}/{i // 412:05d}.mp4" for i in range(1_321)))
    assert LRS3("test").read(tmp_path).problems == ()
    (tmp_path / "test/talk000/00000.mp4").unlink()
    assert LRS3("test").read(tmp_path).problems == ("test: 1,320 utterances, published 1,321",)
    assert "2 parts missing: pretrain, trainval" in LRS3().read(tmp_path).problems


def test_talks_on_both_sides_are_named(tmp_path: Path) -> None:
    touch(tmp_path, ["pretrain/a/1.mp4", "trainval/a/1.mp4", "trainval/b/1.mp4", "test/b/1.mp4"])
    assert "1 talks in both train and test: b" in LRS3().read(tmp_path).problems


def test_unknown_part(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="parts=dev; allowed are pretrain, trainval, test"):
        LRS3("dev").read(tmp_path)
