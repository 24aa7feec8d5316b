"""What `mien convert` can read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mien.contract import CropContract, Geometry, Store
from mien.encoders.lgi_former import lgi_former_small, lgi_former_tiny
from mien.encoders.lip_reading import LipReadingConfig, lip_reading
from mien.encoders.resnet import ResNetConfig, resnet18, resnet50
from mien.encoders.tpsbt import tpsbt_small
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.masked import MaskedConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.videomae import VideoMAEConfig

PUBLISHED: dict[str, MaskedConfig] = {
    "svfap-base": SVFAPConfig(),
    "svfap-small": SVFAPConfig(encoder=tpsbt_small()),
    # The published MAE-DFER weights were trained with region order (decisions: token-order).
    "mae-dfer-base": MAEDFERConfig(decoder_order="region"),
    "mae-dfer-small": MAEDFERConfig(encoder=lgi_former_small(), decoder_order="region"),
    "mae-dfer-tiny": MAEDFERConfig(encoder=lgi_former_tiny(), decoder_order="region"),
    "videomae-base": VideoMAEConfig(),
}
"""What ``--as`` names of the masked family: the pre-training model; a classifier has its encoder."""

CONVOLUTIONAL: dict[str, ResNetConfig | LipReadingConfig] = {
    "resnet18": resnet18(),
    "resnet50": resnet50(),
    "lipreading-resnet18": lip_reading(),
}
"""What else ``--as`` names: encoders without a method."""


@dataclass(frozen=True)
class LabelSet:
    """What the published classifiers of a data set answer (decisions: label-orders)."""

    names: tuple[str, ...]
    stride: int = 4


LABELS = {
    "dfew": LabelSet(("happy", "sad", "neutral", "anger", "surprise", "disgust", "fear")),
    "ferv39k": LabelSet(("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"), stride=1),
    "mafw": LabelSet(
        ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety",
         "helplessness", "disappointment")
    ),
    # of single frames (decisions: label-orders)
    "aff-wild2": LabelSet(
        ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other"), stride=1
    ),
}  # fmt: skip

# VoxCeleb2's 25 frames a second; of the data sets of film and television assumed: the authors sample by frame number.
FRAME_PERIOD_S = 1 / 25
# Assumption: the authors trained on the data sets' own crops as they are, and nobody published how those of DFEW, FERV39k, MAFW
# and VoxCeleb2 were made in a way that a program could repeat. On raw video our default crop stands in, and predict says so.
ASSUMED_CROPS = CropContract(Geometry("none", "none", ""), verified=False, stand_in=Geometry())


def assumed_crops(size: int) -> CropContract:
    """`ASSUMED_CROPS` of pictures that are large enough for a model of `size` pixels."""
    return replace(ASSUMED_CROPS, store=Store(size=max(size, Store().size)))
