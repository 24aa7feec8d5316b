"""Movements of a stored face: what `mien prepare --movements` keeps of each frame beside its crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from mien.errors import UserError
from mien.movements.names import COEFFICIENTS, NUM_POINTS

MOVEMENTS = pa.schema(
    [
        ("coefficients", pa.list_(pa.list_(pa.float32(), len(COEFFICIENTS)))),  # 0 to 1; NaN where no face is seen
        ("mesh", pa.list_(pa.list_(pa.float16(), 3 * NUM_POINTS))),  # 478 x (x, y, z), `unit_mesh`; NaN likewise
        ("presence", pa.list_(pa.float32())),  # 0 to 1, how sure the landmarker is of a face
    ]
)
CORNERS = (33, 263)
"""Outer corners of the eyes among the points, image left first."""


@dataclass(frozen=True)
class Movements:
    """Of the T frames of one row.

    Args:
        coefficients: [T, 52] float32, 0 to 1, NaN where the face is not seen.
        mesh: [T, 478, 3] float16 in distances between the outer eye corners, from the middle between them; NaN likewise.
        presence: [T] float32, 0 to 1.
    """

    coefficients: np.ndarray
    mesh: np.ndarray
    presence: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """bool [T]."""
        return np.asarray(np.isfinite(self.coefficients).all(axis=1))

    def arrays(self) -> list[pa.Array]:
        """Columns of one row, as `MOVEMENTS` has them."""
        count = len(self.presence)
        parts = (self.coefficients.astype(np.float32), self.mesh.reshape(count, -1).astype(np.float16))
        lists = [pa.FixedSizeListArray.from_arrays(pa.array(p.reshape(-1)), p.shape[1]) for p in parts]
        columns = [*lists, pa.array(self.presence.astype(np.float32))]
        return [pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), c) for c in columns]

    @classmethod
    def read(cls, batch: pa.RecordBatch) -> Self:
        """Of one row of a shard. Raises UserError for shards without."""
        if "mesh" not in batch.schema.names:
            raise UserError("these shards hold no movements: prepare the videos into another folder with --movements")
        coefficients, mesh, presence = (batch.column(name).values for name in MOVEMENTS.names)
        return cls(
            coefficients.flatten().to_numpy().reshape(-1, len(COEFFICIENTS)),
            mesh.flatten().to_numpy().reshape(-1, NUM_POINTS, 3),
            presence.to_numpy(),
        )


def unit_mesh(points: np.ndarray) -> np.ndarray:
    """Points ``[..., 478, 3]`` in any unit, from the middle of the outer eye corners and in their distance."""
    left, right = points[..., CORNERS[0], :], points[..., CORNERS[1], :]
    distance = np.linalg.norm(right - left, axis=-1)[..., None, None]
    return (points - ((left + right) / 2)[..., None, :]) / np.maximum(distance, 1e-6)
