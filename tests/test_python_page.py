"""docs/python.md runs as it is written, and its tables name what is there: `pytest tests/test_python_page.py`."""

from __future__ import annotations

import importlib
import re
import shutil
from typing import Any

import numpy as np
import pytest

import mien
from tests.test_docs import ROOT, draw_own_videos, fenced

PAGE = (ROOT / "docs" / "python.md").read_text()
ROOMS = ("encoders", "methods", "tasks", "models", "scoring", "timeline", "faces", "corpora", "train", "recipes")
SHORT = "steps=2, batch_size=2, workers=0, device='cpu'"
# What the page says, and what a test can wait for.
SMALLER = {
    'labels="videos/labels.csv", size=96': 'labels="videos/labels.csv", size=96, workers=0',
    "steps=2000": SHORT,
    'target="label"': f'target="label", {SHORT}',
    "import vit_base": "import vit_micro as vit_base",
    'out="runs/mine", size=96': f'out="runs/mine", size=96, {SHORT}',
}


def smaller(code: str) -> str:
    for words, few in SMALLER.items():
        code = code.replace(words, few)
    return code


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the blocks of the page leave behind, run one after the other."""
    assert [words for words in SMALLER if words not in PAGE] == []
    folder, found = tmp_path_factory.mktemp("page"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        draw_own_videos(folder / "videos")
        for copy in ("my.mp4", "face.mp4"):
            shutil.copy(min((folder / "videos" / "clips").glob("*.mp4")), folder / copy)
        for code in fenced(PAGE, "python"):
            exec(smaller(code), found)
    return found | {"folder": folder}


def test_from_videos_to_a_timeline(names: dict[str, Any]):
    assert names["model"].spec.names == ("neutral", "smile")
    assert names["tokens"].shape == (2, 128)
    line, out = names["line"], names["folder"] / "out" / "my"
    assert line.table.num_rows > 0
    assert {path.name for path in out.iterdir()} >= {
        "timeline.csv",
        "timeline.parquet",
        "predictions.json",
        "report.html",
    }


def test_the_scores(names: dict[str, Any]):
    low, high = names["scores"].interval("uar")
    assert low <= names["scores"].uar <= high
    assert isinstance(names["scores"].confusion, np.ndarray)


def test_an_own_experiment_is_what_was_trained(names: dict[str, Any]):
    made = mien.load(names["folder"] / "runs" / "mine")
    assert made.provenance.recipe == "mine"
    assert (made.config.mask_ratio, made.config.clip.size) == (0.8, 96)
    assert type(made.config.encoder).__name__ == "ViTConfig"


def test_members_that_the_page_names_are_there(names: dict[str, Any]):
    kinds = {"model": names["model"], "line": names["line"], "scores": names["scores"]}
    said = re.findall(r"`(model|line|scores)\.([a-z_]+)", re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S))
    assert len(said) > 10
    assert [(kind, member) for kind, member in said if member != "ccc" and not hasattr(kinds[kind], member)] == []


def test_public_names_of_the_page_are_there():
    rows = re.findall(
        r"^\| `mien\.([a-z]+)`(?:, `mien\.([a-z]+)`)? \| (.*) \|$",
        PAGE.split("## Your own experiment")[1],
        re.MULTILINE,
    )
    assert len(rows) > 5
    for room, second, cell in rows:
        rooms = [importlib.import_module(f"mien.{name}") for name in (room, second) if name]
        for name in re.findall(r"`(\w+)[`(]", cell):
            assert any(hasattr(r, name) for r in rooms), f"mien.{room} has no {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_of_a_room_is_there(room: str):
    source = (ROOT / "src" / "mien" / room / "__init__.py").read_text()
    module = importlib.import_module(f"mien.{room}")
    public = re.findall(r"^    from mien\.\S+ import (\w+) as \1$", source, re.MULTILINE)
    assert public or room == "recipes"
    assert [name for name in public if getattr(module, name, None) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018
