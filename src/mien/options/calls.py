"""The same options as keywords of a Python function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from inspect import Parameter, Signature
from typing import Any, TypeVar

from mien.errors import UserError
from mien.options.fields import Leaf, build, class_of, leaves, targets_of
from mien.options.parse import nearest
from mien.options.values import from_object

Result = TypeVar("Result")


def callable_of(options: type, work: Callable[[Any], Result], name: str) -> Callable[..., Result]:
    """`work`, which takes an instance of `options`, as a function that takes its fields; signature and help say which."""

    def call(*args: Any, **kwargs: Any) -> Result:
        return work(from_keywords(options, args, kwargs))

    call.__name__ = call.__qualname__ = name
    call.__module__ = options.__module__
    call.__doc__ = doc_of(options)
    call.__dict__["__signature__"] = signature_of(options)
    return call


def from_keywords(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a call gave; `target` is what `parse` takes. Text, paths and objects are taken alike where the type allows it.

    Raises:
        UserError: a keyword or value that is wrong, missing or unknown.
    """
    options = leaves(target)
    given = _named(options, args, kwargs)
    for leaf in options:
        if leaf.default is MISSING and leaf.keyword not in given:
            raise UserError(f"{leaf.keyword} is missing: {leaf.doc}")
    return build(target, {leaf.keyword: _value(leaf, given[leaf.keyword]) for leaf in options if leaf.keyword in given})


def signature_of(target: Any) -> Signature:
    """Every option as a keyword. Words of the command line without an option, and required options, may be positional."""
    options = leaves(target)
    first = _positionals(options)
    rest = [leaf for leaf in options if leaf not in first]
    return Signature(
        [_parameter(leaf, Parameter.POSITIONAL_OR_KEYWORD) for leaf in first]
        + [_parameter(leaf, Parameter.KEYWORD_ONLY) for leaf in rest]
    )


def doc_of(target: Any) -> str:
    """The text of the class, and of every option."""
    about = inspect.getdoc(class_of(targets_of(target)[0])) or ""
    return "\n".join([about, "", "Args:", *(f"    {leaf.keyword}: {leaf.doc}" for leaf in leaves(target))])


def _parameter(leaf: Leaf, kind: Any) -> Parameter:
    return Parameter(
        leaf.keyword, kind, default=Parameter.empty if leaf.default is MISSING else leaf.default, annotation=leaf.hint
    )


def _positionals(options: Sequence[Leaf]) -> list[Leaf]:
    """Those with a place of their own: Python wants the ones without a default first."""
    words = [leaf for leaf in options if leaf.arg.positional]
    needed = [o for o in options if (o.default is MISSING or o.arg.placed) and not o.arg.positional]
    return words if any(leaf.default is not MISSING for leaf in words) else words + needed


def _named(options: list[Leaf], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    places = [leaf.keyword for leaf in _positionals(options)]
    if len(args) > len(places):
        raise UserError(f"received {len(args)} values without a keyword; these may have none: {', '.join(places)}")
    given = dict(zip(places, args, strict=False))
    known = [leaf.keyword for leaf in options]
    for name in kwargs:
        if name not in known:
            near = nearest(name, known)
            raise UserError(f"there is no keyword {name}{f'; did you mean {near}?' if near else ''}")
        if name in given:
            raise UserError(f"{name} was given twice: as the first values, and as a keyword")
    return given | dict(kwargs)


def _value(leaf: Leaf, value: Any) -> Any:
    try:
        return from_object(leaf.hint, value)
    except ValueError as error:
        raise UserError(f"{leaf.keyword}={value!r}: {error}") from None
