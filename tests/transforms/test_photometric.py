"""Every photometric operation gives Pillow's integers."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from mien.rng import generator
from mien.transforms import photometric
from mien.transforms.photometric import FILTERS, TABLES


def solarize_add(image, add):
    table = [min(255, v + add) if v < 128 else v for v in range(256)]
    return image.point(table * len(image.getbands()))


PILLOW = {
    "AutoContrast": lambda image, _: ImageOps.autocontrast(image),
    "Equalize": lambda image, _: ImageOps.equalize(image),
    "Invert": lambda image, _: ImageOps.invert(image),
    "Posterize": lambda image, v: ImageOps.posterize(image, int(v)),
    "Solarize": lambda image, v: ImageOps.solarize(image, int(v)),
    "SolarizeAdd": lambda image, v: solarize_add(image, int(v)),
    "Contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "Brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "Color": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "Sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
}
VALUES = {"Posterize": (2, 4), "Solarize": (77, 256), "SolarizeAdd": (77, 0)}


@pytest.fixture(scope="module", params=[3, 1], ids=["colour", "grey"])
def frames(request):
    """uint8 [2, 3, 24, 20, C]: dim noise, few distinct values, and one flat frame."""
    rng = generator("photometric")
    values = rng.integers(30, 200, (2, 3, 24, 20, request.param), dtype=np.uint8)
    values[0, 1] = values[0, 1] // 60 * 60
    values[1, 2] = 90
    values[1, 2, :, :3] = 91
    values[0, 2] = 140
    return values


@pytest.mark.parametrize("name", PILLOW)
def test_operation_is_pillows(frames, name):
    value = VALUES.get(name, (0.37, 1.63))
    given, strength = torch.from_numpy(frames), torch.tensor(value, dtype=torch.float32)
    table = TABLES.get(name)
    out = photometric.look_up(given, table(given, strength)) if table else FILTERS[name](given, strength)
    for b in range(2):
        for t in range(3):
            image = Image.fromarray(frames[b, t].squeeze(-1) if frames.shape[-1] == 1 else frames[b, t])
            wanted = np.asarray(PILLOW[name](image, value[b])).reshape(frames[b, t].shape)
            np.testing.assert_array_equal(out[b, t].numpy(), wanted, err_msg=f"{name} clip {b} frame {t}")


def test_luma_is_pillows(frames):
    image = Image.fromarray(frames[0, 0].squeeze(-1) if frames.shape[-1] == 1 else frames[0, 0])
    grey = photometric.to_grey(torch.from_numpy(frames))
    np.testing.assert_array_equal(grey[0, 0, :, :, 0].numpy(), np.asarray(image.convert("L")))
