"""How faces were prepared: where the pixels of a crop come from, and how it is kept (docs/prepare.md)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Literal

CropKind = Literal["face", "box", "voxceleb2", "none"]
DetectorName = Literal["centerface", "given", "none"]
# drawn: every face was made by code (`mien synth`); recorded: camera video; mixed: both.
Origin = Literal["drawn", "recorded", "mixed"]


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a crop come from. Two models may be compared only when this agrees, so only this is hashed."""

    detector: DetectorName = "centerface"
    crop: CropKind = "face"
    template: str = "five-point-1"
    """Name of the landmark template of `prepare.align`; "" for crops that use no landmarks."""
    margin: float = 0.0
    """Extra space around the template or box, as a fraction of the side of the crop."""
    border: Literal["replicate"] = "replicate"

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """How the crop is kept. A larger, coloured or faster store serves a smaller, grey or slower model."""

    size: int = 160
    color: bool = True
    fps: float | None = None
    """Frames per second after resampling; None keeps the frames of the video as they are."""
    codec: Literal["jpeg"] = "jpeg"
    quality: int = 90
    subsampling: Literal["420", "444"] = "420"
    movements: bool = False
    """Beside each crop, the face's mesh and its coefficients (docs/movements-labels.md)."""


@dataclass(frozen=True)
class CropContract:
    """How faces were prepared: kept in shards, in checkpoints and in predictions (design: words)."""

    geometry: Geometry = field(default_factory=Geometry)
    store: Store = field(default_factory=Store)
    verified: bool = True
    """False for the stand-in geometry of a converted checkpoint or of ready-made crops ("assumed, not verified")."""
    stand_in: Geometry | None = None
    """For ready-made crops: how `predict` crops raw video for models trained on them ("assumed, not verified")."""

    def describe(self) -> str:
        g, s = self.geometry, self.store
        color, rate = "colour" if s.color else "grey", "source rate" if s.fps is None else f"{s.fps:g} fps"
        kept = f"{s.size} px {color}, {rate}{', movements' if s.movements else ''}"
        text = f"{g.detector}/{g.crop} margin {g.margin:g} [{g.hash}], {kept}"
        if self.stand_in is None:
            return text
        return f"{text}; on raw video {self.stand_in.crop} margin {self.stand_in.margin:g} [{self.stand_in.hash}]"
