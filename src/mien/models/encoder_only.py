"""An encoder and nothing else: what `mien convert` makes of a published backbone, for ``--init``."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from mien.encoders.resnet import ResNetConfig
from mien.encoders.table import EncoderConfig
from mien.transforms.augment import Augment
from mien.transforms.clip import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class EncoderOnlyConfig:
    """The encoder and the clips it was trained on. It is neither a method nor a task: there is nothing in it to train with."""

    encoder: EncoderConfig = field(default_factory=ResNetConfig)
    num_frames: int = 1
    stride: int = 1
    size: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        self.encoder.check_clip(self.num_frames, self.size)

    def build(self) -> EncoderOnly:
        return EncoderOnly(self)


class EncoderOnly(nn.Module):
    """``model(clip [B, C, T, H, W], normalised)`` returns the encoder's tokens ``[B, N, D]``."""

    def __init__(self, config: EncoderOnlyConfig):
        super().__init__()
        self.config = config
        self.encoder = config.encoder.build()

    def forward(self, clip: Tensor) -> Tensor:
        return self.encoder(clip).tokens

    def plain_augment(self) -> Augment:
        """Resize and normalise."""
        c = self.config
        return Augment(size=c.size, mean=c.mean, std=c.std, grey=c.encoder.channels == 1)

    def features(self, clip: Tensor) -> Tensor:
        """Mean of the tokens, ``[B, D]``."""
        return self(clip).mean(dim=1)
