"""Warps move what they say and leave the rest where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import UserError
from mien.faces.align import FIVE_POINT
from mien.rng import generator
from mien.transforms.contrastive import sample
from mien.transforms.warp import EYE, EYE_DISTANCE, FACE, LATTICE, MOUTH, NOSE, Warp

SIZE = 120


def drawn(warp: Warp, count: int, seed: int = 0) -> np.ndarray:
    return warp.drawn(generator("test warps", seed).random((count, warp.numbers)))


def shifts(warp: Warp, coefficients: np.ndarray) -> np.ndarray:
    """[B, 2, LATTICE, LATTICE] in eye distances of an unmargined crop."""
    return warp.fields(torch.from_numpy(coefficients)).numpy() / (2 * EYE_DISTANCE)


def column(name: str) -> int:
    """First basis field of a move."""
    return sum(1 + m.paired for m in list(FACE.values())[: list(FACE).index(name)])


def one(name: str, strength: float, both: bool = True) -> np.ndarray:
    coefficients = np.zeros((1, 2, sum(1 + m.paired for m in FACE.values())), np.float32)
    at = column(name)
    coefficients[0, 0, at : at + (2 if both and FACE[name].paired else 1)] = strength
    return coefficients


def where_to(coefficients: np.ndarray, x: float, y: float, warp: Warp | None = None) -> np.ndarray:
    """Where the warped picture shows what was at (x, y) of the unit square: the picture holds its own coordinates."""
    line = (torch.arange(SIZE) + 0.5) / SIZE
    picture = torch.stack(torch.meshgrid(line, line, indexing="xy"))[None]
    field = (warp or Warp()).fields(torch.from_numpy(coefficients))
    out = sample(picture, np.eye(2, 3, dtype=np.float32)[None], field, np.ones(1, bool), SIZE)[0]
    nearest = ((out[0] - x) ** 2 + (out[1] - y) ** 2).argmin().item()
    return np.array([nearest % SIZE + 0.5, nearest // SIZE + 0.5]) / SIZE


def test_the_face_lies_on_the_template_that_faces_are_aligned_to():
    mirrored = [EYE, (1 - EYE[0], EYE[1]), NOSE, MOUTH, (1 - MOUTH[0], MOUTH[1])]
    np.testing.assert_allclose(mirrored, FIVE_POINT)
    np.testing.assert_allclose(EYE_DISTANCE, FIVE_POINT[1, 0] - FIVE_POINT[0, 0])


@pytest.mark.parametrize("layout", ["face", "grid"])
def test_the_border_stays(layout):
    warp = Warp(layout=layout, magnitude=(0.3, 0.5), moves=(5, 9))
    field = shifts(warp, drawn(warp, 50))
    edges = np.stack([field[:, :, 0], field[:, :, -1], field[:, :, :, 0], field[:, :, :, -1]])
    assert np.abs(edges).max() == 0
    assert np.abs(field).max((1, 2, 3)).min() > 0.05


def test_the_outline_of_the_face_stays():
    field = shifts(Warp(), drawn(Warp(magnitude=(0.3, 0.5)), 50))
    line = np.linspace(0, 1, LATTICE)
    x, y = np.meshgrid(line, line)
    outside = np.abs((x - 0.5) / 0.33) ** 3 + np.abs((y - 0.53) / 0.38) ** 3 >= 1
    assert outside.mean() > 0.4
    assert np.abs(field[:, :, outside]).max() == 0


@pytest.mark.parametrize(
    ("name", "x", "y", "dx", "dy"),
    [
        ("stretch", 0.385, 0.690, -1.0, 0.15),
        ("knit", 0.440, 0.330, 0.7, 0.5),
        ("lower lip", 0.5, 0.725, 0.0, -0.8),
        ("outer brow", 0.285, 0.315, 0.0, -0.9),
    ],
)
def test_a_move_takes_its_point_where_it_says(name, x, y, dx, dy):
    strength = 0.12
    there = where_to(one(name, strength), x, y)
    moved = (there - (x, y)) / (strength * EYE_DISTANCE)
    direction = moved @ (dx, dy) / np.hypot(*moved) / np.hypot(dx, dy)
    assert direction > 0.95
    # The place from which a pixel reads lies before it: at the end of a shift the Gaussian has already fallen.
    assert 0.6 < np.hypot(*moved) / np.hypot(dx, dy) < 1.3


def test_a_move_of_the_brows_leaves_the_mouth_alone():
    for x, y in ((0.5, 0.69), MOUTH, NOSE):
        np.testing.assert_allclose(where_to(one("inner brow", 0.2), x, y), (x, y), atol=1 / SIZE)


def test_both_sides_are_mirror_images_and_one_side_is_one():
    both = shifts(Warp(), one("corner", 0.2))[0]
    np.testing.assert_allclose(both[0], -both[0, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(both[1], both[1, :, ::-1], atol=1e-6)
    alone = shifts(Warp(), one("corner", 0.2, both=False))[0]
    half = LATTICE // 2
    assert np.abs(alone[:, :, half + 6 :]).max() < 0.1 * np.abs(alone).max()


def test_mirrored_draws_without_asymmetry_make_symmetric_fields():
    warp = Warp(one_sided=0.0, asymmetry=0.0)
    field = shifts(warp, drawn(warp, 20))
    middle = [k for k, m in enumerate(FACE.values()) if not m.paired]
    assert len(middle) == 2  # a turned move on the middle line is not symmetric
    symmetric = np.abs(field[:, 0] + field[:, 0, :, ::-1]).max((1, 2)) < 1e-5
    assert symmetric.sum() >= 3


def test_number_and_size_of_the_moves():
    warp = Warp(moves=(2, 4), magnitude=(0.1, 0.2), turn=0.0, asymmetry=0.0, one_sided=0.25)
    along = drawn(warp, 3000)[:, 0]
    starts = [column(name) for name in FACE]
    used = np.stack([along[:, s : s + 1 + m.paired].any(1) for s, m in zip(starts, FACE.values(), strict=True)], 1)
    counts = np.bincount(used.sum(1), minlength=6)
    assert counts[[0, 1, 5]].sum() == 0
    assert counts[2:5].min() > 800
    at = column("stretch")
    pair = along[used[:, list(FACE).index("stretch")], at : at + 2]
    assert abs((pair == 0).any(1).mean() - 0.25) < 0.05
    assert abs((pair[:, 0] == 0).mean() - 0.125) < 0.04
    sizes = np.abs(pair).max(1)
    assert 0.1 <= sizes.min() < 0.105
    assert 0.195 < sizes.max() <= 0.2 + 1e-6
    assert abs((pair.sum(1) > 0).mean() - 0.5) < 0.06


@pytest.mark.parametrize("layout", ["face", "grid"])
def test_nothing_folds(layout):
    warp = Warp(layout=layout, magnitude=(0.4, 0.5), moves=(9, 11))
    field = warp.fields(torch.from_numpy(drawn(warp, 100))) * (LATTICE - 1) / 2
    across, down = field.diff(dim=3)[:, :, :-1], field.diff(dim=2)[:, :, :, :-1]
    determinant = (1 + across[:, 0]) * (1 + down[:, 1]) - across[:, 1] * down[:, 0]
    assert determinant.min() > 0


def test_a_margin_shrinks_the_face_with_its_moves():
    wide = replace(Warp(), margin=0.5)
    x, y = 0.5 + (0.385 - 0.5) / 2, 0.5 + (0.690 - 0.5) / 2
    moved = where_to(one("stretch", 0.2), x, y, wide) - (x, y)
    whole = where_to(one("stretch", 0.2), 0.385, 0.690) - (0.385, 0.690)
    np.testing.assert_allclose(moved, whole / 2, atol=1.5 / SIZE)


@pytest.mark.parametrize(
    "wrong", [{"moves": (0, 3)}, {"moves": (4, 99)}, {"magnitude": (0.3, 0.1)}, {"one_sided": 2.0}]
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(UserError, match="warp"):
        Warp(**wrong)
