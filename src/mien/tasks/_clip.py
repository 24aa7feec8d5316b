"""What supervised tasks on clips share: an encoder, averaged tokens, a norm and a linear head (SVFAP 3.2, Eq. 12).

clip -> encoder -> mean of the tokens -> norm -> head                                     clips, Transformers
clip -> encoder -> mean over space or SRP -> (block over time) -> mean -> norm -> head    clips, SRP or over_time
the same without the mean over time                                                       frames
"""

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
from mien.layers.block import NORM_EPS, Block, layer_norm
from mien.layers.init import fresh_
from mien.layers.position import positions
from mien.layers.spatial_reserve import SMALLEST, SpatialReserve
from mien.transforms.augment import Augment
from mien.types import LabelSpec, UserError, require

HEAD_INIT_SCALE = 0.001  # the head starts almost at zero (decisions: head-initialisation)
BARE_HEAD_STD = 0.01  # of a head without a norm before it (decisions: head-initialisation)
HEAD_DIM = 64  # values per attention head of the block over time, as in the papers' encoders


OverTime = Literal["mean", "transformer", "gru"]


@dataclass(frozen=True)
class ClipTaskConfig:
    """Fields of every task."""

    spec: LabelSpec
    encoder: EncoderConfig = field(default_factory=TPSBTConfig)
    pool: Pool = "tokens"
    over_time: OverTime = "mean"
    """What becomes of the moments of a clip: averaged, or first through one standard Transformer block with positions, by which
    image encoders see an order (SVFAP 4.2.3), or a bidirectional GRU."""
    head_norm: Literal["layer", "batch", "none"] = "layer"
    """Before the head: LayerNorm as published, or batch statistics without weights, as linear probes of masked autoencoders
    use. Batch statistics remove what all clips share, which a small model on one camera cannot learn past (docs/lab.md).
    none: the published head after spatial reserve pooling."""
    frozen: bool = False
    """Train the head alone on fixed features."""
    by_time: bool = False
    """Pick frames by time instead of by number: for training clips of different frame rates."""
    augment: Augment | None = None
    """Training augmentation; None for plain resizing. Evaluation never augments."""
    test_resize: int | None = None
    """Evaluation resizes to this side and keeps the middle of the spec's size; None resizes to that size."""


def pooled(out: EncoderOutput, pool: Pool) -> Tensor:
    """Mean over the tokens of a clip, ``[B, D]`` (MAE-DFER Table 11 for the first three, SVFAP Table 4 for "fused")."""
    if pool == "fused":
        return out.fused().mean(dim=1)
    if pool == "tokens":
        return out.tokens.mean(dim=1)
    assert out.summary is not None, pool
    return (out.summary if pool == "summary" else torch.cat([out.summary, out.tokens], dim=1)).mean(dim=1)


def per_frame(slices: Tensor, num_frames: int) -> Tensor:
    """Features of the encoder's slices, drawn out to every frame between their centres: ``[B, t, D]`` to ``[B, T, D]``."""
    if slices.shape[1] == num_frames:
        return slices
    return nn.functional.interpolate(slices.transpose(1, 2), num_frames, mode="linear").transpose(1, 2)


def spatial_reserve(encoder: EncoderConfig, size: int) -> SpatialReserve:
    """Raises UserError where the encoder's grid is too small."""
    h, w = encoder.spatial(size)
    if min(h, w) < SMALLEST:
        enough = next(s for s in range(size, 100 * size) if min(encoder.spatial(s)) >= SMALLEST)
        raise UserError(
            f'pool "srp" at {size} px: the encoder has {h}x{w} places, spatial reserve pooling needs '
            f"{SMALLEST}x{SMALLEST}; give a size of {enough} px or more"
        )
    return SpatialReserve(encoder.dim, (h, w))


class BlockOverTime(nn.Module):
    """One standard Transformer block over moments ``[B, t, D]``, with their positions (SVFAP 4.2.3)."""

    def __init__(self, dim: int):
        super().__init__()
        self.block = Block(dim, dim // HEAD_DIM if dim % HEAD_DIM == 0 else 1)
        fresh_(self, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x + positions(x, self.block.norm1.weight.dtype))


class GRUOverTime(nn.Module):
    """A bidirectional GRU over moments ``[B, t, D]``, as wide as they are (half of it in each direction): what the lip-reading
    models before SS-VAERR put on their front end (decisions: sequence-model), here as small as the features."""

    def __init__(self, dim: int):
        super().__init__()
        require(dim % 2 == 0, f'over_time "gru": the features are {dim} wide, an even number is needed')
        self.gru = nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x)[0]


class ClipTask(nn.Module):
    """``model(clip [B, C, T, H, W], normalised)`` returns the head's outputs, ``[B, K]`` or, per frame, ``[B, T, K]``."""

    undecayed = frozenset({"encoder.region_tokens"})
    """Weights without weight decay, besides 1-D ones (decisions: weight-decay)."""

    def __init__(self, config: ClipTaskConfig, num_outputs: int):
        super().__init__()
        self.config = config
        self._check()
        self.encoder = config.encoder.build()
        width = config.encoder.dim
        if config.pool == "srp":
            self.neck = spatial_reserve(config.encoder, config.spec.size)
            width = self.neck.dim
        if config.over_time != "mean":
            self.time = GRUOverTime(width) if config.over_time == "gru" else BlockOverTime(width)
        norms = {"layer": layer_norm(width), "batch": nn.BatchNorm1d(width, eps=NORM_EPS, affine=False)}
        self.fc_norm = norms.get(config.head_norm, nn.Identity())
        self.head = nn.Linear(width, num_outputs)
        self._init_head()
        unused = self.encoder.unused_by("tokens" if config.spec.per == "frame" else config.pool)
        for name, parameter in self.encoder.named_parameters():
            if config.frozen or name in unused:
                parameter.requires_grad_(False)

    def _check(self) -> None:
        config = self.config
        pools = (*config.encoder.pools, "srp")
        require(config.pool in pools, f'pool "{config.pool}": this encoder has {", ".join(pools)}')
        ordered = config.over_time == "mean" or config.spec.per == "frame" or config.pool in ("tokens", "srp")
        require(
            ordered, f'over_time "{config.over_time}": pool "{config.pool}" has no order over time; give tokens or srp'
        )

    def _init_head(self) -> None:
        nn.init.zeros_(self.head.bias)
        if self.config.head_norm == "none":
            nn.init.normal_(self.head.weight, std=BARE_HEAD_STD)
            return
        nn.init.trunc_normal_(self.head.weight, std=0.02, a=-2, b=2)
        with torch.no_grad():
            self.head.weight.mul_(HEAD_INIT_SCALE)

    @property
    def spec(self) -> LabelSpec:
        return self.config.spec

    def views(self) -> dict[str, View]:
        s = self.spec
        augment = self.config.augment or self.plain_augment()
        period = s.frame_period_s if self.config.by_time else None
        targets = ((s.target,) if s.kind == "categorical" else s.names) if s.per == "frame" else ()
        return {"clip": View(s.num_frames, s.stride, "train", augment, frame_period_s=period, frame_targets=targets)}

    def plain_augment(self) -> Augment:
        """Resize and normalise: what evaluation and prediction use."""
        s = self.spec
        return Augment(s.size, self.config.test_resize, mean=s.mean, std=s.std, grey=not s.color)

    def features(self, clip: Tensor) -> Tensor:
        """What the head sees: ``[B, D]``, or ``[B, T, D]`` per frame."""
        out, config = self.encoder(clip), self.config
        if self.spec.per == "clip" and config.pool != "srp" and config.over_time == "mean":
            return self.fc_norm(pooled(out, config.pool))
        slices = self.over_space(out)
        if config.over_time != "mean":
            slices = self.time(slices)
        if self.spec.per == "clip":
            return self.fc_norm(slices.mean(dim=1))
        frames = per_frame(slices, clip.shape[2])
        return self.fc_norm(frames.flatten(0, 1)).reshape(frames.shape)

    def over_space(self, out: EncoderOutput) -> Tensor:
        """One vector for each slice of the encoder: ``[B, t, D]``.

        Raises:
            ValueError: with spatial reserve pooling, a clip of another size than the task's.
        """
        (t, h, w), (B, _, D) = out.grid, out.tokens.shape
        if self.config.pool != "srp":
            return out.tokens.reshape(B, t, h * w, D).mean(dim=2)
        if (h, w) != self.neck.grid:
            raise ValueError(f"frames of {h}x{w} places, spatial reserve pooling was made for {self.neck.grid}")
        return self.neck(out.tokens.reshape(B * t, h * w, D)).reshape(B, t, -1)

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
