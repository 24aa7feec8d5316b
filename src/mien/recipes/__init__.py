"""Every recipe: a function that returns a complete `Experiment`. Its name with hyphens is its name on the command line.

    mien.recipes.svfap_base()

What there is, is read from the files' source: a list of names must not cost an import of torch.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import UserError

if TYPE_CHECKING:
    from mien.train.experiment import Experiment

PRETRAIN, FINETUNE = ("masked", "contrastive", "lira"), ("supervised", "sequence")
"""Files whose recipes need no labels, and those that do."""


@dataclass(frozen=True)
class Entry:
    """A recipe that has not been imported."""

    module: str
    function: str
    summary: str
    """First line of its docstring."""


@cache
def index(modules: tuple[str, ...] = PRETRAIN + FINETUNE) -> dict[str, Entry]:
    """The recipes of these files by name, in their order."""
    found = {}
    for module in modules:
        tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                summary = (ast.get_docstring(node) or "").partition("\n")[0]
                found[node.name.replace("_", "-")] = Entry(module, node.name, summary)
    return found


def recipe(name: str, modules: tuple[str, ...] = PRETRAIN + FINETUNE) -> Experiment:
    """The experiment of a name.

    Raises:
        UserError: no such recipe; the message names the nearest.
    """
    table = index(modules)
    if name not in table:
        close = difflib.get_close_matches(name.replace("_", "-"), table, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise UserError(f"no recipe {name!r}; {hint}there are {', '.join(table)}")
    entry = table[name]
    return getattr(importlib.import_module(f"mien.recipes.{entry.module}"), entry.function)()


def __getattr__(name: str) -> Any:
    for entry in index().values():
        if entry.function == name:
            return getattr(importlib.import_module(f"mien.recipes.{entry.module}"), name)
    raise AttributeError(f"module 'mien.recipes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [entry.function for entry in index().values()] + ["index", "recipe"]
