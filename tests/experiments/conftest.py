"""Micro shards of drawn faces, as the experiments prepare them."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import STORED, draw

from mien.corpora.synthetic import SynthConfig

FEW = SynthConfig(28, 8, frames=16)


@pytest.fixture(scope="session")
def expressions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short clips of eight people, cropped from brows to chin."""
    out = tmp_path_factory.mktemp("expressions")
    draw(out, out / "drawn", FEW, 1, **STORED)
    return out / "drawn"
