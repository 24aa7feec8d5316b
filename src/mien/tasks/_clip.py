"""What supervised tasks on clips share: an encoder, averaged tokens, a norm and a linear head (SVFAP 3.2, Eq. 12)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mien.data.view import View
from mien.encoders._api import EncoderOutput, Pool
from mien.encoders._table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.layers.block import NORM_EPS, layer_norm
from mien.transforms.augment import Augment
from mien.types import LabelSpec, require

HEAD_INIT_SCALE = 0.001  # official.md 2.5: the head starts almost at zero


@dataclass(frozen=True)
class ClipTaskConfig:
    """Fields of every task."""

    spec: LabelSpec
    encoder: EncoderConfig = field(default_factory=TPSBTConfig)
    pool: Pool = "tokens"
    head_norm: Literal["layer", "batch"] = "layer"
    """Before the head: LayerNorm as published, or batch statistics without weights, as linear probes of masked autoencoders
    use. Batch statistics remove what all clips share, which a small model on one camera cannot learn past (docs/lab.md)."""
    frozen: bool = False
    """Train the head alone on fixed features."""
    by_time: bool = False
    """Pick frames by time instead of by number: for training clips of different frame rates."""
    augment: Augment | None = None
    """Training augmentation; None for plain resizing. Evaluation never augments."""


def pooled(out: EncoderOutput, pool: Pool) -> Tensor:
    """Mean over the tokens of a clip, ``[B, D]`` (MAE-DFER Table 11 for the first three, SVFAP Table 4 for "fused")."""
    if pool == "fused":
        return out.fused().mean(dim=1)
    if pool == "tokens":
        return out.tokens.mean(dim=1)
    assert out.summary is not None, pool
    return (out.summary if pool == "summary" else torch.cat([out.summary, out.tokens], dim=1)).mean(dim=1)


def pooled_over_time(out: EncoderOutput, num_frames: int) -> Tensor:
    """Mean over space, drawn out to every frame between the centres of the encoder's slices: ``[B, T, D]``."""
    B, N, D = out.tokens.shape
    slices = out.tokens.reshape(B, out.grid[0], N // out.grid[0], D).mean(dim=2).transpose(1, 2)
    return nn.functional.interpolate(slices, num_frames, mode="linear").transpose(1, 2)


class ClipTask(nn.Module):
    """``model(clip [B, C, T, H, W], normalised)`` returns the head's outputs, ``[B, K]`` or, per frame, ``[B, T, K]``."""

    undecayed = frozenset({"encoder.region_tokens"})
    """Weights without weight decay, besides 1-D ones (official.md 4.1)."""

    def __init__(self, config: ClipTaskConfig, num_outputs: int):
        super().__init__()
        pools = config.encoder.pools
        require(config.pool in pools, f'pool "{config.pool}": this encoder has {", ".join(pools)}')
        self.config = config
        self.encoder = config.encoder.build()
        batch = nn.BatchNorm1d(config.encoder.dim, eps=NORM_EPS, affine=False)
        self.fc_norm = batch if config.head_norm == "batch" else layer_norm(config.encoder.dim)
        self.head = nn.Linear(config.encoder.dim, num_outputs)
        nn.init.trunc_normal_(self.head.weight, std=0.02, a=-2, b=2)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.weight.mul_(HEAD_INIT_SCALE)
        unused = self.encoder.unused_by("tokens" if config.spec.per == "frame" else config.pool)
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(not config.frozen and name not in unused)

    @property
    def spec(self) -> LabelSpec:
        return self.config.spec

    def views(self) -> dict[str, View]:
        s = self.spec
        augment = self.config.augment or self.plain_augment()
        period = s.frame_period_s if self.config.by_time else None
        targets = s.names if s.per == "frame" else ()
        return {"clip": View(s.num_frames, s.stride, "train", augment, frame_period_s=period, frame_targets=targets)}

    def plain_augment(self) -> Augment:
        """Resize and normalise: what evaluation and prediction use."""
        s = self.spec
        return Augment(size=s.size, mean=s.mean, std=s.std, grey=not s.color)

    def features(self, clip: Tensor) -> Tensor:
        """What the head sees: ``[B, D]``, or ``[B, T, D]`` per frame."""
        out = self.encoder(clip)
        if self.spec.per == "clip":
            return self.fc_norm(pooled(out, self.config.pool))
        frames = pooled_over_time(out, clip.shape[2])
        return self.fc_norm(frames.flatten(0, 1)).reshape(frames.shape)

    def outputs(self, clip: Tensor) -> Tensor:
        return self.head(self.features(clip))

    def forward(self, batch: Tensor | dict[str, Any]) -> Any:
        """A clip gives the head's outputs; a batch of the loader the loss."""
        return self.outputs(batch) if isinstance(batch, Tensor) else self.loss(batch)

    @abstractmethod
    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """``{"loss": scalar with gradient, ...detached scalars for the log}`` of a batch of the loader."""
        ...

    def train(self, mode: bool = True) -> ClipTask:
        super().train(mode)
        if self.config.frozen:
            self.encoder.eval()  # a frozen encoder drops no paths
        return self

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""
