"""Frozen dataclasses to JSON and back, through an explicit table of classes; nothing named in a file is imported."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KIND = "kind_"


def to_json(value: Any) -> Any:
    """JSON data for a (nested) config; every dataclass carries its class name under ``kind_``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {KIND: type(value).__qualname__, **fields}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a config holds leaf values, tuples and other configs; got {type(value).__name__}: {value!r}")


def from_json(data: Any, classes: Mapping[str, type]) -> Any:
    """The config that `to_json` wrote.

    Raises:
        ValueError: a kind that is not in `classes`, or a field the class does not have.
    """
    if isinstance(data, list):
        return tuple(from_json(v, classes) for v in data)
    if not isinstance(data, dict):
        return data
    if KIND not in data:
        return {k: from_json(v, classes) for k, v in data.items()}
    kind = data[KIND]
    if kind not in classes:
        raise ValueError(f"config of kind {kind!r} is not one of ours: {', '.join(sorted(classes))}")
    cls = classes[kind]
    names = {f.name for f in dataclasses.fields(cls)}
    given = {k: from_json(v, classes) for k, v in data.items() if k != KIND}
    if unknown := sorted(set(given) - names):
        close = difflib.get_close_matches(unknown[0], names, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{kind} has no field {unknown[0]!r}{hint} (written by a newer mien?)")
    return cls(**given)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON data so that a reader finds the old file or the new one, never half of it."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)


def digest(value: Any) -> str:
    """Twelve hex digits that name a config."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True).encode()).hexdigest()[:12]


def class_table(*roots: type) -> dict[str, type]:
    """Every dataclass reachable from the field types of `roots`, by qualified name."""
    table: dict[str, type] = {}
    stack: list[Any] = list(roots)
    while stack:
        hint = stack.pop()
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            if hint.__qualname__ in table:
                continue
            table[hint.__qualname__] = hint
            stack.extend(typing.get_type_hints(hint).values())
        elif typing.get_origin(hint) is not None or isinstance(hint, types.UnionType):
            stack.extend(typing.get_args(hint))
    return table
