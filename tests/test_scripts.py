"""Scripts of experiments/ and benchmarks/ start and say what they can be told: `pytest tests/test_scripts.py`."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from mien.verbs.command import script
from tests.test_docs import PAGES, ROOT
from tests.test_options import Work

SCRIPTS = sorted(
    p for folder in ("experiments", "benchmarks") for p in (ROOT / folder).glob("*.py") if "__main__" in p.read_text()
)


COMMAND = re.compile(r"python ((?:experiments|benchmarks)/\w+\.py)([^`|\n]*)")
CALLS = [call for place in (*PAGES, *SCRIPTS) for call in COMMAND.findall(place.read_text())]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_script_has_the_options_that_it_is_called_with(path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """In the pages, and in what stands at its top."""
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.syspath_prepend(str(path.parent))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: python {path}")
    calls = [words for name, words in CALLS if name == f"{path.parent.name}/{path.name}"]
    assert calls
    asked = {option for words in calls for option in re.findall(r"(?<!\S)\[?(--[a-z][\w.-]*)", words)}
    assert asked <= set(re.findall(r"^  (--[\w.-]+)", said, re.MULTILINE))


def test_a_script_gives_what_was_typed_to_its_work_and_leaves_with_its_code(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x.py", "--steps", "7"])
    for given, code in ((None, 0), (3, 3)):
        with pytest.raises(SystemExit) as stop:
            script(Work, lambda options, given=given: print(options.steps) or given)
        assert stop.value.code == code
    assert capsys.readouterr().out == "7\n7\n"
    monkeypatch.setattr(sys, "argv", ["x.py", "--stepps", "7"])
    with pytest.raises(SystemExit) as stop:
        script(Work, print)
    assert stop.value.code == 2
    assert "x.py: " in (said := capsys.readouterr().err)
    assert "--stepps" in said
