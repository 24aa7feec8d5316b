"""DINO (Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers"): the student guesses the teacher's soft
choice among many prototypes, from other and smaller crops of the same picture.

    teacher: softmax((t - centre) / 0.04), global views;  student: log softmax(s / 0.1), all views
    loss = mean cross entropy over all pairs of a teacher's and another student's view

The centre, a moving average of the teacher's scores, keeps one prototype from taking all; the low temperature keeps them from
sharing equally. Published values (decisions: dino-settings). In SS-VAERR it runs on the lip-reading front end,
as methods/siamese.py says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import require
from mien.methods.heads import PrototypeHead, mean_over_processes
from mien.methods.siamese import Branch, Siamese, SiameseConfig, cosine_momentum
from mien.transforms.contrastive import Look


@dataclass(frozen=True)
class DINOConfig(SiameseConfig):
    """Head, temperatures and momentum as published (decisions: dino-settings); crops ours (decisions: contrastive-views): from
    224 and 96 pixels to 96 and 48, and areas that leave an eye or the mouth in every crop."""

    first: Look = field(default_factory=lambda: Look(crop_area=(0.5, 1.0)))
    second: Look = field(default_factory=lambda: Look(crop_area=(0.5, 1.0), blur=0.1, solarize=0.2))
    local: Look = field(default_factory=lambda: Look(size=48, crop_area=(0.15, 0.5), blur=0.5))
    num_local: int = 4
    """Small crops; published: 8."""
    hidden: int = 2048
    """Width of the head's inner layers."""
    bottleneck: int = 256
    """Width of the head before the prototypes."""
    prototypes: int = 65536
    """Fewer for small data (its authors' advice)."""
    student_temperature: float = 0.1
    """Of the student's softmax."""
    teacher_temperature: float = 0.04
    """Of the teacher's softmax, after its warm-up."""
    warmup_temperature: float = 0.04
    """The teacher's at the start. Lower is sharper."""
    temperature_warmup: float = 0.0
    """Share of the run until it is at its value."""
    center_momentum: float = 0.9
    """Of the mean that is taken off the teacher's output."""
    momentum: float = 0.996
    """Of the teacher at the start; it rises to 1."""
    last_layer_frozen: float = 0.01
    """Share of the run in which the last layer does not move: the first of 100 epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.num_local >= 0, f"num-local {self.num_local}: give 0 or more")
        widths = (self.hidden, self.bottleneck, self.prototypes)
        require(min(widths) >= 1, f"head of {widths}: give widths of 1 or more")
        views = self.sized()
        require(views["first"].size == views["second"].size, "the two global views must have one size")
        heats = (self.student_temperature, self.teacher_temperature, self.warmup_temperature)
        require(min(heats) > 0, f"temperatures {heats}: give numbers above 0")
        for name in ("temperature_warmup", "center_momentum", "momentum", "last_layer_frozen"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name.replace('_', '-')} {value:g}: give a number from 0 to 1")

    def looks(self) -> dict[str, Look]:
        local = {f"local{k}": self.local for k in range(self.num_local)}
        return {"first": self.first, "second": self.second} | local

    def build(self) -> DINO:
        return DINO(self)


class DINO(Siamese):
    """See the module's docstring. The teacher is kept: it is the better of the two."""

    config: DINOConfig
    center: Tensor
    progress: Tensor

    def __init__(self, config: DINOConfig):
        super().__init__(config)
        head = PrototypeHead(config.encoder.dim, config.hidden, config.bottleneck, config.prototypes)
        head.live.fill_(float(config.last_layer_frozen == 0))
        self.online = Branch(config, head)
        self.add_target()
        self.register_buffer("center", torch.zeros(config.prototypes))
        self.register_buffer("progress", torch.zeros(()))

    @property
    def encoder(self) -> nn.Module:
        return self.kept().encoder

    def kept(self) -> Branch:
        assert self.target is not None
        return self.target

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``first``, ``second``, ``local0`` ... [B, C, T, H, W] to the loss and, for the log, the teacher's entropy as a share
        of the highest: 0 and 1 are the two ways to collapse."""
        c = self.config
        large = torch.cat([batch["first"], batch["second"]])
        with torch.no_grad():
            scores = self.kept()(large).float()
            teacher = torch.softmax((scores - self.center) / self.heat(), dim=-1)
            entropy = torch.special.entr(teacher).sum(-1).mean()
        student = self.online(large).chunk(2)
        if c.num_local:  # crops of one size pass together, as published: they share their batch statistics
            small = torch.cat([batch[f"local{k}"] for k in range(c.num_local)])
            student += self.online(small).chunk(c.num_local)
        losses = [
            cross_entropy(target, guess, c.student_temperature)
            for t, target in enumerate(teacher.chunk(2))
            for s, guess in enumerate(student)
            if s != t
        ]
        if self.training:
            self.update_center(scores)
        return {"loss": torch.stack(losses).mean(), "teacher_entropy": entropy / math.log(max(2, c.prototypes))}

    def heat(self) -> Tensor:
        """The teacher's temperature by now."""
        c = self.config
        share = (self.progress / max(c.temperature_warmup, 1e-9)).clamp(max=1)
        return c.warmup_temperature + (c.teacher_temperature - c.warmup_temperature) * share

    @torch.no_grad()
    def update_center(self, scores: Tensor) -> None:
        """Moves it towards the mean of the teacher's scores [n, K], over all processes."""
        self.center.lerp_(mean_over_processes(scores.mean(0)), 1 - self.config.center_momentum)

    def after_step(self, progress: float) -> None:
        """The teacher follows, ever more slowly; the last layer is set free when its time has come."""
        self.follow(cosine_momentum(self.config.momentum, progress))
        self.progress.fill_(progress)
        head = self.online.projector
        assert isinstance(head, PrototypeHead)
        head.live.fill_(float(progress >= self.config.last_layer_frozen))


def cross_entropy(target: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """Mean of ``-target log softmax(scores / temperature)`` over [n, K]."""
    return -(target * F.log_softmax(scores.float() / temperature, dim=-1)).sum(-1).mean()
