"""mien: face video to affect, and face video without labels to better models.

Every command is a function here, with its options as keywords: ``mien.prepare("videos", out="shards", size=96)`` is
``mien prepare videos --out shards --size 96``; ``help(mien.prepare)`` lists them. `load` gives the model of a folder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.data.shards import Shards as Shards
    from mien.errors import UserError as UserError
    from mien.models import Model as Model
    from mien.models import load as load

__version__ = "0.2.0"
VERBS = (
    "demo", "prepare", "synth", "audit", "pretrain", "finetune", "convert", "evaluate", "benchmark", "cross", "table",
    "predict", "reconstruct", "embed", "profile", "doctor", "get",
)  # fmt: skip
__all__ = ["Model", "Shards", "UserError", "__version__", "load", "recipes", *VERBS]  # pyright: ignore

# torch takes over a second to import; `mien prepare --help` needs none of it.
_named = lazy(
    __name__,
    **{f"verbs.{verb}": verb for verb in VERBS},
    **{"data.shards": "Shards", "errors": "UserError", "models": "Model load"},
)


def __getattr__(name: str) -> Any:
    return importlib.import_module("mien.recipes") if name == "recipes" else _named(name)


def __dir__() -> list[str]:
    return sorted(__all__)
