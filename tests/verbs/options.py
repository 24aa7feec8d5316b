"""The options of every verb, as its help prints them. `python -m tests.verbs.options` rewrites options.txt after an intended
change of the command line.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from mien.recipes import pretrain, supervised
from mien.verbs.main import VERBS, run

SNAPSHOT = Path(__file__).with_name("options.txt")
RECIPES = {"pretrain": tuple(pretrain.RECIPES), "finetune": tuple(supervised.RECIPES)}
# The first column of a panel, "  --size INT   Side of the crop"; on a terminal that can, the panel has a frame of "│".
FIRST_COLUMN = re.compile(r"^[│ ] (--?[a-z].*?)(?: {2,}| *│?$)", re.MULTILINE)


@contextmanager
def _width(columns: int) -> Iterator[None]:
    """The help adapts to the terminal; here it must not."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def help_of(*words: str) -> tuple[int, str]:
    """Exit code and text of ``mien WORDS --help``."""
    text = io.StringIO()
    with _width(100), redirect_stdout(text):
        try:
            code = run([*words, "--help"])
        except SystemExit as stop:  # tyro prints the help and leaves
            code = stop.code if isinstance(stop.code, int) else 0
    return code, text.getvalue()


def options_of(*words: str) -> list[str]:
    """Sorted names of the options, ``-h`` and the ``--no-`` halves of switches included."""
    columns = FIRST_COLUMN.findall(help_of(*words)[1])
    return sorted({name for column in columns for name in re.findall(r"(?<![\w-])--?[a-z][\w.-]*", column)})


def command_lines() -> list[tuple[str, ...]]:
    """Every verb, with its recipes where they have options of their own."""
    return [(verb, *recipe) for verb in VERBS for recipe in ([(r,) for r in RECIPES.get(verb, ())] or [()])]


def snapshot() -> str:
    lines = []
    for words in command_lines():
        lines += [f"mien {' '.join(words)}", *(f"  {name}" for name in options_of(*words)), ""]
    return "\n".join(lines)


def read_snapshot(path: Path = SNAPSHOT) -> dict[tuple[str, ...], set[str]]:
    """Option names by command line, from the file."""
    found: dict[tuple[str, ...], set[str]] = {}
    for block in path.read_text().strip().split("\n\n"):
        title, *names = block.splitlines()
        found[tuple(title.split()[1:])] = {name.strip() for name in names}
    return found


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot())
