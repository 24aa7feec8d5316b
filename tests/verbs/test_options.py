"""Help, and the options there are: `pytest tests/verbs`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mien.options import leaves
from mien.options.help import WIDEST
from mien.recipes import index, recipe
from mien.verbs import renamed
from mien.verbs.main import VERBS, run
from tests.verbs.options import RECIPE_VERBS, SNAPSHOT, class_of, help_of, lines_of, modules_of, snapshot

HEAVY = ("torch", "onnxruntime", "matplotlib", "sklearn", "scipy", "pyarrow", "av", "numpy", "rich", "PIL")
PLAIN = [verb for verb in VERBS if verb not in RECIPE_VERBS]
# What the command line has, with values for what must be given.
ONE_WORD = {"benchmark": "dfew"}


def test_the_usage_names_every_verb(capsys: pytest.CaptureFixture[str]):
    code, text = help_of(capsys)
    assert code == 0
    assert [line.split()[1] for line in text.splitlines() if line.startswith("  mien ")] == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, text = help_of(capsys, verb)
    assert code == 0
    assert text.startswith(f"usage: mien {verb}")
    assert max(map(len, text.splitlines())) <= WIDEST
    assert "None" not in text


@pytest.mark.parametrize("verb", PLAIN)
def test_all_of_the_help_is_every_option(verb: str, capsys: pytest.CaptureFixture[str]):
    assert run([verb, "--help", "all"]) == 0
    text = capsys.readouterr().out
    assert [option for option in lines_of(class_of(verb)) if f"  {option}" not in text] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_options_that_help_shows_exist(verb: str):
    """And those that must be given are among them."""
    table = getattr(class_of(verb), "HELP", {})
    shown = {name for names in table.values() for name in names}
    own = lines_of(class_of(verb))
    known = set(own).union(*(lines_of(recipe(name)) for name in index(modules_of(verb))))
    assert shown <= known
    assert {option for option, line in own.items() if "(required)" in line} <= shown


def _documented() -> Iterator[tuple[str, str]]:
    for verb in PLAIN:
        yield from ((f"mien {verb} {leaf.option}", leaf.doc) for leaf in leaves(class_of(verb)))
    for name in index():
        yield from ((f"{name} {leaf.option}", leaf.doc) for leaf in leaves(recipe(name)))


def test_every_option_is_explained():
    assert [name for name, doc in _documented() if len(doc) < 10] == []
    assert [name for name, doc in _documented() if "None" in doc] == []


def test_no_word_at_all_shows_the_usage_and_fails(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 2
    assert "mien VERB --help" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("train", "there is no verb train; did you mean pretrain? mien --help lists them"),
        ("perpare", "there is no verb perpare; did you mean prepare? mien --help lists them"),
        ("x", "there is no verb x. mien --help lists them"),
    ],
)
def test_an_unknown_verb_gets_the_nearest(typed: str, says: str, capsys: pytest.CaptureFixture[str]):
    assert run([typed]) == 2
    said = capsys.readouterr()
    assert said.err.strip() == f"mien: {says}"
    assert said.out == ""


def test_the_page_of_old_names_has_them_all():
    page = (SNAPSHOT.parents[2] / "docs" / "renamed.md").read_text()
    assert [name for name in (*(o for _, o in renamed.OPTIONS), *renamed.RECIPES) if name not in page] == []


@pytest.mark.parametrize(("verb", "option"), renamed.OPTIONS)
def test_an_old_option_gets_its_new_name(verb: str, option: str, capsys: pytest.CaptureFixture[str]):
    assert option not in lines_of(class_of(verb))
    before = [ONE_WORD[verb]] if verb in ONE_WORD else []
    words = [verb, *before, *([next(iter(index(modules_of(verb))))] if verb in RECIPE_VERBS else [])]
    assert run([*words, option, "x"]) == 2
    says = f"there is no option {option} any more: {renamed.OPTIONS[verb, option]}"
    assert capsys.readouterr().err == f"mien {verb}: {says}\n"


@pytest.mark.parametrize("name", renamed.RECIPES)
def test_an_old_recipe_gets_its_new_name(name: str, capsys: pytest.CaptureFixture[str]):
    assert name not in index()
    assert run(["finetune", name, "--epochs", "3"]) == 2
    assert capsys.readouterr().err == f"mien finetune: there is no recipe {name} any more: {renamed.RECIPES[name]}\n"


def test_options_of_a_method_stand_without_its_name(capsys: pytest.CaptureFixture[str]):
    assert run(["pretrain", "svfap-micro", "--method.encoder.dim", "16"]) == 2
    assert "without its name before it: --encoder.dim\n" in capsys.readouterr().err


def test_options_are_those_of_the_snapshot():
    """A change of the command line shows up here. Intended? `python -m tests.verbs.options` rewrites the file."""
    assert snapshot() == SNAPSHOT.read_text()


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy(verb: str):
    program = (
        "import sys\n"
        "from mien.verbs.main import run\n"
        "print(run([sys.argv[1], '--help']), run([sys.argv[1], '--help', 'all']))\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, verb], capture_output=True, text=True, timeout=60)
    assert done.stdout.count(f"usage: mien {verb}") == 2
    assert done.stdout.endswith("0 0\n")
    assert done.stderr.strip() == ""
