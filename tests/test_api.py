"""Every command from Python: `pytest tests/test_api.py`."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mien
from mien.options import leaves
from mien.verbs.main import VERBS
from tests.scoring.test_features import classifier, pretrained
from tests.verbs.options import RECIPE_VERBS, class_of

PLAIN = [verb for verb in VERBS if verb not in RECIPE_VERBS]


@pytest.fixture(autouse=True)
def silent(capfd: pytest.CaptureFixture[str]):
    """Functions print nothing."""
    yield
    assert capfd.readouterr() == ("", "")


def test_every_name_is_there():
    assert [name for name in mien.__all__ if not hasattr(mien, name)] == []
    assert sorted(dir(mien)) == sorted(mien.__all__)
    assert set(VERBS) <= set(dir(mien))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        mien.trian  # noqa: B018


def test_the_names_cost_nothing():
    program = "import sys, mien; dir(mien); print({'torch', 'numpy', 'pyarrow', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("verb", PLAIN)
def test_a_function_says_its_options(verb: str):
    function, options = getattr(mien, verb), leaves(class_of(verb))
    signature = inspect.signature(function)
    assert function.__name__ == verb
    assert set(signature.parameters) == {leaf.keyword for leaf in options}
    assert all(f"    {leaf.keyword}: {leaf.doc}" in function.__doc__ for leaf in options)


@pytest.mark.parametrize("verb", RECIPE_VERBS)
def test_a_function_of_recipes_says_its_options(verb: str):
    function, options = getattr(mien, verb), leaves(class_of(verb))
    assert function.__name__ == verb
    names = [*inspect.signature(function).parameters]
    assert names[-1] == "changes"
    assert "recipe" in names
    assert {leaf.keyword for leaf in options} < set(names)
    assert all(f"    {leaf.keyword}: {leaf.doc}" in function.__doc__ for leaf in options)


def test_a_script_without_a_guard_prepares(tmp_path: Path):
    script = tmp_path / "mine.py"
    script.write_text(
        "import mien\n"
        "labels = mien.synth('videos', clips=4, subjects=2, frames=16, size=64, workers=2)\n"
        "print(len(mien.prepare(labels=labels, out='shards', size=32, crop='none', audio=False, workers=2).manifest))\n"
    )
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


def test_from_drawing_to_shards(tmp_path: Path):
    labels = mien.synth(tmp_path / "videos", clips=2, subjects=2, frames=16, size=64, workers=1)
    assert labels == tmp_path / "videos" / "labels.csv"
    options = {"size": 32, "crop": "none", "audio": False, "workers": 0}
    shards = mien.prepare(labels=labels, out=tmp_path / "shards", **options)
    assert isinstance(shards, mien.Shards)
    assert len(shards.manifest) == 2
    assert repr(shards) == f"Shards {tmp_path / 'shards'}: 2 clips of 32 pixels, 0 failed"
    again = mien.prepare(str(tmp_path / "videos" / "clips"), out=str(tmp_path / "more"), **options)
    assert len(again.manifest) == 2
    assert mien.audit(shards, near=False)["folders"][0]["rows"] == 2
    assert (tmp_path / "shards" / "audit.json").is_file()
    for damaged in (tmp_path / "shards" / "shards").iterdir():
        damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(mien.UserError, match="is damaged: copy it again"):
        mien.Shards(tmp_path / "shards").clip(shards.manifest.column("shard")[0], 0)


def test_models_and_shards_are_taken_as_they_are(tmp_path: Path, shards: Path):
    model, data = mien.load(classifier(tmp_path / "run", shards)), mien.Shards(shards)
    scores = mien.evaluate(model, data=data, out=tmp_path / "scores", device="cpu", seed=1)
    assert scores.uar == mien.evaluate(str(model.path), data=str(shards), out=tmp_path / "b", device="cpu").uar
    found = mien.embed(model, data=data, out=tmp_path / "features", picture_clips=10, device="cpu")
    assert found["clips"] == 12
    learner = mien.load(pretrained(tmp_path / "pre", shards))
    picture = mien.reconstruct(learner, data=data, clips=1, frames=2, device="cpu")
    assert isinstance(picture, Image.Image)


def test_tables_and_machines():
    assert mien.table("dfew").markdown().startswith("**")
    assert [row.name for row in mien.profile("svfap-small", latency=False)] == ["svfap-small"]
    assert {finding.state for finding in mien.doctor()} <= {"ok", "missing", "optional"}


def test_what_is_wrong_is_said_by_keyword():
    with pytest.raises(mien.UserError, match="there is no keyword sise; did you mean size?"):
        mien.prepare("a.mp4", out="b", sise=3)
    with pytest.raises(mien.UserError, match="size='x': give a whole number"):
        mien.prepare("a.mp4", out="b", size="x")
    with pytest.raises(mien.UserError, match="out is missing: Folder to write to"):
        mien.prepare("a.mp4")
    with pytest.raises(mien.UserError, match="no_such: no such file"):
        mien.prepare("no_such", out="b")
