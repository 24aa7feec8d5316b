"""LiRA from shards to a model: it learns what the mouth says, and nothing from sound that belongs to another face."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from mien.contract import CropContract, Store
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, ShardWriter, write_contract
from mien.encoders.lip_reading import LipReadingConfig
from mien.errors import UserError
from mien.methods.lira import LiRA, LiRAConfig
from mien.models.folder import load
from mien.recipes import index, recipe
from mien.recipes.lira import lira_micro
from mien.train.loop import TrainConfig
from mien.verbs.pretrain import pretrain

CLIPS, FRAMES, RATE = 24, 30, 25


def write_talking(root: Path, own_sound: bool, mute: bool = False) -> Path:
    """Dark ellipses that open and close on grey, with noise as loud as they are open, or as those of another clip are."""
    rng = np.random.default_rng(0)
    (root / "shards").mkdir(parents=True)
    y, x = np.mgrid[:36, :36] - 17.5
    opening = 0.5 + 0.5 * np.sin(rng.uniform(0, 6, (CLIPS, 1)) + rng.uniform(0.3, 0.9, (CLIPS, 1)) * np.arange(FRAMES))
    rows, blank = [], np.zeros((FRAMES, 10), np.float32)
    with ShardWriter(root / "shards" / "a.arrow") as writer:
        for k in range(CLIPS):
            pictures = [np.where((x / 9) ** 2 + (y / (0.1 + 9 * o)) ** 2 < 1, 20, 150) for o in opening[k]]
            jpegs = [simplejpeg.encode_jpeg(p[..., None].astype(np.uint8), 90, "GRAY", "Gray") for p in pictures]
            loud = np.repeat(opening[k if own_sound else k - 1], 640)
            heard = (6000 * loud * rng.normal(0, 1, len(loud))).clip(-32767, 32767).astype(np.int16)
            times = np.arange(FRAMES) / RATE
            row = writer.add(
                ShardRow(f"{k}/0/0", jpegs, times, blank[:, :4], blank, blank[:, 0], heard[: 0 if mute else None], 0.0)
            )
            rows.append(
                dict(clip_id=f"{k}/0/0", source=str(k), track=0, segment=0, start_s=0.0, end_s=float(times[-1]),
                     fps=25.0, num_frames=FRAMES, subject=str(k), split="test" if k >= 18 else "train", status="ok",
                     reason="", origin="drawn", shard="a.arrow", row=row)
            )  # fmt: skip
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=36, color=False)))
    return root


def held_out_ratio(data: Path, out: Path, steps: int) -> float:
    micro = lira_micro()
    seen = replace(micro.method.clip, num_frames=20, size=36)
    small = micro.learning(encoder=LipReadingConfig(width=4), clip=seen, crop=32, dim=32, depth=1, kernel=3)
    train = TrainConfig(batch_size=6, steps=steps, workers=0)
    pretrain(replace(small, train=train), [data], out, optim_lr=0.1, device="cpu")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["held_out_ratio"] for line in lines if "held_out_ratio" in line][-1]


def test_it_learns_from_its_own_sound_alone(tmp_path):
    own = held_out_ratio(write_talking(tmp_path / "own", True), tmp_path / "run", 60)
    other = held_out_ratio(write_talking(tmp_path / "other", False), tmp_path / "control", 60)
    assert own < 0.75
    assert other > 0.95
    assert isinstance(load(tmp_path / "run" / "model").module, LiRA)


def test_videos_without_sound_are_refused_before_anything_is_written(tmp_path):
    data = write_talking(tmp_path / "mute", True, mute=True)
    with pytest.raises(UserError, match="no clip to train on has sound"):
        pretrain("lira-micro", [data], tmp_path / "run", device="cpu", size=36, crop=32)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", index(("lira",)))
def test_recipes_are_whole(name):
    experiment = recipe(name)
    assert experiment.name == name
    method = experiment.method
    assert isinstance(method, LiRAConfig)
    if name != "lira-micro":
        assert (method.clip.size, method.crop, method.flip) == (96, 80, 0.5)
        assert sum(p.numel() for p in method.build().encoder.parameters()) == 11_182_784
