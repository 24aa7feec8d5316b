"""Faces drawn by code, as the experiments see them: the inner 60 % of the usual crop, brows to chin.

A micro model does not find the expression among hair, clothes and background in minutes; of whole heads of 64 pixels even
supervised training reads little of it (docs/lab.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mien
from mien.corpora.synthetic import SynthConfig

MARGIN = -0.2
EXPRESSIONS = SynthConfig(1500, 300, frames=32)
"""Short clips of many people, without sound: what is learned is tried on new ones."""
STORED: dict[str, Any] = {"size": 96, "audio": False}
"""How they are stored."""


def draw(out: Path, shards: Path, faces: SynthConfig, workers: int, corpus: str | None = None, **crops: Any) -> None:
    """Draws videos into ``out/videos`` and prepares them into `shards`, once.

    Args:
        corpus: read them as this corpus, with the targets of every frame; else by their table of labels.
        crops: options of `mien.prepare`.
    """
    if (shards / "manifest.parquet").is_file():
        return
    talking = "talking " if faces.sound else ""
    print(f"drawing {faces.clips} {talking}clips of {faces.subjects} people, finding their faces", flush=True)
    labels = mien.synth(out=out / "videos", workers=workers, **vars(faces))
    source: dict[str, Any] = {"videos": out / "videos", "corpus": corpus} if corpus else {"labels": labels}
    mien.prepare(**source, out=shards, margin=MARGIN, workers=workers, **crops)
