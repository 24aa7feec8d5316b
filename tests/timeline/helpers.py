"""Small drawn videos, face boxes for them, and tiny models."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import torch

from mien.contract import CropContract, Origin, Store
from mien.data.labels import LabelSpec
from mien.encoders.tpsbt import TPSBTConfig
from mien.faces.faces import FaceSample
from mien.faces.options import contract_for
from mien.models import Model, Provenance
from mien.tasks.classify import Classifier, ClassifyConfig
from mien.tasks.regress import RegressConfig, Regressor
from mien.transforms.clip import ClipSpec

READY = contract_for("none", store=Store(size=32))
BOXED = contract_for("box", boxes=True, store=Store(size=32))


def classifier(
    names: tuple[str, ...] = ("open", "closed"),
    contract: CropContract = READY,
    seed: int = 0,
    training_data: Origin = "recorded",
    stride: int = 2,
    color: bool = True,
) -> Classifier:
    """Untrained, but with a head that answers differently to different clips."""
    torch.manual_seed(seed)
    channels = 3 if color else 1
    mean = (0.45, 0.4, 0.35)[:channels]
    spec = LabelSpec(
        names, target=("expression",), clip=ClipSpec(8, stride, 1 / 20, 32, mean, (0.25,) * channels),
        training_data=training_data, contract=contract,
    )  # fmt: skip
    encoder = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2, channels=channels)
    model = ClassifyConfig(spec, encoder).build().eval()
    with torch.no_grad():
        model.head.weight.normal_(0, 0.5)
    return model


def regressor(
    names: tuple[str, ...] = ("arousal", "valence"),
    kind: Literal["dimensional", "traits"] = "dimensional",
    per: Literal["clip", "frame"] = "clip",
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    num_frames: int = 8,
    seed: int = 0,
) -> Regressor:
    """Untrained, but with a head that answers differently to different clips."""
    torch.manual_seed(seed)
    spec = LabelSpec(
        names, kind, per, names, bounds, ClipSpec(num_frames, 2, 1 / 20, 32, std=(0.25,) * 3), contract=READY
    )
    model = RegressConfig(spec, TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2)).build().eval()
    with torch.no_grad():
        model.head.weight.normal_(0, 0.1)
    return model


def loaded(module: Any, weights: str = "0123456789ab") -> Model:
    """As `mien.load` would give it; `weights` stands for the hash of its weights."""
    return Model(module, module.config, Provenance(), Path("m"), weights)


def write_video(path: Path, times_s: list[float], size: int = 64) -> Path:
    """An H.264 video of a disc that grows and shrinks, with a frame at each time (milliseconds are kept)."""
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(x - size / 2, y - size / 2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for t in times_s:
            disc = distance < size * (0.25 + 0.15 * np.sin(3 * t))
            image = np.where(disc[..., None], (220, 180, 150), (40, 60, 90)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(1000 * t), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def every(period_s: float, count: int) -> list[float]:
    return [k * period_s for k in range(count)]


def write_boxes(path: Path, video: str, marks: list[tuple[float, int, tuple[int, int, int, int]]]) -> Path:
    """A `--boxes` file from (time, track, box)."""
    lines = [f"{video},{t},{track},{','.join(map(str, box))}" for t, track, box in marks]
    path.write_text("\n".join(["path,time_s,track,x0,y0,x1,y1", *lines]) + "\n")
    return path


def face(time_s: float, track: int = 0, value: int = 0, frame_idx: int = 0) -> FaceSample:
    """A sample whose crop is one grey value."""
    crop, box = np.full((8, 8, 3), value, np.uint8), np.array([10.0, 10.0, 110.0, 90.0])
    return FaceSample(frame_idx, time_s, track, box, np.full((5, 2), np.nan), 0.9, 50.0, float("nan"), crop, True)
