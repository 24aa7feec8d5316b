"""An encoder and nothing else: what `mien convert` makes of a published backbone, for ``--init``."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from mien.encoders.resnet import ResNetConfig
from mien.encoders.table import EncoderConfig
from mien.learner import LearnerConfig
from mien.transforms.clip import Augment, ClipSpec


@dataclass(frozen=True)
class EncoderOnlyConfig(LearnerConfig):
    """The encoder and the clips it was trained on. It is neither a method nor a task: there is nothing in it to train with."""

    encoder: EncoderConfig = field(default_factory=ResNetConfig)
    clip: ClipSpec = field(default_factory=lambda: ClipSpec(1, 1, size=224))

    def __post_init__(self) -> None:
        self.clip.check(self.encoder)

    @property
    def sees(self) -> ClipSpec:
        return self.clip

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
        return self.config.clip.plain()

    def features(self, clip: Tensor) -> Tensor:
        """Mean of the tokens, ``[B, D]``."""
        return self(clip).mean(dim=1)
