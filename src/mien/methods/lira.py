"""LiRA: from a silent face, what was heard (Ma et al., "LiRA: Learning Visual Speech Representations from Audio through
Self-supervision", 2021; as SS-VAERR III uses it).

    clip -> front end -> mean over space -> Linear -> conformer -> Linear -> sound of each frame        loss: L1

The front end is kept. Pinned by SS-VAERR: the front end, the conformer, flip 0.5, crop 80 of 96. From memory of the first
paper, unverified: L1, conformer 256 wide with 12 blocks. Ours, as both are silent: two seconds at 25 frames a second, the sound
of a frame from its time on, targets normalised per clip (decisions: lira).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

import torch
from torch import Tensor, nn

from mien.data.acoustic import AcousticTargets, LogMel
from mien.data.view import Hearing, View
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.table import EncoderConfig
from mien.errors import UserError, require
from mien.layers.conformer import Conformer
from mien.learner import LearnerConfig, TrainingData
from mien.options import FLAT
from mien.transforms.clip import GREY_MEAN, GREY_STD, ClipSpec
from mien.transforms.lip_crop import LipCrop

SMALLEST_STD = 1e-3  # of a target within a clip: what does not change at all stays 0
MOMENTUM = 0.01  # of running statistics, per step
SILENT_STEPS = 20


@dataclass(frozen=True)
class LiRAConfig(LearnerConfig):
    """Defaults: see the module's docstring."""

    encoder: EncoderConfig = field(default_factory=LipReadingConfig)
    target: AcousticTargets = field(default_factory=LogMel)
    normalize: Literal["clip", "running"] = "clip"
    """Mean and deviation of each target: of the clip itself, so that neither the voice nor the microphone has to be guessed
    from the face; or running over training."""
    clip: Annotated[ClipSpec, FLAT] = field(
        default_factory=lambda: ClipSpec(50, 1, 1 / 25, 96, mean=GREY_MEAN, std=GREY_STD)
    )
    """Other videos are sampled by time."""
    crop: int = 80
    """Pixels that are cut out of the frame."""
    flip: float = 0.5
    """Probability of mirroring the clip."""
    dim: int = 256
    """Width of the conformer."""
    depth: int = 12
    """Conformer blocks."""
    heads: int = 4
    """Attention heads of a block."""
    ratio: float = 4.0
    """Width of the feed-forwards over that of the conformer."""
    kernel: int = 31
    """Frames that a block's convolution spans."""
    dropout: float = 0.1
    """Probability of leaving a value out."""

    def __post_init__(self) -> None:
        self.target.check(1 / self.frame_s)
        size = self.clip.size
        require(0 < self.crop <= size, f"crop {self.crop} of {size} px: give 1 up to --size")
        replace(self.clip, size=self.crop).check(self.encoder)
        require(
            self.encoder.tube[0] == 1,
            "LiRA describes single frames: take an encoder with tokens for each, such as lip-reading",
        )
        heads = f"conformer of width {self.dim} with {self.heads} heads: give a width that the heads divide"
        require(min(self.heads, self.dim) >= 1 and self.dim % self.heads == 0, heads)
        require(self.depth >= 1, f"conformer depth {self.depth}: give 1 or more")
        require(self.kernel % 2 == 1, f"kernel {self.kernel}: give an odd number")
        require(0 <= self.dropout < 1, f"dropout {self.dropout:g}: give a number from 0 to below 1")
        require(0 <= self.flip <= 1, f"flip {self.flip:g}: give a probability")

    @property
    def frame_s(self) -> float:
        """Seconds from one sampled frame to the next."""
        return self.clip.step_s

    @property
    def sees(self) -> ClipSpec:
        return self.clip

    def fitted(self, data: TrainingData) -> Self:
        """Raises UserError where no clip has sound. Looks until one does."""
        clips = data.clips
        heard = any(len(clips[i].numbers("audio")) for i in range(len(clips)))
        wanted = "which LiRA learns from: prepare videos that have it, without --no-audio"
        require(heard, f"no clip to train on has sound, {wanted}")
        return self

    def build(self) -> LiRA:
        return LiRA(self)


class LiRA(nn.Module):
    """The pre-training learner; `encoder` is what is kept."""

    target_mean: Tensor
    target_var: Tensor
    steps: Tensor

    def __init__(self, config: LiRAConfig):
        super().__init__()
        self.config = config
        c, outputs = config, config.target.dim(1 / config.frame_s)
        self.encoder = c.encoder.build()
        self.embed = nn.Linear(c.encoder.dim, c.dim)
        self.conformer = Conformer(c.dim, c.heads, c.depth, c.ratio, c.kernel, c.dropout)
        self.head = nn.Linear(c.dim, outputs)
        for name, start in (("target_mean", torch.zeros), ("target_var", torch.ones)):
            self.register_buffer(name, start(outputs))
        self.register_buffer("steps", torch.zeros(()))
        biases = [n for n, _ in self.named_parameters() if n.endswith(("content_bias", "distance_bias"))]
        self.undecayed = frozenset(biases)
        """Weights without weight decay, besides 1-D ones."""
        self._silent_steps: int | None = 0

    def views(self) -> dict[str, View]:
        return {"clip": self._view(self._cropped(random=True, flip=self.config.flip))}

    def held_out_views(self) -> dict[str, View]:
        """The middle of the frame, not mirrored."""
        return {"clip": self._view(self.plain_augment())}

    def plain_augment(self) -> LipCrop:
        """The middle of the frame, normalised: what features are looked at with."""
        return self._cropped(random=False, flip=0.0)

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        self.encoder.load_state_dict(state)

    def _cropped(self, random: bool, flip: float) -> LipCrop:
        clip = self.config.clip
        return LipCrop(clip.size, self.config.crop, random, flip, mean=clip.mean, std=clip.std, grey=not clip.color)

    def _view(self, crop: LipCrop) -> View:
        c, clip = self.config, self.config.clip
        hearing = Hearing(c.frame_s, margin_samples=c.target.margin_samples)
        return View(clip.num_frames, clip.stride, "pretrain", crop, frame_period_s=clip.frame_period_s, hearing=hearing)

    def predict(self, clip: Tensor) -> Tensor:
        """Normalised clip ``[B, C, T, H, W]`` to the normalised targets of its frames, ``[B, T, K]``."""
        return self.head(self.conformer(self.embed(self.features(clip))))

    def features(self, clip: Tensor) -> Tensor:
        """What is kept of each frame: the encoder's mean over space, ``[B, T, D]``."""
        out = self.encoder(clip)
        return out.tokens.unflatten(1, (out.grid[0], -1)).mean(dim=2)

    def targets(self, sound: Tensor, heard: Tensor) -> Tensor:
        """int16 ``[B, S]`` and bool ``[B, T]`` to normalised float32 ``[B, T, K]``; in training, running statistics move on."""
        raw = self.config.target(sound, heard.shape[1])
        weight = heard[..., None].to(raw)
        if self.config.normalize == "clip":
            count = weight.sum(dim=1, keepdim=True).clamp(min=1)
            mean = (raw * weight).sum(dim=1, keepdim=True) / count
            var = ((raw - mean).square() * weight).sum(dim=1, keepdim=True) / count
        else:
            if self.training:
                self._move_statistics(raw, weight)
            mean, var = self.target_mean, self.target_var
        return (raw - mean) / var.sqrt().clamp(min=SMALLEST_STD)

    @torch.no_grad()
    def _move_statistics(self, raw: Tensor, weight: Tensor) -> None:
        """Exponential averages of mean and variance; the first steps count alike."""
        count = weight.sum()
        mean = (raw * weight).sum(dim=(0, 1)) / count.clamp(min=1)
        var = ((raw - mean).square() * weight).sum(dim=(0, 1)) / count.clamp(min=1)
        self.steps += (count > 0).to(self.steps)
        share = (1 / self.steps.clamp(min=1)).clamp(min=MOMENTUM) * (count > 0)
        shift = mean - self.target_mean
        self.target_mean += share * shift
        self.target_var += share * (var + (1 - share) * shift.square() - self.target_var)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``clip [B, C, T, H, W]``, ``sound`` int16 ``[B, S]`` and ``heard`` bool ``[B, T]`` to the L1 loss over the frames that
        were heard and, for the log, the loss of predicting the mean target, and the share of frames heard.

        Raises:
            UserError: in training, no sound at all in the first batches.
        """
        heard: Tensor = batch["heard"]
        self._check_sound(heard)
        target = self.targets(batch["sound"], heard)
        prediction = self.predict(batch["clip"]).float()
        return {
            "loss": mean_distance(prediction, target, heard),
            "zero_loss": mean_distance(torch.zeros_like(target), target, heard).detach(),
            "heard": heard.float().mean(),
        }

    def _check_sound(self, heard: Tensor) -> None:
        """Looks until something was heard, since every look makes a GPU wait."""
        if not self.training or self._silent_steps is None:
            return
        self._silent_steps = None if bool(heard.any()) else self._silent_steps + 1
        if self._silent_steps == SILENT_STEPS:
            raise UserError(
                f"no sound in {SILENT_STEPS} batches: LiRA learns from it; prepare videos that have sound, without --no-audio"
            )

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""


def mean_distance(prediction: Tensor, target: Tensor, heard: Tensor) -> Tensor:
    """Mean absolute difference ``[B, T, K]`` over the frames that were heard; 0 where none was."""
    weight = heard[..., None].to(prediction)
    count = (weight.sum() * target.shape[2]).clamp(min=1)
    return ((prediction - target).abs() * weight).sum() / count
