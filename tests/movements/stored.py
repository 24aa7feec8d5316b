"""Shards whose faces move as a test says: no pixels worth looking at, and movements that are made by code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from mien.contract import CropContract, Store
from mien.data.manifest import Manifest
from mien.data.movements import Movements, unit_mesh
from mien.data.shards import ShardRow, ShardWriter, write_contract
from mien.movements.names import COEFFICIENTS

SIZE, FRAMES = 16, 15
SMILE = COEFFICIENTS.index("mouthSmileLeft")
MOUTH = (61, 291, 0, 17)
"""Points that `moved` moves."""


@dataclass(frozen=True)
class Face:
    """One clip.

    Args:
        level: [T] how far the mouth moves, and the coefficient of the smile.
        seen: [T] where the face is seen; None everywhere.
        columns: of its manifest row.
    """

    level: np.ndarray
    seen: np.ndarray | None = None
    columns: dict[str, Any] = field(default_factory=dict)


def resting(seed: int = 0) -> np.ndarray:
    """A mesh [478, 3] in pixels that is no face, but has its points in all three dimensions."""
    points = np.random.default_rng(seed).normal(0, 60, (478, 3))
    points[33], points[263] = (-50, 0, 0), (50, 0, 0)
    return points


def turned(points: np.ndarray, degrees: Sequence[float]) -> np.ndarray:
    """Points [..., 3] turned about x, y and z."""
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        points = points @ turn.T
    return points


def moved(level: float, rng: np.random.Generator) -> np.ndarray:
    """The resting mesh with its mouth moved, in a pose drawn at random."""
    points = resting()
    points[list(MOUTH), 1] += 30 * level
    points += rng.normal(0, 0.05, points.shape)
    return turned(points, rng.uniform(-20, 20, 3).tolist()) * rng.uniform(0.5, 2) + rng.uniform(-100, 100, 3)


def movements(face: Face, rng: np.random.Generator) -> Movements:
    count = len(face.level)
    seen = np.ones(count, bool) if face.seen is None else face.seen
    coefficients = rng.uniform(0.1, 0.2, (count, len(COEFFICIENTS))).astype(np.float32)
    coefficients[:, SMILE] = face.level
    mesh = unit_mesh(np.stack([moved(v, rng) for v in face.level])).astype(np.float16)
    coefficients[~seen], mesh[~seen] = np.nan, np.nan
    return Movements(coefficients, mesh, seen.astype(np.float32))


def write_faces(root: Path, faces: Sequence[Face]) -> Path:
    """Shards with a row for each face; its columns override what the row has (split train, no subject)."""
    rng = np.random.default_rng(0)
    (root / "shards").mkdir(parents=True)
    jpeg, rows = simplejpeg.encode_jpeg(np.zeros((SIZE, SIZE, 3), np.uint8)), []
    with ShardWriter(root / "shards" / "a.arrow", movements=True) as writer:
        for i, face in enumerate(faces):
            count, name = len(face.level), f"c{i:03d}.mp4"
            blank = np.zeros((count, 10), np.float32)
            row = writer.add(
                ShardRow(
                    f"{name}/0/0", [jpeg] * count, np.arange(count) / 25, blank[:, :4], blank, blank[:, 0] + 1,
                    movements=movements(face, rng),
                )
            )  # fmt: skip
            rows.append(
                dict(clip_id=f"{name}/0/0", source=name, track=0, segment=0, start_s=0.0, end_s=(count - 1) / 25, fps=25.0,
                     num_frames=count, subject=None, split="train", status="ok", reason="", origin="drawn", shard="a.arrow",
                     row=row, score=1.0, face_px=32.0, sharpness=1.0, yaw=0.0) | face.columns
            )  # fmt: skip
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=SIZE, movements=True)))
    return root


def smiles(
    count: int, column: Callable[[int], dict[str, Any]], offset: Callable[[int], float] = lambda i: 0.0
) -> list[Face]:
    """Every second face smiles more to the end, the others less: in the mean over a clip they are alike."""
    rise = np.linspace(0.1, 0.9, FRAMES)
    return [
        Face((rise if i % 2 else rise[::-1]) + offset(i), columns={"label": "up" if i % 2 else "down", **column(i)})
        for i in range(count)
    ]
