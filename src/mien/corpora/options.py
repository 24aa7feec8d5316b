"""Options of a corpus from ``KEY=VALUE`` texts: the fields of its dataclass, by the types that they are declared with."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from mien.errors import UserError

T = TypeVar("T")


def from_texts(name: str, cls: type[T], pairs: Sequence[str]) -> T:
    """An instance of the corpus dataclass `cls`.

    Args:
        name: of the corpus, for messages.
        pairs: ``KEY=VALUE``; hyphens and underscores in keys are the same.

    Raises:
        UserError: no such option, or a value that it cannot take; the message lists what there is.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in fields:
            close = difflib.get_close_matches(key, fields, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UserError(f"--corpus-options {pair}: {name} has {describe(cls)}{hint}")
        if key in given:
            raise UserError(f"--corpus-options {pair}: {key} is given twice")
        try:
            given[key] = _value(text.strip(), hints[key])
        except ValueError:
            raise UserError(f"--corpus-options {pair}: {key} is {_allowed(hints[key])}") from None
    return cls(**given)


def describe(cls: type) -> str:
    """The options of a corpus in one line: name, default, what is allowed."""
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    shown = [f"{f.name}={_text(f.default)} ({_allowed(hints[f.name])})" for f in fields]
    return f"the options {', '.join(shown)}" if shown else "no options"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _value(text: str, hint: Any) -> Any:
    """Raises ValueError."""
    for member in _members(hint):
        if member is type(None):
            if text.lower() == "none":
                return None
        elif typing.get_origin(member) is typing.Literal:
            for value in typing.get_args(member):
                if text == str(value):
                    return value
        elif member is bool:
            if text.lower() in ("true", "yes", "1", "false", "no", "0"):
                return text.lower() in ("true", "yes", "1")
        else:
            return member(text)
    raise ValueError(text)


def _allowed(hint: Any) -> str:
    words = []
    for member in _members(hint):
        if typing.get_origin(member) is typing.Literal:
            words += [str(v) for v in typing.get_args(member)]
        else:
            plain = {bool: "true or false", int: "a whole number", float: "a number", type(None): "none"}
            words.append(plain.get(member, "a text"))
    return " | ".join(words)
