"""RandAugment over batches of clips: what is drawn, and that it is run as drawn."""

import numpy as np
import pytest
import torch

from mien.rng import generator
from mien.transforms import geometry, photometric, randaugment
from mien.transforms.randaugment import KINDS, OPS, RandAugment


@pytest.fixture(scope="module")
def frames():
    return torch.from_numpy(generator("frames").integers(0, 256, (4, 2, 32, 32, 3), dtype=np.uint8))


def drawn(config, count=400):
    params = [config.draw(generator("draw", k), 32) for k in range(count)]
    return {k: np.stack([p[k] for p in params]) for k in params[0]}


def run(frames, params):
    return randaugment.apply(frames, *(torch.from_numpy(params[k]) for k in ("ops", "values", "matrices")))


@pytest.mark.parametrize(
    ("op", "level", "sign", "expected"),
    [  # "increasing" variants: at level 10 of 10 the change is greatest
        ("Posterize", 0.7, 1, 2),
        ("Posterize", 1.0, 1, 0),
        ("Solarize", 0.7, 1, 77),
        ("Solarize", 0.0, 1, 256),
        ("SolarizeAdd", 0.7, 1, 77),
        ("Color", 0.7, 1, 1.63),
        ("Contrast", 0.7, -1, 0.37),
        ("Brightness", 1.0, -1, 0.1),
    ],
)
def test_strengths_by_level(op, level, sign, expected):
    assert randaugment.strength(op, level, sign) == pytest.approx(expected)


def test_geometry_by_level():
    np.testing.assert_allclose(randaugment.moved("ShearX", 0.7, 160), [[1, 0.21, 0], [0, 1, 0]])
    np.testing.assert_allclose(randaugment.moved("ShearY", -0.7, 160), [[1, 0, 0], [-0.21, 1, 0]])
    np.testing.assert_allclose(randaugment.moved("TranslateX", 1, 160), [[1, 0, 72], [0, 1, 0]])
    np.testing.assert_allclose(randaugment.moved("TranslateY", -0.5, 160), [[1, 0, 0], [0, 1, -36]])
    np.testing.assert_allclose(randaugment.moved("Rotate", 1, 160), geometry.rotation(30, 160))


def test_half_of_four_operations_are_applied_on_average():
    params = drawn(RandAugment(), 2000)
    filled = (params["ops"] >= 0).sum(1)
    # Two expected; a run of neighbouring geometric ones shares a slot: at most three neighbours, (1/2 * 5/15)^2 each.
    assert 1.85 < filled.mean() < 2.0
    assert set(params["ops"][params["ops"] >= 0]) == set(range(len(KINDS)))
    assert ((params["ops"] >= 0)[:, :-1] >= (params["ops"] >= 0)[:, 1:]).all()  # empty slots come last
    assert len(OPS) == 15


def test_every_operation_can_be_applied_and_empty_draws_change_nothing(frames):
    always = drawn(RandAugment(prob=1.0), 4)
    assert (run(frames, always) != frames).flatten(1).any(1).all()
    never = drawn(RandAugment(prob=0.0), 4)
    assert run(frames, never) is frames


def test_magnitude_zero_leaves_factors_alone():
    params = drawn(RandAugment(magnitude=0, magnitude_std=0))
    factors = np.isin(params["ops"], [KINDS.index(n) for n in ("Color", "Contrast", "Brightness", "Sharpness")])
    assert (params["values"][factors] == 1).all()
    np.testing.assert_array_equal(params["matrices"], np.tile(np.eye(2, 3, dtype=np.float32), (400, 4, 1, 1)))


def test_batch_is_run_as_each_clip_by_itself_in_the_order_drawn(frames):
    plans = [
        ["Invert", "Affine", "Color"],
        ["Affine", "Equalize", "Sharpness"],
        [],
        ["Contrast", "Posterize", "Affine"],
    ]
    values = {"Color": 1.5, "Sharpness": 0.3, "Contrast": 1.4, "Posterize": 3.0}
    matrix = geometry.rotation(15, 32).astype(np.float32)
    params = {
        "ops": np.array([[KINDS.index(p) for p in plan] + [-1] * (4 - len(plan)) for plan in plans]),
        "values": np.array(
            [[values.get(p, 0.0) for p in plan] + [0.0] * (4 - len(plan)) for plan in plans], np.float32
        ),
        "matrices": np.tile(matrix, (4, 4, 1, 1)),
    }
    out = run(frames, params)
    for b, plan in enumerate(plans):
        torch.testing.assert_close(out[b], one_by_one(frames[b], plan, values, matrix), atol=0, rtol=0)


def one_by_one(clip, plan, values, matrix):
    clip = clip[None]
    for name in plan:
        value = torch.tensor([values.get(name, 0.0)])
        if name == "Affine":
            planes = clip.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
            moved = geometry.affine(planes, torch.from_numpy(matrix)[None], 128).round().clamp(0, 255)
            clip = moved.unflatten(1, (2, 3)).permute(0, 1, 3, 4, 2).to(torch.uint8)
        elif name in photometric.TABLES:
            clip = photometric.look_up(clip, photometric.TABLES[name](clip, value))
        else:
            clip = photometric.FILTERS[name](clip, value)
    return clip[0]


def test_neighbouring_geometry_is_one_map():
    for k in range(200):
        ops = RandAugment(prob=1.0).draw(generator("draw", k), 32)["ops"]
        affine = ops == KINDS.index("Affine")
        assert not (affine[:-1] & affine[1:]).any()
