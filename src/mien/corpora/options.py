"""Options of a corpus from ``KEY=VALUE`` texts: the fields of its dataclass, by the types that they are declared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from mien.errors import UserError
from mien.options import build, leaves, nearest
from mien.options.values import default_words, from_words, wanted

T = TypeVar("T")


def from_texts(name: str, cls: type[T], pairs: Sequence[str]) -> T:
    """An instance of the corpus dataclass `cls`.

    Args:
        name: of the corpus, for messages.
        pairs: ``KEY=VALUE``; hyphens and underscores in keys are the same.

    Raises:
        UserError: no such option, or a value that it cannot take; the message lists what there is.
    """
    known = {leaf.keyword: leaf for leaf in leaves(cls)}
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in known:
            near = nearest(key, known)
            meant = f"; did you mean {near}?" if near else ""
            raise UserError(f"--corpus-options {pair}: {name} has {describe(cls)}{meant}")
        if key in given:
            raise UserError(f"--corpus-options {pair}: {key} is given twice")
        try:
            given[key] = from_words(known[key].hint, [text.strip()])
        except ValueError as error:
            raise UserError(f"--corpus-options {pair}: {error}") from None
    return build(cls, given)


def describe(cls: type) -> str:
    """The options of a corpus in one line: name, default, what is allowed."""
    shown = [f"{leaf.keyword}={default_words(leaf.default) or 'none'} ({wanted(leaf.hint)})" for leaf in leaves(cls)]
    return f"the options {', '.join(shown)}" if shown else "no options"
