from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mien.contract import Store
from mien.errors import UserError
from mien.faces.align import FIVE_POINT, face_matrix, invert, similarity, square, yaw_degrees
from mien.faces.crop import cut, outside, patch, resize, sharpness, warp
from mien.faces.options import PrepareConfig, check, contract_for


def test_similarity_recovers_a_known_map():
    angle, scale, shift = 0.4, 2.5, np.array([30.0, -7.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = np.random.default_rng(0).normal(size=(5, 2))
    matrix = similarity(source, source @ turn.T + shift)
    np.testing.assert_allclose(matrix, np.concatenate([turn, shift[:, None]], 1), atol=1e-9)
    np.testing.assert_allclose(invert(invert(matrix)), matrix, atol=1e-9)


def test_the_share_of_a_crop_beyond_the_picture():
    contract = contract_for("box", 0.0)
    box = np.array([-50.0, 0.0, 50.0, 100.0])  # half of it
    assert outside((200, 200), box, np.full((5, 2), np.nan), contract) == pytest.approx(0.5)
    assert outside((200, 200), box + [100, 20, 100, 20], np.full((5, 2), np.nan), contract) == 0
    faces = contract_for("face")
    points = FIVE_POINT * 100 + [50, 20]  # the crop is 50 to 150 wide, 20 to 120 high
    assert outside((200, 200), box, points, faces) == 0
    assert outside((125, 200), box, points, faces) == pytest.approx(0.25, abs=0.04)
    assert outside((10, 10), box, points, contract_for("none")) == 0


def test_similarity_is_the_least_squares_solution():
    """Against a plain linear system in (a, b, tx, ty)."""
    rng = np.random.default_rng(1)
    s, t = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    rows = [[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in s]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows).reshape(10, 4), t.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(s, t), [[a, -b, tx], [b, a, ty]], atol=1e-9)


def test_template_is_symmetric():
    mirrored = FIVE_POINT * [-1, 1] + [1, 0]
    np.testing.assert_allclose(mirrored[[1, 0, 2, 4, 3]], FIVE_POINT)


@pytest.mark.parametrize("angle", [0, 30, -60])
@pytest.mark.parametrize("scale", [40, 300])
@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_face_crop_puts_the_points_on_the_template(angle, scale, margin):
    """Dots drawn at the points of a turned, scaled face appear where the template says."""
    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (FIVE_POINT - 0.5) @ matrix.T * scale + [250, 240]
    image = np.full((500, 500, 3), 40, np.uint8)
    y, x = np.mgrid[:500, :500] + 0.5
    for k, (px, py) in enumerate(points):
        image[np.hypot(x - px, y - py) < max(2.0, scale / 40)] = 100 + 30 * k
    crop = cut(image, np.zeros(4), points, contract_for("face", margin, store=Store(size=160)))
    expected = ((FIVE_POINT - 0.5) / (1 + 2 * margin) + 0.5) * 160
    for k, (px, py) in enumerate(expected):
        near = crop[round(py) - 6 : round(py) + 6, round(px) - 6 : round(px) + 6, 0].astype(float) - 40
        weight = near / near.sum()
        cy, cx = (weight * (np.mgrid[:12, :12] + 0.5)).sum((1, 2))
        assert abs(cx + round(px) - 6 - px) < 0.8, k
        assert abs(cy + round(py) - 6 - py) < 0.8, k


def test_warp_by_the_identity_copies_pixels():
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    crop = warp(image, np.array([[1.0, 0, 10], [0, 1, 20]]), 32)
    np.testing.assert_array_equal(np.asarray(crop), image[20:52, 10:42])


def test_shrinking_is_antialiased():
    """Stripes one pixel wide become even grey, not beats of black and white."""
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, ::2] = 255
    crop = np.asarray(warp(image, np.array([[4.3, 0, 20], [0, 4.3, 20]]), 64))
    assert np.abs(crop.astype(int) - 127).max() < 12


def test_outside_the_frame_edges_are_repeated_and_nothing_is_black():
    rng = np.random.default_rng(0)
    image = rng.integers(100, 200, (50, 60, 3), np.uint8)
    np.testing.assert_array_equal(patch(image, -5, -3, 65, 60), np.pad(image, ((3, 10), (5, 5), (0, 0)), mode="edge"))
    far = patch(image, 100, 100, 110, 110)
    np.testing.assert_array_equal(far, np.broadcast_to(image[-1, -1], (10, 10, 3)))
    assert patch(image, -30, -30, -20, -20).shape == (10, 10, 3)
    points = (FIVE_POINT - 0.5) * 80 + [2, 3]  # half of the face is outside
    for kind in ("face", "box"):
        crop = cut(image, np.array([-38, -37, 42, 43]), points, contract_for(kind, store=Store(size=64)))
        assert crop.min() >= 95


def test_box_crop_is_the_square_around_the_box():
    assert square(np.array([10, 20, 30, 60]), 0.0) == (0, 20, 40, 60)
    assert square(np.array([10, 20, 30, 60]), 0.25) == (-10, 10, 50, 70)
    image = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    crop = cut(
        image, np.array([20, 30, 60, 70]), np.full((5, 2), np.nan), contract_for("box", 0.0, store=Store(size=40))
    )
    np.testing.assert_array_equal(crop, image[30:70, 20:60])


def test_voxceleb2_is_rows_0_to_159_and_columns_32_to_191_of_224():
    image = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    crop = cut(image, np.zeros(4), np.zeros((5, 2)), contract_for("voxceleb2"))
    np.testing.assert_array_equal(crop, image[0:160, 32:192])


def test_none_resizes_the_frame():
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    crop = cut(image, np.zeros(4), np.zeros((5, 2)), contract_for("none", store=Store(size=48)))
    np.testing.assert_array_equal(crop, np.asarray(Image.fromarray(image).resize((48, 48), Image.Resampling.BILINEAR)))
    assert resize(image, (0, 0, 120, 90), 48).size == (48, 48)


def test_grey_store_has_one_channel():
    image = np.zeros((20, 20, 3), np.uint8)
    image[..., 1] = 200
    crop = cut(image, np.zeros(4), np.zeros((5, 2)), contract_for("none", store=Store(size=16, color=False)))
    assert crop.shape == (16, 16, 1)
    assert crop[0, 0, 0] == round(0.587 * 200)


def test_yaw_follows_a_turned_head():
    """Five points of a simple solid head, projected."""
    head = np.array([[-31.5, 0, 0], [31.5, 0, 0], [0, 40, 36], [-25, 70, 5], [25, 70, 5]])
    for degrees in (-50, -20, 0, 20, 50):
        a = np.deg2rad(degrees)
        points = np.stack([head[:, 0] * np.cos(a) + head[:, 2] * np.sin(a), head[:, 1]], 1)
        assert yaw_degrees(points) == pytest.approx(degrees, abs=1)
        roll = np.array([[0.9, -0.436], [0.436, 0.9]])
        assert yaw_degrees(points @ roll.T) == pytest.approx(degrees, abs=1)
    assert np.isnan(yaw_degrees(np.full((5, 2), np.nan)))


def test_sharpness_falls_with_blur():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    values = [sharpness(np.asarray(image.resize((s, s), Image.Resampling.BOX).resize((64, 64)))) for s in (64, 32, 8)]
    assert values[0] > values[1] > values[2] > 0
    checker = np.indices((8, 8)).sum(0) % 2 * 10
    assert sharpness(checker.astype(np.uint8)[..., None]) == pytest.approx(40.0**2)  # +-40 everywhere


def test_collapsed_points_still_give_a_crop():
    points = np.full((5, 2), 50.0)
    assert np.isfinite(face_matrix(points, 160, 0.0)).all()


def test_face_crop_without_points_is_refused():
    with pytest.raises(UserError, match="--crop box"):
        cut(np.zeros((9, 9, 3), np.uint8), np.zeros(4), np.full((5, 2), np.nan), contract_for("face"))


def test_contracts():
    assert contract_for("voxceleb2").geometry.detector == "none"
    assert contract_for("box", boxes=True).geometry.detector == "given"
    assert contract_for("face") == PrepareConfig().contract  # the default of the command and of the library agree
    hashes = {contract_for(c).geometry.hash for c in ("face", "box", "voxceleb2", "none")}
    assert len(hashes) == 4
    assert contract_for("face", store=Store(size=96)).geometry.hash == contract_for("face").geometry.hash
    with pytest.raises(UserError, match="--margin"):
        contract_for("none", 0.2)
    with pytest.raises(UserError, match="--size"):
        check(PrepareConfig(contract_for("face", store=Store(size=4))))
