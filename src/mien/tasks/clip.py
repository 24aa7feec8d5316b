"""What supervised tasks on clips share: an encoder, averaged tokens, a norm and a linear head (SVFAP 3.2, Eq. 12).

clip -> encoder -> mean of the tokens -> norm -> head                                     clips, Transformers
clip -> encoder -> mean over space or SRP -> (block over time) -> mean -> norm -> head    clips, SRP or over_time
the same without the mean over time                                                       frames
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, Self

import torch
from torch import Tensor, nn

from mien.data.labels import LabelSpec
from mien.data.view import View
from mien.encoders.output import EncoderOutput, Pool
from mien.encoders.table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError, require
from mien.layers.block import NORM_EPS, Block, layer_norm
from mien.layers.init import fresh_
from mien.layers.position import positions
from mien.layers.spatial_reserve import SMALLEST, SpatialReserve
from mien.learner import LearnerConfig, TrainingData, with_period
from mien.options import FLAT, HIDDEN
from mien.transforms.clip import Augment, ClipAugment, ClipSpec

HEAD_INIT_SCALE = 0.001  # the head starts almost at zero (decisions: head-initialisation)
BARE_HEAD_STD = 0.01  # of a head without a norm before it (decisions: head-initialisation)
HEAD_DIM = 64  # values per attention head of the block over time, as in the papers' encoders


OverTime = Literal["mean", "transformer", "gru"]
Frozen = Literal["none", "first", "all"]


@dataclass(frozen=True, kw_only=True)
class Freezing:
    frozen: Frozen = "none"
    """What of the encoder is not trained: nothing, its first layer (which SS-VAERR calls frozen), or all of it, so that the
    head alone learns."""


@dataclass(frozen=True)
class ClipTaskConfig(Freezing, LearnerConfig):
    """Fields of every task on clips. What it trains on is in `spec`."""

    spec: Annotated[LabelSpec, FLAT] = field(default_factory=LabelSpec)
    encoder: Annotated[EncoderConfig, HIDDEN] = field(default_factory=TPSBTConfig)
    pool: Pool | None = None
    """Tokens that are averaged; none takes what suits the encoder (LGI-Former: summary, others: tokens). srp keeps where in the
    frame they are."""
    over_time: OverTime = "mean"
    """What becomes of the moments of a clip: averaged, or first through one standard Transformer block with positions, by which
    image encoders see an order (SVFAP 4.2.3), or a bidirectional GRU."""
    head_norm: Literal["layer", "batch", "none"] = "layer"
    """Before the head: LayerNorm as published, or batch statistics without weights, as linear probes of masked autoencoders
    use. Batch statistics remove what all clips share, which a small model on one camera cannot learn past (docs/lab.md).
    none: the published head after spatial reserve pooling."""
    drop_path: float = 0.1
    """Stochastic depth of a Transformer in fine-tuning: the share of clips for which its last block is left out."""
    frozen_stages: int = -1
    """Of ResNets: 0 freezes the stem, n the stages 1 to n too, with the statistics of their BatchNorm; -1 nothing."""
    by_time: Annotated[bool, HIDDEN] = False
    """Pick frames by time instead of by number: for training clips of different frame rates."""
    augment: Annotated[ClipAugment, FLAT] = field(default_factory=ClipAugment)
    """In training. Evaluation never augments."""
    test_resize: int | None = None
    """Evaluation resizes to this side and keeps the middle --size pixels; none resizes to --size."""

    def __post_init__(self) -> None:
        require(0 <= self.drop_path < 1, f"--drop-path {self.drop_path:g}: give a number from 0 to below 1")
        require(-1 <= self.frozen_stages <= 4, f"--frozen-stages {self.frozen_stages}: give -1 (none) to 4")

    @property
    def sees(self) -> ClipSpec:
        return self.spec.clip

    @property
    def pooling(self) -> Pool:
        return self.pool or self.encoder.pools[0]

    def begun(self, encoder: EncoderConfig, seen: ClipSpec) -> Self:
        """Raises UserError: stages to freeze, and an encoder without."""
        values = {"drop_path": self.drop_path, "frozen_stages": self.frozen_stages}
        has = {f.name for f in fields(encoder)} & values.keys()
        staged = "frozen_stages" in has or self.frozen_stages == -1
        require(staged, f"--frozen-stages {self.frozen_stages}: this encoder has none; --frozen all freezes all of it")
        spec = replace(self.spec, clip=self.spec.clip.of(seen))
        return replace(self, encoder=replace(encoder, **{name: values[name] for name in has}), spec=spec)

    def fitted(self, data: TrainingData) -> Self:
        """With the frame period, the contract, the origin and the names (`named`) of the data."""
        clip, contract = with_period(self.spec.clip, data), data.shards[0].contract
        spec = self.named(replace(self.spec, clip=clip, training_data=data.origin, contract=contract), data)
        return replace(self, spec=spec, by_time=data.rates_differ(1 / clip.period_s))

    @abstractmethod
    def named(self, spec: LabelSpec, data: TrainingData) -> LabelSpec:
        """With the names, the kind and the range of the outputs."""
        ...


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


def freeze(encoder: Any, kind: Frozen, unused: set[str]) -> set[str]:
    """Takes the gradients of what is not trained, or cannot reach the outputs; names of the parameters that stay as they are."""
    names = [n for n, _ in encoder.named_parameters()]
    fixed = {n for n in names if kind == "all" or (kind == "first" and encoder.layer_of(n) == 0)}
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name not in fixed and name not in unused)
    return fixed


def still(encoder: nn.Module, fixed: set[str]) -> None:
    """What is frozen keeps its running statistics too, and drops no paths."""
    everything = len(fixed) == len(list(encoder.parameters()))
    for name, module in encoder.named_modules():
        if everything or f"{name}.weight" in fixed:
            module.eval()


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
    whole_tracks = False
    """It sees clips; one that carries a state has `predict_track`."""

    def __init__(self, config: ClipTaskConfig, num_outputs: int):
        super().__init__()
        self.config = config
        self._check()
        self.encoder = config.encoder.build()
        width = config.encoder.dim
        config.spec.clip.check(config.encoder)
        if config.pooling == "srp":
            self.neck = spatial_reserve(config.encoder, config.spec.clip.size)
            width = self.neck.dim
        if config.over_time != "mean":
            self.time = GRUOverTime(width) if config.over_time == "gru" else BlockOverTime(width)
        norms = {"layer": layer_norm(width), "batch": nn.BatchNorm1d(width, eps=NORM_EPS, affine=False)}
        self.fc_norm = norms.get(config.head_norm, nn.Identity())
        self.head = nn.Linear(width, num_outputs)
        self._init_head()
        unused = self.encoder.unused_by("tokens" if config.spec.per == "frame" else config.pooling)
        self._fixed = freeze(self.encoder, config.frozen, unused)

    def _check(self) -> None:
        config = self.config
        pools = (*config.encoder.pools, "srp")
        require(config.pooling in pools, f'pool "{config.pool}": this encoder has {", ".join(pools)}')
        ordered = config.over_time == "mean" or config.spec.per == "frame" or config.pooling in ("tokens", "srp")
        require(
            ordered,
            f'over_time "{config.over_time}": pool "{config.pooling}" has no order over time; give tokens or srp',
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
        clip, spec = self.spec.clip, self.spec
        augment = clip.augmented(self.config.augment)
        period = clip.frame_period_s if self.config.by_time else None
        targets = (spec.target if spec.classes else spec.names) if spec.per == "frame" else ()
        view = View(clip.num_frames, clip.stride, "train", augment, frame_period_s=period, frame_targets=targets)
        return {"clip": view}

    def plain_augment(self) -> Augment:
        return self.spec.clip.plain(self.config.test_resize)

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        self.encoder.load_state_dict(state)

    def features(self, clip: Tensor) -> Tensor:
        """What the head sees: ``[B, D]``, or ``[B, T, D]`` per frame."""
        out, config = self.encoder(clip), self.config
        if self.spec.per == "clip" and config.pooling != "srp" and config.over_time == "mean":
            return self.fc_norm(pooled(out, config.pooling))
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
        if self.config.pooling != "srp":
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
        still(self.encoder, self._fixed)
        return self

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""
