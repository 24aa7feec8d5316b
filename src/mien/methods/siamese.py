"""What methods on several views of one face share: encoder, pooled features, a teacher that follows, views, monitors.

    view -> encoder -> mean over space -> projector -> projection, one per frame

An image is a clip of one frame. Of longer clips every frame is a sample of its own ("trained per frame", SS-VAERR V-B): the
clip passes the encoder as a whole, so that a 3-D convolution sees the neighbours that it will see later, its frames are
augmented alike, and a frame of one view is compared with the same frame of the other.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.data.view import View
from mien.encoders.resnet import ResNetConfig
from mien.encoders.table import EncoderConfig
from mien.errors import require
from mien.layers.block import layer_norm
from mien.learner import LearnerConfig, TrainingData, with_period
from mien.options import FLAT
from mien.transforms.clip import Augment, ClipSpec
from mien.transforms.contrastive import Look, Views

SIZE = 96
"""Pixels of the views. Ours; the papers have 224."""


@dataclass(frozen=True)
class SiameseConfig(LearnerConfig):
    """Fields of every method of several views. The clip's size is that of the largest."""

    encoder: EncoderConfig = field(default_factory=ResNetConfig)
    clip: Annotated[ClipSpec, FLAT] = field(default_factory=lambda: ClipSpec(1, 1, size=SIZE))

    def __post_init__(self) -> None:
        sizes = {look.size for look in self.sized().values()}
        for size in sizes:
            replace(self.clip, size=size).check(self.encoder)
        largest = f"--size {self.clip.size}: the largest view has {max(sizes)} px, give that"
        require(max(sizes) == self.clip.size, largest)

    @abstractmethod
    def looks(self) -> dict[str, Look]:
        """Every view by name, in the order in which it is drawn."""
        ...

    def sized(self) -> dict[str, Look]:
        """The looks, each with its size."""
        return {name: replace(look, size=look.size or self.clip.size) for name, look in self.looks().items()}

    @property
    def sees(self) -> ClipSpec:
        return self.clip

    def fitted(self, data: TrainingData) -> Self:
        return replace(self, clip=with_period(self.clip, data))

    def transform(self) -> Views:
        looks, clip = self.sized(), self.clip
        return Views(tuple(looks), tuple(looks.values()), mean=clip.mean, std=clip.std, grey=not clip.color)


@dataclass(frozen=True)
class TwoViewConfig(SiameseConfig):
    """Two views of one size."""

    first: Look = field(default_factory=Look)
    second: Look = field(default_factory=lambda: Look(blur=0.1, solarize=0.2))

    def looks(self) -> dict[str, Look]:
        return {"first": self.first, "second": self.second}


class Branch(nn.Module):
    """Encoder and projector."""

    def __init__(self, config: SiameseConfig, projector: nn.Module):
        super().__init__()
        self.encoder = config.encoder.build()
        # Transformers leave the last norm to their caller; maps of convolutions need none.
        self.norm = layer_norm(config.encoder.dim) if self.encoder.supports_mask else nn.Identity()
        self.projector = projector

    def features(self, clip: Tensor) -> Tensor:
        """[B, C, T, H, W] to [B, t, D]: the mean over space of every slice of the encoder's output."""
        out = self.encoder(clip)
        return self.norm(out.tokens).unflatten(1, (out.grid[0], -1)).mean(dim=2)

    def forward(self, clip: Tensor) -> Tensor:
        """[B, C, T, H, W] to projections [B * t, P]."""
        return self.projector(self.features(clip).flatten(0, 1))


class Siamese(nn.Module):
    """`online` learns; `target`, where there is one, follows it slowly and gets no gradients."""

    online: Branch

    def __init__(self, config: SiameseConfig):
        super().__init__()
        self.config = config
        self.target: Branch | None = None

    @property
    def encoder(self) -> nn.Module:
        """What is kept."""
        return self.online.encoder

    def add_target(self) -> None:
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Starts from an encoder's weights, the target too."""
        self.online.encoder.load_state_dict(state)
        if self.target is not None:
            self.target.encoder.load_state_dict(state)

    def views(self) -> dict[str, View]:
        clip = self.config.clip
        return {"clip": View(clip.num_frames, clip.stride, "pretrain", self.config.transform())}

    def held_out_views(self) -> dict[str, View]:
        """The same: without its augmentation the task would be another."""
        return self.views()

    def plain_augment(self) -> Augment:
        return self.config.clip.plain()

    def kept(self) -> Branch:
        """The branch whose encoder is kept."""
        return self.online

    def features(self, clip: Tensor) -> Tensor:
        """[B, C, T, H, W] to [B, D]: what a probe or a head would see, the mean over space and time."""
        return self.kept().features(clip).mean(dim=1)

    def projections(self, clip: Tensor) -> Tensor:
        """[B, C, T, H, W] to [B, P], the mean over time."""
        branch = self.kept()
        features = branch.features(clip)
        return branch.projector(features.flatten(0, 1)).unflatten(0, features.shape[:2]).mean(dim=1)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """The target's weights move towards the online ones by ``1 - momentum``."""
        assert self.target is not None
        for old, new in zip(self.target.parameters(), self.online.parameters(), strict=True):
            old.lerp_(new, 1 - momentum)

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""


def cosine_momentum(start: float, progress: float) -> float:
    """From `start` to 1 along half a cosine: 1 - (1 - start)(cos(pi k / K) + 1) / 2 (BYOL, DINO)."""
    return 1 - (1 - start) * (math.cos(math.pi * progress) + 1) / 2


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """[n, P] twice to [n], in float32."""
    return F.cosine_similarity(a.float(), b.float(), dim=-1)


def spread(vectors: Tensor) -> Tensor:
    """How far normalised vectors [n, P] lie apart: the standard deviation of their entries over the batch times sqrt(P). 1 for
    directions without preference, 0 when all are one (SimSiam Fig. 2)."""
    unit = F.normalize(vectors.detach().float(), dim=-1)
    return unit.std(dim=0, correction=0).mean() * math.sqrt(unit.shape[-1])
