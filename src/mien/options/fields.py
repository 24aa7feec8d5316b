"""Dataclasses as lists of options, and back."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import keyword
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Arg:
    """How a field is an option, where that is not what its name and type say. It stands in ``Annotated[...]``."""

    positional: bool = False
    """A word without an option before it."""
    metavar: str | None = None
    """What stands for the value in the help."""
    name: str | None = None
    """On the command line, in place of the field's name."""
    flat: bool = False
    """Of a dataclass: its fields are options without its name before them."""
    hidden: bool = False
    """No option; a keyword in Python only."""
    append: bool = False
    """Of a tuple: the option takes one word and may be repeated."""
    required: bool = False
    placed: bool = False
    """Python may give it without its keyword, though it has a default."""
    """Must be given on the command line, whatever the default is for Python."""


FLAT, HIDDEN = Arg(flat=True), Arg(hidden=True)


@dataclass(frozen=True)
class Leaf:
    """One option."""

    path: tuple[str, ...]
    """Names of the fields that lead to it."""
    option: str
    """On the command line, such as ``--optim.weight-decay``; of a positional what the help calls it."""
    keyword: str
    """In Python, such as ``optim_weight_decay``."""
    hint: Any
    """Its type."""
    default: Any
    """MISSING where there is none."""
    doc: str
    arg: Arg

    @property
    def required(self) -> bool:
        """On the command line."""
        return self.default is MISSING or self.arg.required

    @property
    def switch(self) -> bool:
        """An option without a value."""
        return self.hint is bool


class Foreign(type):
    """A class that a module of options names for type checkers only. Its objects are known by the class's name."""

    def __instancecheck__(cls, value: object) -> bool:
        return cls.__name__ in {c.__name__ for c in type(value).__mro__}


def leaves(target: Any) -> list[Leaf]:
    """The options of a dataclass or of an instance, whose values are then the defaults, in order of its fields; of a tuple of
    them, those of all.

    Of an instance, a part whose type is a union is walked as the class it has, and a part that is None has no options.
    """
    found = [leaf for part in targets_of(target) for leaf in _leaves(part, (), ())]
    for names in ([leaf.option for leaf in found], [leaf.keyword for leaf in found]):
        assert len(set(names)) == len(names), (
            f"two options of one name: {sorted(n for n in names if names.count(n) > 1)}"
        )
    return found


def build(target: Any, given: Mapping[str, Any]) -> Any:
    """The class's instance, or the instance's copy, or a tuple of them, with these values by keyword; what is not given keeps its
    default."""
    values = [
        {leaf.path: given[leaf.keyword] for leaf in leaves(t) if leaf.keyword in given} for t in targets_of(target)
    ]
    built = tuple(_built(part, found) for part, found in zip(targets_of(target), values, strict=True))
    return built if isinstance(target, tuple) else built[0]


def targets_of(target: Any) -> tuple[Any, ...]:
    """What shares a command line."""
    return target if isinstance(target, tuple) else (target,)


def _built(target: Any, values: Mapping[tuple[str, ...], Any]) -> Any:
    inner: dict[str, dict[tuple[str, ...], Any]] = {name: {} for name in _parts_without_default(target)}
    for path, value in values.items():
        if len(path) > 1:
            inner.setdefault(path[0], {})[path[1:]] = value
    mine = {path[0]: value for path, value in values.items() if len(path) == 1}
    mine |= {name: _built(_part(target, name), given) for name, given in inner.items()}
    return target(**mine) if isinstance(target, type) else dataclasses.replace(target, **mine)


def _leaves(target: Any, path: tuple[str, ...], words: tuple[str, ...]) -> Iterator[Leaf]:
    cls = class_of(target)
    docs, hints = docs_of(cls), hints_of(cls)
    for field in dataclasses.fields(cls):
        hint, arg = _unwrapped(hints[field.name])
        value = _default(field) if isinstance(target, type) else getattr(target, field.name)
        if arg.hidden and (is_config(value) or is_config(hint)):
            continue
        name = arg.name or field.name.rstrip("_")
        below = words if arg.flat else (*words, name)
        here = (*path, field.name)
        if is_config(value):
            yield from _leaves(value, here, below)
        elif is_config(hint):
            yield from _leaves(hint, here, below) if value is MISSING else ()
        elif not (value is None and all(is_config(m) for m in members(hint))):
            word = "_".join(below) + "_" * keyword.iskeyword(name)
            yield Leaf(here, _option(below, arg, hint, value), word, hint, value, docs.get(field.name, ""), arg)


def _option(words: tuple[str, ...], arg: Arg, hint: Any, default: Any) -> str:
    *before, last = (word.replace("_", "-") for word in words)
    if arg.positional:
        return arg.metavar or last.upper()
    if hint is bool and default is True:
        last = f"no-{last}"
    return f"--{'.'.join((*before, last))}"


def class_of(target: Any) -> type:
    """Of a class or of an instance."""
    return target if isinstance(target, type) else type(target)


def is_config(value: Any) -> bool:
    """A dataclass, or an instance of one."""
    return dataclasses.is_dataclass(value)


def members(hint: Any) -> tuple[Any, ...]:
    """Of a union, besides None; the type itself where it is none."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,)
    return tuple(m for m in typing.get_args(hint) if m is not type(None))


def optional(hint: Any) -> bool:
    """None is one of the values."""
    return type(None) in typing.get_args(hint)


def _unwrapped(hint: Any) -> tuple[Any, Arg]:
    """The type without what `Annotated` says of it."""
    if typing.get_origin(hint) is not Annotated:
        return hint, Arg()
    inner, *notes = typing.get_args(hint)
    return inner, next((note for note in notes if isinstance(note, Arg)), Arg())


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _part(target: Any, name: str) -> Any:
    """The instance in this field or, where there is none, its class."""
    if not isinstance(target, type):
        return getattr(target, name)
    default = _default(next(f for f in dataclasses.fields(target) if f.name == name))
    return _unwrapped(hints_of(target)[name])[0] if default is MISSING else default


def _parts_without_default(target: Any) -> list[str]:
    if not isinstance(target, type):
        return []
    empty = [f.name for f in dataclasses.fields(target) if _default(f) is MISSING]
    return [name for name in empty if is_config(_unwrapped(hints_of(target)[name])[0])]


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """Types of the fields. A name that its module does not have when it runs becomes a `Foreign` class."""
    foreign: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(cls, localns=foreign, include_extras=True)
        except NameError as error:
            name = str(error.name)
            foreign[name] = Foreign(name, (), {"__module__": "mien"})


@functools.cache
def docs_of(cls: type) -> dict[str, str]:
    """The text below each field, by name, as one paragraph; fields of parents included."""
    docs: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if dataclasses.is_dataclass(owner) and (node := _definition(owner)) is not None:
            docs |= _texts(node)
    return docs


def _texts(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _definition(cls: type) -> ast.ClassDef | None:
    """The class in the source of its module; None where there is no source."""
    node: Any = _source(cls.__module__)
    for name in cls.__qualname__.split("."):
        if node is not None and name != "<locals>":
            inner = (n for n in ast.walk(node) if isinstance(n, ast.ClassDef | ast.FunctionDef) and n is not node)
            node = next((n for n in inner if n.name == name), None)
    return node if isinstance(node, ast.ClassDef) else None


@functools.cache
def _source(module: str) -> ast.Module | None:
    try:
        return ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return None
