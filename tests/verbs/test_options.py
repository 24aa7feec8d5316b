"""Help, and the options there are: `pytest tests/verbs`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mien.verbs.main import VERBS, run
from tests.verbs.options import SNAPSHOT, command_lines, help_of, snapshot

HEAVY = ("torch", "onnxruntime", "matplotlib", "sklearn", "scipy")


def test_the_usage_names_every_verb():
    code, text = help_of()
    assert code == 0
    assert [line.split()[1] for line in text.splitlines() if line.startswith("  mien ")] == list(VERBS)


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_verb_has_help(words: tuple[str, ...]):
    code, text = help_of(*words)
    assert code == 0
    assert text.startswith(f"usage: mien {' '.join(words)}")
    assert "--help" in text


def test_no_word_at_all_shows_the_usage_and_fails(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 2
    assert "mien VERB --help" in capsys.readouterr().out


def test_an_unknown_verb_names_those_there_are(capsys: pytest.CaptureFixture[str]):
    assert run(["train"]) == 2
    said = capsys.readouterr()
    assert said.err.strip() == f"mien: no verb 'train'; there are: {', '.join(VERBS)}"
    assert said.out == ""


def test_options_are_those_of_the_snapshot():
    """A change of the command line shows up here. Intended? `python -m tests.verbs.options` rewrites the file."""
    assert snapshot() == SNAPSHOT.read_text()


@pytest.mark.parametrize("verb", ["prepare", "predict", "evaluate", "reconstruct", "synth", "demo", "doctor"])
def test_help_imports_nothing_heavy(verb: str):
    program = (
        "import sys\n"
        "from mien.verbs.main import run\n"
        "try:\n    run([sys.argv[1], '--help'])\nexcept SystemExit:\n    pass\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, verb], capture_output=True, text=True, timeout=60)
    assert "usage: mien" in done.stdout
    assert done.stderr.strip() == ""
