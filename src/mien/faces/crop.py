"""Pixels of a crop: antialiased, edges of the frame repeated outwards, never black."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from mien.contract import CropContract
from mien.errors import UserError
from mien.faces.align import VOXCELEB2, face_matrix, square, template_named

BILINEAR = Image.Resampling.BILINEAR
# Bilinear sampling reads two pixels each way: down to 1/1.25 it skips none worth naming; below, the patch is shrunk.
MAX_STEP = 1.25
GRID = 16  # points each way by which the share outside is counted


def patch(image: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """image[y0:y1, x0:x1] with the frame's edge pixels repeated where the window leaves the frame."""
    height, width = image.shape[:2]
    a, b = min(max(x0, 0), width - 1), max(min(x1, width), 1)
    c, d = min(max(y0, 0), height - 1), max(min(y1, height), 1)
    inner = image[c : max(d, c + 1), a : max(b, a + 1)]
    left, top = min(max(0 - x0, 0), x1 - x0 - 1), min(max(0 - y0, 0), y1 - y0 - 1)
    right, bottom = x1 - x0 - left - inner.shape[1], y1 - y0 - top - inner.shape[0]
    if not (left or top or right or bottom):
        return inner
    inner = inner[: y1 - y0 - top, : x1 - x0 - left]
    return np.pad(inner, ((top, max(bottom, 0)), (left, max(right, 0)), (0, 0)), mode="edge")


def warp(image: np.ndarray, matrix: np.ndarray, size: int, max_step: float = MAX_STEP) -> Image.Image:
    """The size x size picture whose pixels lie at `matrix` ([2, 3], crop -> image) in the image.

    Args:
        max_step: the patch is shrunk first where a pixel of the crop is wider than so many of the image.
    """
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]]) @ matrix.T
    low, high = np.floor(corners.min(0)).astype(int) - 2, np.ceil(corners.max(0)).astype(int) + 2
    part = Image.fromarray(np.ascontiguousarray(patch(image, low[0], low[1], high[0], high[1])))
    local = matrix - np.array([[0, 0, low[0]], [0, 0, low[1]]])
    step = math.hypot(*matrix[:, 0])
    if step > max_step:
        width, height = (math.ceil(s * max_step / step) for s in part.size)
        local = local * np.array([[width / part.width], [height / part.height]])
        part = part.resize((width, height), BILINEAR)
    return part.transform((size, size), Image.Transform.AFFINE, tuple(local.ravel()), BILINEAR)


def resize(image: np.ndarray, box: tuple[float, float, float, float], size: int) -> Image.Image:
    """The rectangle x0 y0 x1 y1 of the image at size x size."""
    x0, y0, x1, y1 = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    part = Image.fromarray(np.ascontiguousarray(patch(image, x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))))
    inside = (box[0] - x0, box[1] - y0, min(box[2] - x0, part.width), min(box[3] - y0, part.height))
    return part.resize((size, size), BILINEAR, box=inside)


def cut(image: np.ndarray, box: np.ndarray, points: np.ndarray, contract: CropContract) -> np.ndarray:
    """The crop of one face as the contract says.

    Args:
        image: [H, W, 3] uint8 RGB.
        box: [4]. points: [P, 2], P of the contract's template. In the image's pixels.

    Returns:
        [S, S, 3] uint8 RGB, or [S, S, 1] grey (ITU-R 601).
    """
    geometry, size = contract.geometry, contract.store.size
    kind, margin = geometry.crop, geometry.margin
    height, width = image.shape[:2]
    if kind == "face":
        if not np.isfinite(points).all():
            number = template_named(geometry.template).num_points
            raise UserError(
                f"--crop face aligns on {number} points and these boxes lack some: give points, or --crop box"
            )
        crop = warp(image, face_matrix(points, size, margin, geometry.template), size)
    elif kind == "box":
        crop = resize(image, square(box, margin), size)
    elif kind == "voxceleb2":
        x0, y0, x1, y1 = VOXCELEB2
        crop = resize(image, (x0 * width, y0 * height, x1 * width, y1 * height), size)
    else:
        crop = resize(image, (0, 0, width, height), size)
    return np.asarray(crop) if contract.store.color else np.asarray(crop.convert("L"))[..., None]


def sharpness(crop: np.ndarray) -> float:
    """Variance of the four-neighbour Laplacian of the grey crop [S, S, C] (0..255 scale); low = blurred or flat."""
    grey = np.asarray(Image.fromarray(crop).convert("L")) if crop.shape[2] == 3 else crop[..., 0]
    g = grey.astype(np.int16)
    edges = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * g[1:-1, 1:-1]
    return float(edges.astype(np.float32).var())


def outside(frame: tuple[int, int], box: np.ndarray, points: np.ndarray, contract: CropContract) -> float:
    """Share of a crop that lies beyond the frame (width, height), where its edge pixels are repeated."""
    geometry = contract.geometry
    grid = (np.arange(GRID) + 0.5) / GRID
    across, down = (a.ravel() for a in np.meshgrid(grid, grid))
    if geometry.crop == "face":
        matrix = face_matrix(points, 1, geometry.margin, geometry.template)
        x, y = matrix @ np.stack([across, down, np.ones_like(down)])
    elif geometry.crop == "box":
        x0, y0, x1, y1 = square(box, geometry.margin)
        x, y = x0 + (x1 - x0) * across, y0 + (y1 - y0) * down
    else:
        return 0.0
    return float(np.mean((x < 0) | (y < 0) | (x > frame[0]) | (y > frame[1])))
