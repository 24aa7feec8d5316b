"""VoxCeleb2: paths, the fixed patch, the published counts, broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from mien.corpora.voxceleb2 import VoxCeleb2, listing
from tests.corpora.dimensional import by_source, clip_of, faces, prepared, text, write_voxceleb2


def test_prepared_patch(tmp_path: Path) -> None:
    manifest, shards = prepared("voxceleb2", write_voxceleb2(tmp_path / "in"), tmp_path / "out")
    rows = by_source(manifest)
    assert len(rows) == len(manifest) == 3
    assert {(r["subject"], r["video"], r["split"]) for r in rows.values()} == {
        ("id00012", "21Uxsk56VDQ", "train"),
        ("id00012", "2DLq_Kkc1r8", "train"),
        ("id09272", "u7VNkYraCw0", "train"),
    }
    row = rows["dev/mp4/id00012/21Uxsk56VDQ/00001.mp4"]
    assert row["num_frames"] == len(faces())
    crop = simplejpeg.decode_jpeg(bytes(clip_of(shards, row).jpeg(0)), "RGB")
    # the drawn frame was enlarged 96 -> 224: columns 32-191 and rows 0-159 of it are 13.7-82.3 and 0-68.6 of 96
    want = faces()[0][0:69, 14:82].astype(float).mean((0, 1))
    assert np.abs(crop.astype(float).mean((0, 1)) - want).max() < 4


def test_counts_of_the_real_size() -> None:
    """The test part: 36,237 names of as many videos and speakers as published, nothing to report."""
    videos = [f"id{i % 118:05d}/video{i:04d}" for i in range(4_911)]
    counts = [7 + (i < 36_237 - 7 * 4_911) for i in range(4_911)]
    names = [f"{v}/{n:05d}.mp4" for v, c in zip(videos, counts, strict=True) for n in range(c)]
    found = listing(names, "test", "test/mp4", set())
    assert found.problems == ()
    assert {e.values["split"] for e in found.entries} == {"test"}
    assert listing(names[1:], "test", "test/mp4", set()).problems == ("utterances: 36,236 in test, published 36,237",)


def test_broken_files_are_left_out_and_named(tmp_path: Path) -> None:
    root = write_voxceleb2(tmp_path / "in")
    lines = ["/data/vox2/dev/mp4/id09272/u7VNkYraCw0/00027.mp4 0", "id00012/zzz/00009"]
    found = VoxCeleb2(broken=str(text(tmp_path / "broken.csv", lines))).read(root)
    assert len(found.entries) == 2
    assert "1 listed as broken and left out: id09272/u7VNkYraCw0/00027" in found.problems
    assert "1 listed as broken but not there: id00012/zzz/00009" in found.problems
    assert "utterances: 3 in dev, published 1,092,009" in found.problems


def test_the_folder_may_be_given_at_any_level(tmp_path: Path) -> None:
    root = write_voxceleb2(tmp_path / "in")
    for level in (root, root / "dev", root / "dev/mp4"):
        assert all((level / e.path).is_file() for e in VoxCeleb2().read(level).entries)
