"""Shards with targets and folds for tests of scoring, and models of a few weights with known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from torch import nn

from mien.contract import CropContract, Store
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, ShardWriter, write_contract
from mien.models import Model, Provenance
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.transforms.clip import Augment, ClipSpec

SIZE, FRAMES = 32, 20
CLIP = ClipSpec(8, 1, 0.04, SIZE)
FAILED = {"status": "no_face", "reason": "no face in 20 frames", "shard": "", "row": -1, "num_frames": 0, "track": -1}


def write_grey(root: Path, levels: list[float], columns: list[dict[str, Any]], per_frame: bool = False) -> Path:
    """A clip of noise for each level in 0..1, whose mean brightness is the level; per frame: it rises to the level.

    A dictionary of `columns` overrides what a manifest row has.
    """
    rng = np.random.default_rng(0)
    (root / "shards").mkdir(parents=True)
    rows = []
    with ShardWriter(root / "shards" / "a.arrow", ("arousal",) if per_frame else ()) as writer:
        for i, (level, extra) in enumerate(zip(levels, columns, strict=True)):
            ramp = np.linspace(0, level, FRAMES) if per_frame else np.full(FRAMES, level)
            noise = rng.normal(0, 12, (FRAMES, SIZE, SIZE, 1))
            frames = np.broadcast_to(40 + 170 * ramp[:, None, None, None] + noise, (FRAMES, SIZE, SIZE, 3))
            jpegs = [simplejpeg.encode_jpeg(np.ascontiguousarray(f.clip(0, 255).astype(np.uint8)), 95) for f in frames]
            blank, times = np.zeros((FRAMES, 10), np.float32), np.arange(FRAMES) / 25
            targets = {"arousal": ramp.astype(np.float32)} if per_frame else {}
            row = writer.add(
                ShardRow(f"c{i}.mp4/0/0", jpegs, times, blank[:, :4], blank, blank[:, 0] + 1, targets=targets)
            )
            rows.append(
                dict(clip_id=f"c{i}.mp4/0/0", source=f"c{i}.mp4", track=0, segment=0, start_s=0.0, end_s=0.76, fps=25.0,
                     num_frames=FRAMES, subject=None, split="test", status="ok", reason="", origin="drawn", shard="a.arrow",
                     row=row, score=1.0, face_px=32.0, sharpness=1.0, yaw=0.0) | extra
            )  # fmt: skip
    for row in rows:
        if row["status"] != "ok":
            row["clip_id"] = row["source"]
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=SIZE)))
    return root


class Brightness(nn.Module):
    """Answers with the mean brightness of a clip (or of each frame) in 0..1, or with the class that it falls into."""

    whole_tracks = False

    def __init__(self, spec: LabelSpec):
        super().__init__()
        self.spec = spec

    def plain_augment(self) -> Augment:
        return self.spec.clip.plain()

    def predict(self, clip: torch.Tensor) -> torch.Tensor:
        mean = torch.tensor(self.spec.clip.mean)[:, None, None, None]
        std = torch.tensor(self.spec.clip.std)[:, None, None, None]
        level = ((clip * std + mean) * 255 - 40) / 170
        level = level.mean(dim=(1, 2, 3, 4)) if self.spec.per == "clip" else level.mean(dim=(1, 3, 4))
        if self.spec.kind != "categorical":
            return level[..., None].expand(*level.shape, len(self.spec.names))
        count = len(self.spec.names)
        index = (level * count).floor().long().clamp(0, count - 1)
        return nn.functional.one_hot(index, count).float() * 0.9 + 0.1 / count


def folder_of(spec: LabelSpec, path: Path) -> Model:
    """What `load` would give for such a model."""
    config = ClassifyConfig(spec) if spec.kind == "categorical" else RegressConfig(spec)
    return Model(Brightness(spec).eval(), config, Provenance(), path, "0" * 12)


def spec_of(names: tuple[str, ...], **fields: Any) -> LabelSpec:
    common: dict[str, Any] = {"clip": CLIP, "views": 2}
    common |= {"contract": CropContract(store=Store(size=SIZE))}
    return LabelSpec(names, **(common | fields))
