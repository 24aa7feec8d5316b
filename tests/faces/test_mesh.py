"""The mesh and its coefficients, against what the makers' own program gives for the same pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.corpora.synthetic.clip import draw_clip
from mien.corpora.synthetic.options import SynthConfig
from mien.faces.detect import CenterFace
from mien.faces.head import METADATA, MeanHead
from mien.faces.mesh import MeshFinder, Region, landmarker_file, read_graphs
from mien.movements.names import COEFFICIENTS, MOVEMENTS, STILL

MAKERS = json.loads((Path(__file__).parent / "face_landmarker.json").read_text())
FACES = MAKERS["faces"]


@pytest.fixture(scope="module")
def finder() -> MeshFinder:
    return MeshFinder(landmarker_file())


def picture(subject: int, index: int) -> np.ndarray:
    frames, _ = draw_clip(SynthConfig(size=256), subject, index)
    return np.asarray(frames)[len(frames) // 2]


def found(finder: MeshFinder, image: np.ndarray):
    faces = CenterFace().detect(image)
    first = finder.points(image, Region.of_face(faces.boxes[0], faces.points[0]))
    return finder.points(image, Region.around(first.points))


@pytest.mark.parametrize("face", FACES, ids=[f"{f['subject']}-{f['index']}" for f in FACES])
def test_points_are_those_of_the_makers_program(finder: MeshFinder, face: dict):
    seen = found(finder, picture(face["subject"], face["index"]))
    theirs = np.array(face["points"])
    width = np.ptp(theirs[:, 0])
    assert seen.presence > 0.9
    assert np.abs(seen.points[:: MAKERS["every"], :2] - theirs[:, :2]).mean() < 0.015 * width


def test_coefficients_of_the_same_points_are_the_makers(finder: MeshFinder):
    ours = finder.coefficients(np.array(MAKERS["all_points"]))
    np.testing.assert_allclose(ours, FACES[0]["coefficients"], atol=2e-3)  # the points are rounded to 0.01 pixels


def test_coefficients_of_the_same_pictures_are_near_the_makers(finder: MeshFinder):
    """Drawn faces are harder than real ones, where r is above 0.99 (docs/movements.md): the regions of two detectors differ."""
    ours = np.array([finder.coefficients(found(finder, picture(f["subject"], f["index"])).points) for f in FACES])
    theirs = np.array([f["coefficients"] for f in FACES])
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.94
    assert np.abs(ours - theirs).mean() < 0.04


@pytest.mark.parametrize("face", FACES, ids=[f"{f['subject']}-{f['index']}" for f in FACES])
def test_the_pose_is_near_the_makers_matrix(finder: MeshFinder, face: dict):
    image = picture(face["subject"], face["index"])
    head = MeanHead.read(read_graphs(landmarker_file())[METADATA]).pose(found(finder, image).points, len(image))
    m = np.array(face["matrix"])
    theirs = np.degrees([np.arctan2(m[0, 2], m[2, 2]), np.arcsin(m[1, 2]), -np.arctan2(m[1, 0], m[1, 1])])
    np.testing.assert_allclose([head.turn, head.nod, head.tilt], theirs, atol=6)
    assert head.distance == pytest.approx(-m[2, 3], rel=0.15)


def test_left_and_right_swap_in_a_mirror(finder: MeshFinder):
    image = picture(1, 3)  # looks to its left
    plain, mirrored = (found(finder, np.ascontiguousarray(i)) for i in (image, image[:, ::-1]))
    a, b = (finder.coefficients(s.points) for s in (plain, mirrored))
    swapped = b[[COEFFICIENTS.index(other(name)) for name in COEFFICIENTS]]
    assert np.abs(a - swapped).mean() < 0.5 * np.abs(a - b).mean()
    out = COEFFICIENTS.index("eyeLookOutLeft")
    assert a[out] > 0.4 > 0.2 > b[out]
    assert swapped[out] == pytest.approx(a[out], abs=0.2)


def other(name: str) -> str:
    """mouthLeft -> mouthRight"""
    if "Left" in name:
        return name.replace("Left", "Right")
    return name.replace("Right", "Left")


def test_a_turned_picture_gives_the_same_face(finder: MeshFinder):
    image = picture(0, 1)
    turned = np.ascontiguousarray(np.rot90(image, -1))
    plain = found(finder, image)
    region = Region.around(plain.points)
    # clockwise: (x, y) -> (height - y, x)
    side = finder.points(turned, Region(len(image) - region.y, region.x, region.side, region.roll + np.pi / 2))
    back = np.stack([side.points[:, 1], len(image) - side.points[:, 0]], 1)
    assert np.abs(back - plain.points[:, :2]).mean() < 1.5


def test_no_face_has_no_presence(finder: MeshFinder):
    image = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    assert finder.points(image, Region(100, 100, 150, 0)).presence < 0.5


def test_names_are_complete():
    assert len(COEFFICIENTS) == 52
    used = {name for m in MOVEMENTS for name in (*m.of, *m.less)}
    assert used <= set(COEFFICIENTS)
    assert not used & set(STILL)
