"""What ``--help`` prints: the options that people need, in groups; ``--help all`` prints every one."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from mien.options.fields import Leaf, class_of, leaves, targets_of
from mien.options.values import choices, default_words, metavar

WIDEST = 110
"""Characters of a line, on a terminal that has them."""
LEFT = 28
"""Characters that an option and its value may take before the text beside it goes to the next line."""
MORE = "more options"


def help_text(target: Any, prog: str, everything: bool = False) -> str:
    """The help of a command with these options; the width is that of the terminal.

    Args:
        target: what `parse` takes. The tables ``HELP`` of the classes say what is shown, and under which title.
        everything: show every option.
    """
    targets, options = targets_of(target), [leaf for leaf in leaves(target) if not leaf.arg.hidden]
    groups = _groups(targets, options)
    if not everything and (titles := _titles(targets)):
        groups = {title: found for title, found in groups.items() if title in titles}
    width = min(WIDEST, shutil.get_terminal_size().columns)
    column = min(LEFT, max((len(_name(o)) for found in groups.values() for o in found), default=0) + 2)
    about = inspect.getdoc(class_of(targets[0])) or ""
    blocks = [_usage(options, prog, width), _filled(about, width, 0)]
    blocks += [_group(title, found, width, column) for title, found in groups.items()]
    if hidden := len(options) - sum(map(len, groups.values())):
        blocks.append(f"{prog} --help all lists {hidden} more.")
    return "\n\n".join(block for block in blocks if block)


def _titles(targets: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """What the classes want shown; a title that two of them have is one group."""
    titles: dict[str, tuple[str, ...]] = {}
    for target in targets:
        for title, names in getattr(class_of(target), "HELP", {}).items():
            titles[title] = titles.get(title, ()) + names
    return titles


def _groups(targets: Sequence[Any], options: Sequence[Leaf]) -> dict[str, list[Leaf]]:
    """Options by title: those that the classes name, then the others, by what stands before the last dot of their name."""
    known = {leaf.option: leaf for leaf in options}
    groups = {title: [known[n] for n in names if n in known] for title, names in _titles(targets).items()}
    shown, rest = {leaf.option for found in groups.values() for leaf in found}, MORE if groups else "options"
    for leaf in options:
        if leaf.option not in shown:
            before = leaf.option.lstrip("-").rpartition(".")[0]
            groups.setdefault(f"{rest}: {before}" if before else rest, []).append(leaf)
    return {title: found for title, found in groups.items() if found}


def _usage(options: Sequence[Leaf], prog: str, width: int) -> str:
    words = [metavar(o) if o.required else f"[{metavar(o)}]" for o in options if o.arg.positional]
    words += [f"{o.option} {metavar(o)}" for o in options if o.required and not o.arg.positional]
    line = " ".join(["usage:", prog, *words, "[options]"])
    return textwrap.fill(line, width, subsequent_indent=" " * 7, break_long_words=False, break_on_hyphens=False)


def _group(title: str, options: Sequence[Leaf], width: int, column: int) -> str:
    lines = [title]
    for option in options:
        name, text = _name(option), _filled(_text(option), width, column)
        lines += [f"{name:<{column}}{text.lstrip()}"] if len(name) < column - 1 and text else [name, text]
    return "\n".join(line for line in lines if line)


def _name(leaf: Leaf) -> str:
    return f"  {metavar(leaf)}" if leaf.arg.positional else f"  {leaf.option} {metavar(leaf)}".rstrip()


def _text(leaf: Leaf) -> str:
    """What the option is, what may be given and what holds without it."""
    text = leaf.doc
    if choices(leaf.hint) and "|" not in metavar(leaf):
        text += f" One of {', '.join(map(str, choices(leaf.hint)))}."
    default = default_words(leaf.default)
    if leaf.required:
        return f"{text} (must be given)".strip()
    if leaf.switch and leaf.default is True:
        return f"{text} (on by default; this turns it off)".strip()
    return f"{text} (default {default})".strip() if default else text.strip()


def _filled(text: str, width: int, indent: int) -> str:
    """Paragraphs, wrapped."""
    space = " " * indent
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
    return "\n\n".join(
        textwrap.fill(p, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
        for p in paragraphs
    )
