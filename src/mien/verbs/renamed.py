"""What commands and options are called now (docs/renamed.md): one line for those who type the old name."""

from __future__ import annotations

VERBS: dict[str, str] = {}
"""Of commands that are gone: what to type instead."""

OPTIONS: dict[tuple[str, str], str] = {
    ("embed", "--model"): "the model comes first: mien embed MODEL --data SHARDS --out DIR",
    ("reconstruct", "--model"): "the model comes first: mien reconstruct MODEL --data VIDEO|SHARDS --out PNG",
}
"""By command and old option: what to type instead."""
