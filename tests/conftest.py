"""Fixtures made by code: small shards of moving shapes, written by the same writer that `mien prepare` uses."""

from __future__ import annotations

import os
from pathlib import Path

# Two workers of a test run share two cores; more threads per process only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import simplejpeg

from mien.contract import CropContract, Store
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, ShardWriter, write_contract


def draw_clip(rng: np.random.Generator, kind: int, num_frames: int, size: int) -> np.ndarray:
    """uint8 [T, size, size, 3]: a bright disc that moves right (kind 0) or left (kind 1) over noise."""
    y, x = np.mgrid[:size, :size]
    height, color = rng.uniform(0.3, 0.7) * size, rng.uniform(120, 255, 3)
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for t in range(num_frames):
        at = (0.2 + 0.6 * t / max(1, num_frames - 1)) * size
        center = at if kind == 0 else size - at
        disc = ((x - center) ** 2 + (y - height) ** 2 < (0.18 * size) ** 2)[..., None]
        frames[t] = np.where(disc, color, 60 + rng.normal(0, 8, (size, size, 1))).clip(0, 255)
    return frames


def write_shards(root: Path, num_clips: int = 12, num_frames: int = 20, size: int = 32, origin: str = "drawn") -> Path:
    """Shards of two classes of motion, three clips a subject; the last quarter of the subjects is the test split."""
    rng = np.random.default_rng(0)
    (root / "shards").mkdir(parents=True)
    rows = []
    with ShardWriter(root / "shards" / "a.arrow") as writer:
        for i in range(num_clips):
            frames = draw_clip(rng, i % 2, num_frames, size)
            clip_id, times = f"clip{i}.mp4/0/0", np.arange(num_frames) / 25
            jpegs = [simplejpeg.encode_jpeg(f, 90, "RGB", "420") for f in frames]
            blank = np.zeros((num_frames, 10), np.float32)
            row = writer.add(ShardRow(clip_id, jpegs, times, blank[:, :4], blank, blank[:, 0] + 1))
            subject = i // 3
            split = "test" if subject >= 3 * num_clips // 12 else "train"
            rows.append(
                dict(clip_id=clip_id, source=f"clip{i}.mp4", track=0, segment=0, start_s=0.0, end_s=float(times[-1]),
                     fps=25.0, num_frames=num_frames, subject=f"s{subject}", split=split, status="ok", reason="",
                     origin=origin, shard="a.arrow", row=row, score=1.0, face_px=32.0, sharpness=1.0, yaw=0.0,
                     label=("right", "left")[i % 2])
            )  # fmt: skip
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=size)))
    return root


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of 20 frames at 32 px, two classes of motion, four subjects."""
    return write_shards(tmp_path_factory.mktemp("shards") / "motion")
