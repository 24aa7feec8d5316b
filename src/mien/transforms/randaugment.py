"""RandAugment over clips: a few random operations, the same for every frame of a clip (decisions: randaugment)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.transforms import geometry, photometric

OPS = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "SolarizeAdd",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
)
# What a slot of the parameters can hold: -1 nothing, else an index into this. "Affine" is any run of geometric ones.
KINDS = (*photometric.TABLES, *photometric.FILTERS, "Affine")
FILL = 128
MAX_LEVEL = 10
# At level 10. Degrees, slope, share of the side, distance of the factor from 1.
ROTATE, SHEAR, TRANSLATE, ENHANCE = 30, 0.3, 0.45, 0.9
SOLARIZE_ADD = 110
MIN_FACTOR = 0.1


@dataclass(frozen=True)
class RandAugment:
    """``rand-m7-n4-mstd0.5-inc1``: each of `num_ops` draws is one of 15 operations, applied with probability `prob`.

    Neighbouring geometric operations are drawn as one affine map, so that a clip is interpolated once; this differs
    from one after the other only where the first had already moved pixels out of the picture.
    """

    magnitude: float = 7.0
    magnitude_std: float = 0.5
    num_ops: int = 4
    prob: float = 0.5

    def draw(self, rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
        """For each slot its kind int64 [num_ops] (see `KINDS`), value float32 [num_ops], matrix float32 [num_ops, 2, 3]."""
        kinds = np.full(self.num_ops, -1, np.int64)
        values = np.zeros(self.num_ops, np.float32)
        matrices = np.tile(np.eye(2, 3), (self.num_ops, 1, 1))
        slot = -1
        for op in (OPS[i] for i in rng.integers(len(OPS), size=self.num_ops)):
            level = float(np.clip(rng.normal(self.magnitude, self.magnitude_std), 0, MAX_LEVEL)) / MAX_LEVEL
            sign = 1 if rng.uniform() < 0.5 else -1
            if rng.uniform() >= self.prob:
                continue
            if op in KINDS:
                slot += 1
                kinds[slot], values[slot] = KINDS.index(op), strength(op, level, sign)
                continue
            if slot < 0 or KINDS[kinds[slot]] != "Affine":
                slot += 1
            kinds[slot] = KINDS.index("Affine")
            matrices[slot] = geometry.compose(matrices[slot], moved(op, level * sign, size))
        return {"ops": kinds, "values": values, "matrices": matrices.astype(np.float32)}


def strength(op: str, level: float, sign: int) -> float:
    """The `value` of a photometric operation (see `photometric`) at `level` 0..1, in the "increasing" variant."""
    if op == "Posterize":
        return 4 - int(level * 4)
    if op == "Solarize":
        return 256 - min(256, int(level * 256))
    if op == "SolarizeAdd":
        return min(128, int(level * SOLARIZE_ADD))
    return max(MIN_FACTOR, 1 + sign * level * ENHANCE)


def moved(op: str, level: float, size: int) -> np.ndarray:
    """The [2, 3] output-to-input pixel map of a geometric operation at `level` -1..1."""
    if op == "Rotate":
        return geometry.rotation(level * ROTATE, size)
    row, column = {"ShearX": (0, 1), "ShearY": (1, 0), "TranslateX": (0, 2), "TranslateY": (1, 2)}[op]
    matrix = np.eye(2, 3)
    matrix[row, column] += level * (TRANSLATE * size if op.startswith("Translate") else SHEAR)
    return matrix


def apply(frames: Tensor, ops: Tensor, values: Tensor, matrices: Tensor) -> Tensor:
    """Runs the drawn operations slot by slot over uint8 frames [B, T, S, S, C]; clips without any cost nothing.

    Args:
        ops: int64 [B, num_ops], on the CPU: which clips share an operation is decided there, without waiting for a GPU.
        values: [B, num_ops]. matrices: [B, num_ops, 2, 3].
    """
    if not bool((ops >= 0).any()):
        return frames
    frames = frames.clone()
    for slot in range(ops.shape[1]):
        kinds = ops[:, slot]
        tables = _clips(kinds < len(photometric.TABLES), kinds >= 0)
        if len(tables):
            _write(
                frames, tables, _through_tables(frames[tables.to(frames.device)], kinds[tables], values[tables, slot])
            )
        for name, function in photometric.FILTERS.items():
            if len(some := _clips(kinds == KINDS.index(name))):
                there = some.to(frames.device)
                _write(frames, some, function(frames[there], values[some, slot].to(frames.device)))
        if len(some := _clips(kinds == KINDS.index("Affine"))):
            _write(frames, some, _move(frames[some.to(frames.device)], matrices[some, slot].to(frames.device)))
    return frames


def _clips(*conditions: Tensor) -> Tensor:
    return torch.stack(conditions).all(0).nonzero()[:, 0]


def _write(frames: Tensor, clips: Tensor, new: Tensor) -> None:
    frames[clips.to(frames.device, non_blocking=True)] = new


def _through_tables(frames: Tensor, kinds: Tensor, values: Tensor) -> Tensor:
    B, T, _, _, C = frames.shape
    tables = torch.empty(B, T, C, 256, dtype=torch.uint8, device=frames.device)
    for kind in kinds.unique().tolist():
        some = _clips(kinds == kind).to(frames.device)
        value = values[kinds == kind].to(frames.device)
        tables[some] = photometric.TABLES[KINDS[kind]](frames[some], value)
    return photometric.look_up(frames, tables)


def _move(frames: Tensor, matrix: Tensor) -> Tensor:
    planes = frames.permute(0, 1, 4, 2, 3).float()
    moved = geometry.affine(planes.flatten(1, 2), matrix, FILL).round_().clamp_(0, 255).to(torch.uint8)
    return moved.unflatten(1, planes.shape[1:3]).permute(0, 1, 3, 4, 2)
