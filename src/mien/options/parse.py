"""Words of a command line to options.

Not argparse: it gives a positional of any number of words up at the first option, takes -1e-3 for an option, and its own
messages would have to be read back to be written again.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from mien.errors import UserError
from mien.options.fields import Leaf, build, leaves
from mien.options.help import help_text
from mien.options.values import ANY_NUMBER, from_words, num_words, wanted


class HelpWanted(Exception):
    """``--help`` or ``--help all`` was typed; its text is what to print."""


class UnknownOption(UserError):
    """An option that the command does not have."""

    def __init__(self, option: str, message: str):
        super().__init__(message)
        self.option = option


def parse(target: Any, argv: Sequence[str], prog: str) -> Any:
    """What was typed: an instance of a class of options, or a copy of an instance; of a tuple of them, a tuple.

    Args:
        prog: the command before these words, for messages.

    Raises:
        HelpWanted: the words hold ``--help``, or ``--help all``.
        UserError: an option or value that is wrong, missing or unknown.
    """
    if (at := next((i for i, word in enumerate(argv) if word in ("-h", "--help")), None)) is not None:
        raise HelpWanted(help_text(target, prog, everything=argv[at + 1 : at + 2] == ["all"]))
    shown = [leaf for leaf in leaves(target) if not leaf.arg.hidden]
    given = _scan(deque(argv), shown, prog)
    for leaf in shown:
        if leaf.required and leaf.keyword not in given:
            wants = leaf.doc or wanted(leaf.hint)
            raise UserError(f"{leaf.option} is missing: {wants} ({prog} --help lists the options)")
    return build(target, given)


def _scan(words: deque[str], options: list[Leaf], prog: str) -> dict[str, Any]:
    """Values by keyword."""
    named = {leaf.option: leaf for leaf in options if not leaf.arg.positional}
    given: dict[str, Any] = {}
    loose: list[str] = []
    while words:
        word = words.popleft()
        if word == "--":
            loose += words
            break
        if not _is_option(word):
            loose.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in named:
            raise _unknown(name, list(named), prog)
        leaf = named[name]
        taken = [value] if equals else _take(words, _wants(leaf))
        new = _value(leaf, taken)
        given[leaf.keyword] = given.get(leaf.keyword, ()) + new if leaf.arg.append else new
    return given | _positionals(loose, [leaf for leaf in options if leaf.arg.positional], prog)


def _is_option(word: str) -> bool:
    """``-h`` and ``--size``, but not ``-1``."""
    return word.startswith("--") or (word[:1] == "-" and word[1:2].isalpha())


def _wants(leaf: Leaf) -> int:
    return 0 if leaf.switch else 1 if leaf.arg.append else num_words(leaf.hint)


def _take(words: deque[str], count: int) -> list[str]:
    taken: list[str] = []
    while words and not _is_option(words[0]) and len(taken) != count:
        taken.append(words.popleft())
    return taken


def _value(leaf: Leaf, words: list[str]) -> Any:
    if leaf.switch:
        if words:
            raise UserError(f"{leaf.option} {' '.join(words)}: this option takes no value, leave it out")
        return leaf.default is not True
    typed = " ".join([leaf.option, *words])
    if not words:
        raise UserError(f"{typed}: a value is missing, give {wanted(leaf.hint)}")
    try:
        return from_words(leaf.hint, words)
    except ValueError as error:
        raise UserError(f"{typed}: {error}") from None


def _positionals(words: list[str], options: list[Leaf], prog: str) -> dict[str, Any]:
    given, rest = {}, list(words)
    for leaf in options:
        count = len(rest) if num_words(leaf.hint) == ANY_NUMBER else num_words(leaf.hint)
        if taken := rest[:count]:
            given[leaf.keyword] = _value(leaf, taken)
        rest = rest[count:]
    if rest:
        wants = " ".join(leaf.option for leaf in options) or "no word without an option"
        raise UserError(f"received {' '.join(rest)} too much: {prog} takes {wants}; {prog} --help lists the options")
    return given


def _unknown(name: str, options: list[str], prog: str) -> UnknownOption:
    near = nearest(name, options)
    meant = f"; did you mean {near}?" if near else "."
    if near and {name, near} == {f"--{_bare(name)}", f"--no-{_bare(name)}"}:
        meant = f": leave it out, it is so unless {near} is given."
    return UnknownOption(name, f"there is no option {name}{meant} {prog} --help all lists every option")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant: one that ends in it (`--lr`, `--optim.lr`), is spelt alike, or begins with it."""
    bare = {_bare(k): k for k in known}
    last = {k.rpartition(".")[2]: k for k in bare}
    word = _bare(name)
    found = [k for k in bare if k == word or k.endswith((f".{word}", f"_{word}")) or word.endswith(f".{k}")]
    found += difflib.get_close_matches(word, bare, 1) + [k for k in bare if word and k.startswith(word)]
    found += [last[k] for k in difflib.get_close_matches(word, last, 1)]
    return bare[found[0]] if found else None


def _bare(option: str) -> str:
    """Without dashes, and without the `no-` of a switch, which may stand in front of its last part."""
    *before, last = option.lstrip("-").split(".")
    return ".".join((*before, last.removeprefix("no-")))
