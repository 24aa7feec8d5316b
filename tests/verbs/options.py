"""The options of every verb and recipe with their defaults. `python -m tests.verbs.options` rewrites options.txt after an
intended change of the command line.

Of the recipes in one file the first is written whole, each other one by what it has otherwise than the most similar before it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.options import leaves
from mien.options.values import default_words, metavar
from mien.recipes import index, recipe
from mien.verbs.main import VERBS, run

SNAPSHOT = Path(__file__).with_name("options.txt")
RECIPE_VERBS = ("pretrain", "finetune", "benchmark", "cross")


def class_of(verb: str) -> type:
    """The verb's own options."""
    return getattr(importlib.import_module(f"mien.verbs.{verb}"), verb.capitalize())


def modules_of(verb: str) -> tuple[str, ...]:
    """Files of the verb's recipes."""
    return importlib.import_module(f"mien.verbs.{verb}").VERB.modules if verb in RECIPE_VERBS else ()


def lines_of(target: Any) -> dict[str, str]:
    """What is typed and what holds without it, by option."""
    found = {}
    for leaf in leaves(target):
        if not leaf.arg.hidden:
            words = [f"[{metavar(leaf)}]" if leaf.arg.positional else leaf.option]
            words += [] if leaf.arg.positional else [metavar(leaf)]
            words += ["(required)" if leaf.required else default_words(leaf.default)]
            found[leaf.option] = " ".join(word for word in words if word)
    return found


def options_of(words: Sequence[str]) -> set[str]:
    """Names of the options of a command line; RECIPE stands for any recipe."""
    verb, *rest = words
    options = {"--help", *lines_of(class_of(verb))}
    names = list(index(modules_of(verb)))
    chosen = [name for name in rest if name in names]
    if verb == "benchmark" and not chosen:
        chosen = names if rest[0] == "PROTOCOL" else [importlib.import_module("mien.verbs.benchmark").VERB.usual(rest)]
    for name in names if "RECIPE" in rest else chosen:
        options |= set(lines_of(recipe(name)))
    return options


def snapshot() -> str:
    return "\n".join(line for lines in (*map(_verb, VERBS), *map(_recipes, index_files())) for line in (*lines, ""))


def index_files() -> list[str]:
    return list(dict.fromkeys(entry.module for entry in index().values()))


def _verb(verb: str) -> Iterator[str]:
    yield f"mien {verb}{' RECIPE' if verb in RECIPE_VERBS else ''}"
    yield from (f"  {line}" for line in lines_of(class_of(verb)).values())


def _recipes(module: str) -> Iterator[str]:
    """Of a file."""
    known: dict[str, dict[str, str]] = {}
    for name in index((module,)):
        known[name] = lines_of(recipe(name))
        before = [(len(_difference(known[name], known[other])), other) for other in known if other != name]
        if not before:
            yield from (f"recipe {name}", *(f"  {line}" for line in known[name].values()))
            continue
        nearest = min(before)[1]
        yield from ("", f"recipe {name}: {nearest}, but", *_difference(known[name], known[nearest]))


def _difference(own: dict[str, str], base: dict[str, str]) -> list[str]:
    changed = [f"  {line}" for option, line in own.items() if base.get(option) != line]
    gone = [option for option in base if option not in own]
    return [*changed, f"  without {' '.join(gone)}"] if gone else changed


def help_of(capsys: Any, *words: str) -> tuple[int, str]:
    """Exit code and text of ``mien WORDS --help``."""
    code = run([*words, "--help"])
    return code, capsys.readouterr().out


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot())
