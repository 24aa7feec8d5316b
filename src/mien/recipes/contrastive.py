"""Recipes of the contrastive family: BYOL, SimSiam, ContraWarping, DINO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mien.transforms.warp import Warp
from mien.types import Geometry


def warp_of(warp: Warp, geometries: Sequence[Geometry]) -> Warp:
    """Layout "auto" made definite: muscles on crops that are all aligned alike, else a plain lattice."""
    if warp.layout != "auto":
        return warp
    aligned = all(g.crop == "face" and g == geometries[0] for g in geometries)
    return replace(warp, layout="face", margin=geometries[0].margin) if aligned else replace(warp, layout="grid")
