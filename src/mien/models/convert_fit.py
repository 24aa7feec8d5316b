"""The tensors of a file beside those of a model of ours: every one must be in both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from mien.errors import UserError
from mien.models.convert_keys import bare

Found = dict[str, tuple[str, Tensor]]
"""Bare names to the file's own names and the tensors."""


def by_bare_name(state: dict[str, Tensor], source: Path) -> Found:
    """Bare name to the file's own name and the tensor."""
    found: Found = {}
    for key, value in state.items():
        if bare(key) in found:
            raise UserError(
                f"{source} holds {found[bare(key)][0]} and {key}, which are one name to the published loaders"
            )
        found[bare(key)] = key, value
    return found


def check_fit(own: Mapping[str, Tensor], wanted: Mapping[str, str], found: Found, misfit: str) -> None:
    """Raises UserError unless every tensor is there, in its shape, and no other.

    Args:
        own: tensors of our model. wanted: their names to the authors', of which `found` has the bare form.
        misfit: how the message begins.
    """
    missing = [theirs for theirs in wanted.values() if bare(theirs) not in found]
    left = [found[name][0] for name in set(found) - {bare(theirs) for theirs in wanted.values()}]
    shapes = [
        f"{found[bare(theirs)][0]} {_x(found[bare(theirs)][1].shape)} instead of {_x(own[key].shape)}"
        for key, theirs in wanted.items()
        if bare(theirs) in found and found[bare(theirs)][1].shape != own[key].shape
    ]
    parts = [
        f"{title} {len(items)} ({', '.join(sorted(items))})"
        for title, items in (("missing", missing), ("left over", left), ("of another shape", shapes))
        if items
    ]
    if parts:
        raise UserError(f"{misfit}: {'; '.join(parts)}")


def _x(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a single value"


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> list[str]:
    """A note on the tensors, by their own names, that hold NaN or infinite numbers."""
    bad = sorted(name for name, values in tensors if not _finite(values))
    return [f"not finite (NaN or infinite numbers in it), so outputs are not either: {', '.join(bad)}"] if bad else []


def _finite(values: Tensor) -> bool:
    low, high = values.aminmax()  # takes no memory; NaN is both
    return bool(low.isfinite() and high.isfinite())
