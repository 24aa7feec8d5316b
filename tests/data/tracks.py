"""Grey shards of tracks in several rows, whose ratings and brightness are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from mien.contract import CropContract, Store
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, Shards, ShardWriter, write_contract

FPS, SIZE = 25, 16


def write_tracks(root: Path, tracks: dict[str, list[tuple[float, int]]], fps: float = FPS, size: int = SIZE) -> Shards:
    """For each video rows of (first time, frames). The brightness of a frame is 20 + 2 * its number in the video (modulo 256),
    its valence the time in seconds divided by 10, its arousal that less 0.3; videos named test... are of the test part."""
    (root / "shards").mkdir(parents=True)
    rows = []
    with ShardWriter(root / "shards" / "a.arrow", ("valence", "arousal")) as writer:
        for name, parts in tracks.items():
            for segment, (start, count) in enumerate(parts):
                times = start + np.arange(count) / fps
                levels = 20 + 2 * np.round(times * fps).astype(int)
                jpegs = [
                    simplejpeg.encode_jpeg(np.full((size, size, 1), v % 256, np.uint8), 95, "GRAY", "Gray")
                    for v in levels
                ]
                blank = np.zeros((count, 10), np.float32)
                rated = (times / 10).astype(np.float32)
                targets = {"valence": rated, "arousal": rated - np.float32(0.3)}
                split = "test" if name.startswith("test") else "train"
                clip_id = f"{name}/0/{segment}"
                row = writer.add(ShardRow(clip_id, jpegs, times, blank[:, :4], blank, blank[:, 0] + 1, targets=targets))
                rows.append(
                    dict(clip_id=clip_id, source=name, track=0, segment=segment, start_s=start, end_s=float(times[-1]),
                         fps=fps, num_frames=count, subject=name, split=split, status="ok", reason="", origin="drawn",
                         shard="a.arrow", row=row, score=1.0, face_px=32.0, sharpness=1.0, yaw=0.0)
                )  # fmt: skip
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=size, color=False)))
    return Shards(root)
