"""mien: face video to affect, and face video without labels to better models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.models import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # `mien.load` needs torch (over a second to import); `mien prepare --help` does not.
    if name == "load":
        from mien.models import load

        return load
    raise AttributeError(f"module 'mien' has no attribute {name!r}")
