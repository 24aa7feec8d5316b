"""Values of options: from words, from Python objects, and in words."""

from __future__ import annotations

import numbers
import os
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal

from mien.options.fields import Leaf, members, optional

ANY_NUMBER = -1
WIDEST_CHOICE = 36
"""Characters of `a|b|c` in the help; more choices than fit are listed in the text beside it."""
# What stands for a value in the help, what to give, and several of it.
NAMES: dict[Any, tuple[str, str, str]] = {
    int: ("N", "a whole number", "whole numbers"),
    float: ("X", "a number", "numbers"),
    str: ("TEXT", "a word", "words"),
    Path: ("PATH", "a path", "paths"),
}


def num_words(hint: Any) -> int:
    """How many words its value is: 1, of a fixed tuple its length, else ANY_NUMBER."""
    items = _items(hint)
    return 1 if items is None else ANY_NUMBER if items[-1] is ... or len(items) == 1 else len(items)


def from_words(hint: Any, words: Sequence[str]) -> Any:
    """The value that was typed.

    Raises:
        ValueError: says what to give.
    """
    if optional(hint) and len(words) == 1 and words[0].lower() == "none" and "none" not in choices(hint):
        return None
    return _first(hint, _from_words, words)


def from_object(hint: Any, value: Any) -> Any:
    """The value for what a Python call passed: paths may be text, a tuple may be a list or a single value.

    Raises:
        ValueError: says what to give.
    """
    if value is None and optional(hint):
        return None
    return _first(hint, _from_object, value)


def choices(hint: Any) -> tuple[Any, ...]:
    """Values of a `Literal`; none of another type."""
    return tuple(c for m in members(hint) if typing.get_origin(m) is Literal for c in typing.get_args(m))


def wanted(hint: Any) -> str:
    """What to give, in words.

    Raises:
        TypeError: no word can be of this type (an error in the program).
    """
    items = _items(hint)
    if items is not None:
        count = "one or more" if num_words(hint) == ANY_NUMBER else str(len(items))
        several = NAMES[items[0]][2] if items[0] in NAMES else f"of {wanted(items[0])}"
        return f"{count} {several}" + (", or none" if optional(hint) else "")
    single = [str(c) for c in choices(hint)]
    single += dict.fromkeys(NAMES[m][1] for m in members(hint) if m in NAMES)
    single += ["True or False"] if bool in members(hint) else []
    if not single:
        raise TypeError(f"no option can be of the type {hint}: hide it with Arg(hidden=True)")
    single += ["none"] if optional(hint) and "none" not in single else []
    return single[0] if len(single) == 1 else f"{', '.join(single[:-1])} or {single[-1]}"


def metavar(leaf: Leaf) -> str:
    """What stands for the value in the help; "" of a switch."""
    if leaf.switch:
        return ""
    if leaf.arg.metavar:
        name = leaf.arg.metavar
    elif leaf.arg.positional:
        name = leaf.option
    else:
        name = _metavar(leaf.hint)
    count = num_words(leaf.hint)
    if count == ANY_NUMBER:
        return name if leaf.arg.append else f"{name}..."
    return name if leaf.arg.metavar else " ".join([name] * count)


def default_words(value: Any) -> str:
    """A default as it would be typed; "" for none, nothing and switches."""
    if value is MISSING or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, tuple | list):
        return " ".join(default_words(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _metavar(hint: Any) -> str:
    listed = "|".join(map(str, choices(hint)))
    if listed:
        return listed if len(listed) <= WIDEST_CHOICE else "NAME"
    items = _items(hint)
    return _metavar(items[0]) if items is not None else next(NAMES[m][0] for m in members(hint) if m in NAMES)


def _items(hint: Any) -> tuple[Any, ...] | None:
    """Types of the items of a tuple or a list; None of another type."""
    return next((typing.get_args(m) for m in members(hint) if typing.get_origin(m) in (tuple, list)), None)


def _first(hint: Any, convert: Any, given: Any) -> Any:
    """By the first member of a union that takes it."""
    for member in members(hint):
        try:
            return convert(member, given)
        except ValueError:
            continue
    raise ValueError(f"give {wanted(hint)}")


def _from_words(member: Any, words: Sequence[str]) -> Any:
    if typing.get_origin(member) in (tuple, list):
        items = _per_word(member, len(words))
        return typing.get_origin(member)(_first(item, _from_words, [w]) for item, w in zip(items, words, strict=True))
    if typing.get_origin(member) is Literal:
        return _chosen({str(c): c for c in typing.get_args(member)}, words[0])
    if member not in NAMES or len(words) != 1:  # a class whose objects only Python can give
        raise ValueError
    return member(words[0])


def _from_object(member: Any, value: Any) -> Any:
    if typing.get_origin(member) in (tuple, list):
        single = isinstance(value, str | Mapping) or not isinstance(value, Iterable)
        values: list[Any] = [value] if single else list(value)
        items = _per_word(member, len(values))
        return typing.get_origin(member)(_first(item, _from_object, v) for item, v in zip(items, values, strict=True))
    if typing.get_origin(member) is dict:
        return _from_mapping(typing.get_args(member), value)
    if typing.get_origin(member) is Literal:
        return _chosen({c: c for c in typing.get_args(member)}, value)
    if member not in (*NAMES, bool) and isinstance(member, type) and isinstance(value, member):
        return value
    return _as(member, value)


def _from_mapping(hints: tuple[Any, ...], value: Any) -> dict[Any, Any]:
    """`hints`: the types of a dict's keys and values."""
    if not isinstance(value, Mapping):
        raise ValueError
    return {_first(hints[0], _from_object, k): _first(hints[1], _from_object, v) for k, v in value.items()}


def _as(member: Any, value: Any) -> Any:
    """A plain value as `member`: text and paths stand for each other, whole numbers for numbers."""
    if member in (str, Path) and isinstance(value, str | os.PathLike):
        return member(os.fspath(value))
    kinds: dict[Any, type] = {int: numbers.Integral, float: numbers.Real, bool: bool}
    taken = member in kinds and isinstance(value, kinds[member])
    if not taken or (isinstance(value, bool) and member is not bool):
        raise ValueError
    convert: Any = member
    return convert(value)


def _per_word(member: Any, count: int) -> tuple[Any, ...]:
    """The type of each of so many items.

    Raises:
        ValueError: that many do not fit.
    """
    items = typing.get_args(member)
    if typing.get_origin(member) is list or items[-1] is ...:
        return (items[0],) * count
    if len(items) != count:
        raise ValueError
    return items


def _chosen(table: dict[Any, Any], key: Any) -> Any:
    try:
        return table[key]
    except (KeyError, TypeError):
        raise ValueError from None
