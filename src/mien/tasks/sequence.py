"""Arousal and valence of every frame: an encoder per frame, a GRU over time, numbers and classes from it (SS-VAERR III-B).

The paper draws 3-D convolution -> ResNet-18 -> GRU -> "regression or classification result or both" and says no more. Ours,
after the nearest public precedent (decisions: sequence-model): two layers of 512, here in one direction, so that a video of any
length is predicted with a state that is carried along; a linear layer from the same GRU for each kind of output; the mean
over space in place of the map. Any encoder will do; one that halves time has its slices drawn out to frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.dataset import Items
from mien.data.labels import LabelSpec
from mien.data.segments import SegmentSet, SegmentView, StretchSet, frame_values, pixel_statistics
from mien.data.view import View
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.table import EncoderConfig
from mien.errors import option, require
from mien.learner import LearnerConfig, TrainingData
from mien.losses.composite import CompositeLoss, Discrete, composite_loss
from mien.losses.ordinal import bin_centres, clusters
from mien.options import FLAT, HIDDEN
from mien.tasks.clip import Freezing, freeze, per_frame, still
from mien.transforms.clip import ClipSpec
from mien.transforms.sequence import SequenceAugment, SequenceTransform

Output = Literal["regression", "expectation", "argmax"]
ROUNDED = 1e-4  # ratings are written with three digits or more
CHUNK = 64
"""Frames that go through the encoder at once in prediction: 64 of 96 pixels fill two cores, more only cost memory."""


@dataclass(frozen=True)
class SequenceConfig(Freezing, LearnerConfig):
    """A sequence regressor and how it is trained: an encoder per frame, a GRU, the composite loss. Frames are picked by time.

    The targets are columns of the shards by frame. A training segment has the clip's number of frames; prediction takes whole
    videos.
    """

    spec: Annotated[LabelSpec, FLAT] = field(default_factory=lambda: LabelSpec(kind="dimensional", per="frame"))
    encoder: Annotated[EncoderConfig, HIDDEN] = field(default_factory=LipReadingConfig)
    gru_layers: int = 2
    """Layers of the GRU."""
    gru_hidden: int = 512
    """Width of the GRU, in one direction."""
    bidirectional: bool = False
    """Sees the rest of the video too; prediction then keeps the features of the whole video (2 kB a frame)."""
    dropout: float = 0.0
    """Before each layer of the GRU but the first, and before the heads."""
    feature_norm: Literal["none", "batch"] = "none"
    """Of each frame's features before the GRU: batch statistics without weights remove what all faces share, which small
    models do not learn past (docs/lab.md). The paper names none."""
    activation: Literal["none", "tanh"] = "none"
    """tanh: numbers stay within the spec's range (within -1 to 1 without one)."""
    loss: CompositeLoss = field(default_factory=CompositeLoss)
    """Weight of each term of the composite loss."""
    discrete: Annotated[Discrete, FLAT] = field(default_factory=Discrete)
    output: Output = "regression"
    """What is predicted and scored where numbers and classes are trained. The paper does not say; the numbers are what its score,
    the concordance, is trained on in every row. Else the classes' expected value, or the middle of the likeliest class."""
    delay_s: float = 0.0
    """How late raters are, in seconds: training looks for a frame's target so much later, evaluation for a target's frame so
    much earlier."""
    statistics: Literal["own", "encoder"] = "encoder"
    """Normalise pixels by the mean and deviation of the training videos, as the paper does, or by what the encoder was given."""
    augment: Annotated[SequenceAugment, FLAT] = field(default_factory=SequenceAugment)
    """In training; evaluation keeps the crop (from the middle) alone."""

    def __post_init__(self) -> None:
        require(self.spec.per == "frame", "--per clip: sequences have a target for every frame")
        for name in ("gru_layers", "gru_hidden"):
            require(getattr(self, name) >= 1, f"{option(name)} {getattr(self, name)}: give 1 or more")
        require(0 <= self.dropout < 1, f"--dropout {self.dropout:g}: give a number from 0 to below 1")
        require(abs(self.delay_s) <= 10, f"--delay-s {self.delay_s:g}: give -10 to 10 seconds")

    @property
    def sees(self) -> ClipSpec:
        return self.spec.clip

    def begun(self, encoder: EncoderConfig, seen: ClipSpec) -> Self:
        return replace(self, encoder=encoder, spec=replace(self.spec, clip=self.spec.clip.of(seen)))

    def fitted(self, data: TrainingData) -> Self:
        """With the statistics and the clusters of the training videos too.

        Raises:
            UserError: shards without the targets, or nothing annotated.
        """
        self.loss.check(len(self.spec.target))
        names, clips = self.spec.target, StretchSet(data.shards[0], data.manifest)
        values = frame_values(clips, names, self.delay_s)
        self._check_annotated(values, names)
        spec = replace(self.spec, names=names, training_data=data.origin, contract=data.shards[0].contract)
        discrete = replace(self.discrete, bounds=self._check_range(values, names))
        if self.loss.uses("ncce"):
            found = tuple(clusters(column, discrete.num_bins, data.seed) for column in values.T)
            discrete = replace(discrete, centroids=found)
        if self.statistics == "own":
            own = pixel_statistics(clips, not spec.clip.color, data.seed)
            mean, std = (tuple(round(v, 4) for v in s) for s in own)
            spec = replace(spec, clip=replace(spec.clip, mean=mean, std=std))
        return replace(self, spec=spec, discrete=discrete)

    def _check_annotated(self, values: np.ndarray, names: tuple[str, ...]) -> None:
        blank = [n for n, known in zip(names, np.isfinite(values).sum(0), strict=True) if known < 2]
        late = f" that lies {self.delay_s:g} s (--delay-s) from another of its track" if self.delay_s else ""
        require(not blank, f"{', '.join(blank)}: no training frame is annotated{late}")

    def _check_range(self, values: np.ndarray, names: tuple[str, ...]) -> tuple[float, float]:
        """The range. Raises UserError for targets ``[n, K]`` beyond it: predictions are cut to it, and bins end there."""
        least, most = self.spec.range or (-1.0, 1.0)
        for name, column in zip(names, values.T, strict=True):
            known = column[np.isfinite(column)]
            low, high = float(known.min()), float(known.max())
            require(
                least - ROUNDED <= low and high <= most + ROUNDED,
                f"{name} is {low:g} to {high:g} in training, beyond --range {least:g} {most:g}: "
                "give the range of the ratings' scale",
            )
        return least, most

    def items(self, data: TrainingData) -> Items:
        return SegmentSet(data.shards[0], data.manifest, self.spec.clip.num_frames * self.spec.clip.period_s)

    def transform(self, training: bool) -> SequenceTransform:
        """What training does to frames, or what evaluation does."""
        clip, augment = self.spec.clip, self.augment
        plain = augment if training else SequenceAugment(crop=augment.crop, enlarge=augment.enlarge)
        return SequenceTransform(
            **vars(plain), size=clip.size, random=training and augment.crop is not None, mean=clip.mean, std=clip.std,
            grey=not clip.color, num_frames=clip.num_frames if training else 1,
        )  # fmt: skip

    def build(self) -> SequenceTask:
        return SequenceTask(self)

    def classes_of(self, term: str) -> int:
        """How many classes a term has."""
        return self.discrete.num_bins if term == "ce" else len(self.discrete.centroids[0])

    def middles(self, term: str) -> list[list[float]]:
        """``[K][L]``: the number that each class stands for."""
        if term == "ncce":
            return [list(c) for c in self.discrete.centroids]
        return [bin_centres(self.discrete.bounds, self.discrete.num_bins)] * len(self.spec.names)


def reach_of(encoder: EncoderConfig) -> int | None:
    """Frames before and after one that its features depend on; None for an encoder whose clip is one whole."""
    return getattr(encoder, "reach", None)


class SequenceTask(nn.Module):
    """``model(clip [B, C, T, H, W], normalised)`` returns numbers ``[B, T, K]``; ``model({"clip":, "values":})`` the loss."""

    undecayed: frozenset[str] = frozenset()
    whole_tracks = True
    """Predictions are those of `predict_track`."""

    def __init__(self, config: SequenceConfig):
        super().__init__()
        self.config = config
        names, loss = config.spec.names, config.loss
        loss.check(len(names))
        self._check_output()
        self.encoder = config.encoder.build()
        sides = 2 if config.bidirectional else 1
        self.gru = nn.GRU(
            config.encoder.dim, config.gru_hidden, config.gru_layers, batch_first=True, bidirectional=config.bidirectional,
            dropout=config.dropout if config.gru_layers > 1 else 0.0,
        )  # fmt: skip
        self.norm = (
            nn.BatchNorm1d(config.encoder.dim, affine=False) if config.feature_norm == "batch" else nn.Identity()
        )
        self.dropout = nn.Dropout(config.dropout)
        width = sides * config.gru_hidden
        self.terms = tuple(term for term in ("ce", "ncce") if loss.uses(term))
        self.head = nn.Linear(width, len(names)) if self.trains_numbers else None
        self.classes = nn.ModuleDict({t: nn.Linear(width, len(names) * config.classes_of(t)) for t in self.terms})
        self._fixed = freeze(self.encoder, config.frozen, self.encoder.unused_by("tokens"))

    @property
    def trains_numbers(self) -> bool:
        return self.config.loss.uses("ccc") or self.config.loss.uses("mse")

    def _check_output(self) -> None:
        loss, output = self.config.loss, self.config.output
        for k, name in enumerate(self.config.spec.names):
            numbers = loss.weight("ccc", k) + loss.weight("mse", k) > 0
            classes = loss.weight("ce", k) + loss.weight("ncce", k) > 0
            if output == "regression":
                require(
                    numbers,
                    f"--output regression: {name} has neither --loss.ccc nor --loss.mse; give one, or --output expectation",
                )
            else:
                require(
                    classes,
                    f"--output {output}: {name} has neither --loss.ce nor --loss.ncce; give one, or --output regression",
                )

    def train(self, mode: bool = True) -> SequenceTask:
        super().train(mode)
        still(self.encoder, self._fixed)
        return self

    @property
    def spec(self) -> LabelSpec:
        return self.config.spec

    def views(self) -> dict[str, View]:
        s, config = self.spec, self.config
        view = SegmentView(
            s.clip.num_frames, 1, "pretrain", config.transform(training=True), frame_period_s=s.clip.frame_period_s,
            frame_targets=s.names, delay_s=config.delay_s,
        )  # fmt: skip
        return {"clip": view}

    def plain_augment(self) -> SequenceTransform:
        """Resize, crop from the middle and normalise: what evaluation and prediction use."""
        return self.config.transform(training=False)

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        self.encoder.load_state_dict(state)

    def frame_features(self, clip: Tensor) -> Tensor:
        """``[B, T, D]``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.frozen != "all"):
            out = self.encoder(clip)
        B, _, D = out.tokens.shape
        return per_frame(out.tokens.reshape(B, out.grid[0], -1, D).mean(2), clip.shape[2])

    def features(self, clip: Tensor) -> Tensor:
        """What the heads see of a clip by itself, ``[B, T, H]``."""
        return self.recurrent(self.frame_features(clip))[0]

    def recurrent(self, features: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features ``[B, T, D]`` to what the heads see ``[B, T, H]``, and the state after the last frame."""
        normed = self.norm(features.flatten(0, 1)).reshape(features.shape)
        hidden, after = self.gru(normed, state)
        return self.dropout(hidden), after

    def numbers(self, hidden: Tensor) -> Tensor:
        """``[B, T, K]`` of the regression head."""
        if self.head is None:
            return hidden.new_zeros(*hidden.shape[:2], len(self.spec.names))
        values = self.head(hidden).float()
        if self.config.activation == "none":
            return values
        low, high = self.spec.range or (-1.0, 1.0)
        return (low + high) / 2 + (high - low) / 2 * values.tanh()

    def logits(self, hidden: Tensor) -> dict[str, Tensor]:
        """``[B, T, K, L]`` by term."""
        shape = (*hidden.shape[:2], len(self.spec.names), -1)
        return {term: self.classes[term](hidden).float().reshape(shape) for term in self.terms}

    def values_of(self, hidden: Tensor) -> Tensor:
        """What is predicted, ``[B, T, K]``, as `output` says."""
        if self.config.output == "regression":
            return self.numbers(hidden)
        loss = self.config.loss
        columns = []
        for k in range(len(self.spec.names)):
            term = next(t for t in self.terms if loss.weight(t, k) > 0)
            scores, middles = self.logits(hidden)[term][:, :, k], hidden.new_tensor(self.config.middles(term)[k])
            soft = scores.softmax(-1) @ middles
            columns.append(soft if self.config.output == "expectation" else middles[scores.argmax(-1)])
        return torch.stack(columns, dim=-1)

    def outputs(self, clip: Tensor) -> Tensor:
        return self.values_of(self.features(clip))

    def forward(self, batch: Tensor | dict[str, Any]) -> Any:
        """A clip gives numbers; a batch of the loader the loss."""
        return self.outputs(batch) if isinstance(batch, Tensor) else self.loss(batch)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Of ``clip`` and ``values [B, T, K]``; NaN is not annotated. The terms are logged unweighted."""
        hidden, _ = self.recurrent(self.frame_features(batch["clip"]))
        config = self.config
        return composite_loss(config.loss, config.discrete, self.numbers(hidden), self.logits(hidden), batch["values"])

    def predict(self, clip: Tensor) -> Tensor:
        """Values ``[B, T, K]`` of clips by themselves, cut to the range of the targets."""
        return self.cut(self.outputs(clip).float())

    def cut(self, values: Tensor) -> Tensor:
        return values if self.spec.range is None else values.clamp(*self.spec.range)

    def stream(self, chunk: int = CHUNK) -> SequenceStream:
        """Prediction of one track of any length, frame by frame."""
        return SequenceStream(self, chunk)

    @torch.inference_mode()
    def predict_track(self, chunks: Iterable[Tensor], chunk: int = CHUNK) -> Iterator[Tensor]:
        """Values ``[m, K]`` of a whole track, piece by piece, in constant memory.

        Args:
            chunks: uint8 frames ``[n, H, W, C]`` as stored, at the spec's frame period, in order.
        """
        stream = self.stream(chunk)
        for frames in chunks:
            yield stream.push(frames)
        yield stream.finish()

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""


class SequenceStream:
    """The frames of one track go in, the values of its frames come out, later by what the encoder must see ahead.

    The encoder works on chunks that overlap by its reach (two frames on either side for the 3-D convolution), so the features
    are those of the unbroken track; the GRU's state is carried from chunk to chunk. With an encoder whose clip is one whole, the
    track is cut into clips of the spec's length, the last one filled up with its last frame. A bidirectional GRU has to wait
    for the end.
    """

    def __init__(self, model: SequenceTask, chunk: int = CHUNK):
        require(chunk >= 1, f"chunks of {chunk} frames: give 1 or more")
        self.model, self.chunk = model, chunk
        self.reach = reach_of(model.config.encoder)
        self._augment = model.plain_augment()
        self._frames: list[Tensor] = []
        self._first = 0  # number of the first frame that is kept
        self.total = 0
        """Frames that have come in."""
        self.done = 0
        """Frames whose features are known."""
        self._state: Tensor | None = None
        self._whole: list[Tensor] = []

    @torch.inference_mode()
    def push(self, frames: Tensor) -> Tensor:
        """More frames uint8 ``[n, H, W, C]``; returns the values ``[m, K]`` that this makes known, m may be 0."""
        self._frames += frames.unbind(0)
        self.total += len(frames)
        found = []
        step = self.chunk if self.reach is not None else self.model.spec.clip.num_frames
        while self.total - (self.reach or 0) - self.done >= step:
            found.append(self._advance(self.done + step, ends=False))
        return self._joined(found)

    @torch.inference_mode()
    def flush(self) -> Tensor:
        """Values of all frames that have enough successors, without waiting for a full chunk."""
        stop = self.total - self.reach if self.reach is not None else self.done
        return self._joined([self._advance(stop, ends=False)] if stop > self.done else [])

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """Values of the frames that are left; no frame may follow."""
        found = []
        while self.done < self.total:
            step = self.chunk if self.reach is not None else self.model.spec.clip.num_frames
            # the last chunk takes what is left, so that the end of the track is the end of a chunk
            last = self.total - self.done - (self.reach or 0) <= step
            found.append(self._advance(self.total if last else self.done + step, ends=last))
        if self._whole:
            found = [self._read_out(torch.cat(self._whole, dim=1))]
            self._whole = []
        return self._joined(found)

    def _joined(self, found: list[Tensor]) -> Tensor:
        return torch.cat(found) if found else torch.empty(0, len(self.model.spec.names))

    def _advance(self, stop: int, ends: bool) -> Tensor:
        """Features of the frames up to `stop`, and their values."""
        reach = self.reach or 0
        start, behind = max(0, self.done - reach), self.total if ends else min(self.total, stop + reach)
        frames = torch.stack(self._frames[start - self._first : behind - self._first])
        kept = slice(self.done - start, stop - start)
        if self.reach is None and len(frames) < self.model.spec.clip.num_frames:
            frames = torch.cat([frames, frames[-1:].expand(self.model.spec.clip.num_frames - len(frames), -1, -1, -1)])
        device = next(self.model.parameters()).device
        clip = self._augment.apply(frames[None].to(device), {})
        features = self.model.frame_features(clip)[:, kept]
        self.done = stop
        forget = max(0, stop - reach) - self._first
        del self._frames[:forget]
        self._first += forget
        if self.model.config.bidirectional:
            self._whole.append(features)
            return torch.empty(0, len(self.model.spec.names))
        return self._read_out(features)

    def _read_out(self, features: Tensor) -> Tensor:
        hidden, self._state = self.model.recurrent(features, self._state)
        return self.model.cut(self.model.values_of(hidden).float())[0].cpu()
