"""A contact sheet of random local warps: a row per face of the shards, the face itself and then its warped copies.

    python experiments/warp_sheet.py SHARDS OUT.png [--rows 6] [--columns 7] [--warp.magnitude 0.08 0.2]

Look at it before a long run with `contrawarping`: expressions should change, people and outlines should not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from PIL import Image

from mien.data.dataset import ClipSet
from mien.data.shards import Shards
from mien.learner import TrainingData
from mien.methods.contrawarping import ContraWarpingConfig
from mien.options import Arg
from mien.rng import generator
from mien.transforms.contrastive import sample
from mien.transforms.warp import Warp
from mien.verbs.command import script


@dataclass(frozen=True)
class Sheet:
    """A contact sheet of random local warps."""

    shards: Annotated[Path, Arg(positional=True)]
    """Faces that are warped, as mien prepare wrote them."""
    out: Annotated[Path, Arg(positional=True)]
    """Picture to write."""
    rows: int = 6
    """Faces."""
    columns: int = 7
    """Pictures of each face, the first as it is."""
    size: int = 128
    """Pixels of a picture."""
    seed: int = 0
    """Of the faces and the warps."""
    warp: Warp = field(default_factory=Warp)
    palette: int = 0
    """Colours of the picture, for small files; 0 keeps all."""


def faces(shards: Shards, count: int, seed: int) -> torch.Tensor:
    """uint8 [count, H, W, 3]: the middle frames of clips picked by the seed, of different subjects first."""
    manifest = shards.manifest.ok()
    rows = manifest.rows()
    order = generator("warp sheet clips", seed).permutation(len(rows)).tolist()
    people: dict[str, list[int]] = {}
    for k in order:
        people.setdefault(rows[k]["subject"] or rows[k]["source"], []).append(k)
    turns = [k for turn in range(max(map(len, people.values()))) for ks in people.values() for k in ks[turn : turn + 1]]
    clips = ClipSet(shards, manifest)
    out = np.empty((min(count, len(turns)), 1, clips.height, clips.width, 3), np.uint8)
    for frames, k in zip(out, turns, strict=False):
        clip = clips[k]
        clips.read(k, clip, np.array([len(clip) // 2]), frames, strict=True)
    return torch.from_numpy(out[:, 0])


def sheet(pictures: torch.Tensor, warp: Warp, columns: int, size: int, seed: int) -> np.ndarray:
    """uint8 [rows * size, columns * size, 3]; the first column is not warped."""
    planes = pictures.permute(0, 3, 1, 2).float()
    same = np.tile(np.eye(2, 3, dtype=np.float32), (len(planes), 1, 1))
    cells = []
    for column in range(columns):
        drawn = warp.drawn(generator("warp sheet", seed, column).random((len(planes), warp.numbers)))
        moved = np.full(len(planes), column > 0)
        cells.append(sample(planes, same, warp.fields(torch.from_numpy(drawn)), moved, size))
    grid = torch.stack(cells, dim=2).add(0.5).clamp(0, 255).byte()  # [rows, 3, columns, size, size]
    return grid.permute(0, 3, 2, 4, 1).reshape(len(planes) * size, columns * size, 3).numpy()


def main(args: Sheet) -> None:
    shards = Shards(args.shards)
    data = TrainingData((shards,), (shards.manifest.ok(),))
    warp = ContraWarpingConfig(warp=args.warp).fitted(data).warp
    picture = Image.fromarray(sheet(faces(shards, args.rows, args.seed), warp, args.columns, args.size, args.seed))
    if args.palette:
        picture = picture.quantize(args.palette)
    picture.save(args.out, optimize=True)
    print(f"{args.out}: {warp}")


if __name__ == "__main__":
    script(Sheet, main)
