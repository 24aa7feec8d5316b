"""What `mien convert` can read, and what the files cannot say about themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mien.encoders._api import Pool
from mien.encoders.lgi_former import lgi_former_small, lgi_former_tiny
from mien.encoders.lip_reading import LipReadingConfig, lip_reading
from mien.encoders.resnet import ResNetConfig, resnet18, resnet50
from mien.encoders.tpsbt import tpsbt_small
from mien.layers.resnet import Activation
from mien.methods._masked import MaskedConfig
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.videomae import VideoMAEConfig
from mien.types import CropContract, Geometry, Store, require

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


@dataclass(frozen=True)
class ConvertOptions:
    """What the file cannot say about itself."""

    name: str
    """A key of `PUBLISHED` or `CONVOLUTIONAL`."""
    num_classes: int | None = None
    """Must agree with the file; None believes it."""
    labels: str | None = None
    """A key of `LABELS`."""
    pool: Pool | None = None
    """Tokens that a classifier averages; None takes the published scripts' choice: summary for MAE-DFER, else tokens."""
    size: int | None = None
    """Side of the clips; None: 160 pixels, 224 of ResNets, 96 of lip reading."""
    activation: Activation | None = None
    """Of lip reading, which a file shows only where it is PReLU; None then takes ReLU."""
    prefix: str | None = None
    """What stands before the names of a ResNet's tensors, for files with several networks; None finds the only one."""

    def __post_init__(self) -> None:
        names = (*PUBLISHED, *CONVOLUTIONAL)
        for option, value, table in (("--as", self.name, names), ("--labels", self.labels, LABELS)):
            require(value is None or value in table, f"{option} {value}: give one of {', '.join(table)}")
        lips = self.name == "lipreading-resnet18"
        require(self.activation is None or lips, f"--activation {self.activation}: it is of lipreading-resnet18")
        resnet = isinstance(CONVOLUTIONAL.get(self.name), ResNetConfig)
        require(self.prefix is None or resnet, f"--prefix {self.prefix}: it is of resnet18 and resnet50")
        n = self.num_classes
        require(n is None or n >= 1, f"--num-classes {n}: give 1 or more")

    def unused(self, source: str) -> list[str]:
        """A note on the options of classifiers that were given for a file without classes."""
        given = {"--num-classes": self.num_classes, "--labels": self.labels, "--pool": self.pool}
        unused = [option for option, value in given.items() if value is not None]
        return [f"{source} is a pre-training model without classes: {', '.join(unused)} not used"] if unused else []
