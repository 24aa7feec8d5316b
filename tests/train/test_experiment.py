"""The folder of a run: what may change between two starts of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mien.errors import UserError
from mien.recipes import recipe
from mien.train.experiment import open_run


def test_a_run_of_an_older_mien_goes_on_where_its_new_fields_have_their_defaults(tmp_path: Path):
    experiment = recipe("classify")
    hashed = open_run(tmp_path / "run", experiment, {})
    path = tmp_path / "run" / "experiment.json"
    older = json.loads(path.read_text())
    del older["resolved"]["experiment"]["optim"]["momentum"]
    path.write_text(json.dumps(older))
    assert open_run(tmp_path / "run", experiment, {}) == hashed
    with pytest.raises(UserError, match=r"optim.momentum: 0.9 there, 0.5 now"):
        open_run(tmp_path / "run", replace(experiment, optim=replace(experiment.optim, momentum=0.5)), {})


def test_a_run_of_another_recipe_is_named_in_few_words(tmp_path: Path):
    open_run(tmp_path / "run", recipe("classify"), {})
    with pytest.raises(UserError, match=r"differs in its recipe: classify there, regress now. Give another --out"):
        open_run(tmp_path / "run", recipe("regress"), {})


def test_a_run_of_before_0_2_is_named(tmp_path: Path):
    (tmp_path / "run").mkdir()
    before = {"hash": "0", "mien": "0.1.0", "resolved": {"recipe": "classify", "experiment": {"task": {}}, "data": {}}}
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(before))
    with pytest.raises(UserError, match="is a run of mien before 0.2: its model still loads"):
        open_run(tmp_path / "run", recipe("classify"), {})


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"hash": "0", "resolved": {}}'])
def test_a_damaged_record_is_one_line(text: str, tmp_path: Path):
    (tmp_path / "experiment.json").write_text(text)
    with pytest.raises(UserError, match="experiment.json is damaged or not ours: give another --out"):
        open_run(tmp_path, recipe("classify"), {})
