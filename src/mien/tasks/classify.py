"""Classification of clips: an encoder, mean pooling, a norm and a linear head (SVFAP 3.2, Eq. 12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.data.view import View
from mien.encoders._api import EncoderOutput, Pool
from mien.encoders._table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.layers.block import NORM_EPS, layer_norm
from mien.rng import generator
from mien.transforms.augment import Augment
from mien.transforms.mix import Mix, soft_targets
from mien.types import LabelSpec, UserError

HEAD_INIT_SCALE = 0.001  # official.md 2.5: the head starts almost at zero


@dataclass(frozen=True)
class ClassifyConfig:
    """A classifier and how it is trained."""

    spec: LabelSpec
    encoder: EncoderConfig = field(default_factory=TPSBTConfig)
    pool: Pool = "tokens"
    head_norm: Literal["layer", "batch"] = "layer"
    """Before the head: LayerNorm as published, or batch statistics without weights, as linear probes of masked autoencoders
    use. Batch statistics remove what all clips share, which a small model on one camera cannot learn past (docs/lab.md)."""
    frozen: bool = False
    """Train the head alone on fixed features."""
    label_smoothing: float = 0.1
    mix: Mix | None = field(default_factory=Mix)
    by_time: bool = False
    """Pick frames by time instead of by number: for training clips of different frame rates."""
    augment: Augment | None = None
    """Training augmentation; None for plain resizing. Evaluation never augments."""

    def build(self) -> Classifier:
        return Classifier(self)


def pooled(out: EncoderOutput, pool: Pool) -> Tensor:
    """Mean over the tokens of a clip, ``[B, D]`` (MAE-DFER Table 11 for the first three, SVFAP Table 4 for "fused").

    Raises:
        UserError: "summary" or "all" of an encoder without representative tokens.
    """
    if pool == "fused":
        return out.fused().mean(dim=1)
    if pool == "tokens":
        return out.tokens.mean(dim=1)
    if out.summary is None:
        raise UserError(f'pool "{pool}": this encoder has no representative tokens; give "tokens" or "fused"')
    return (out.summary if pool == "summary" else torch.cat([out.summary, out.tokens], dim=1)).mean(dim=1)


class Classifier(nn.Module):
    """``model(clip [B, C, T, H, W], normalised)`` returns logits ``[B, K]``; ``model({"clip":, "target":})`` the loss."""

    def __init__(self, config: ClassifyConfig):
        super().__init__()
        self.config = config
        self.encoder = config.encoder.build()
        batch = nn.BatchNorm1d(config.encoder.dim, eps=NORM_EPS, affine=False)
        self.fc_norm = batch if config.head_norm == "batch" else layer_norm(config.encoder.dim)
        self.head = nn.Linear(config.encoder.dim, len(config.spec.names))
        nn.init.trunc_normal_(self.head.weight, std=0.02, a=-2, b=2)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.weight.mul_(HEAD_INIT_SCALE)
        unused = self.encoder.unused_by(config.pool)
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(not config.frozen and name not in unused)

    @property
    def spec(self) -> LabelSpec:
        return self.config.spec

    def views(self) -> dict[str, View]:
        s = self.spec
        augment = self.config.augment or self.plain_augment()
        period = s.frame_period_s if self.config.by_time else None
        return {"clip": View(s.num_frames, s.stride, "train", augment, frame_period_s=period)}

    def plain_augment(self) -> Augment:
        """Resize and normalise: what evaluation and prediction use."""
        s = self.spec
        return Augment(size=s.size, mean=s.mean, std=s.std, grey=not s.color)

    def features(self, clip: Tensor) -> Tensor:
        """``[B, D]``: what the head sees."""
        return self.fc_norm(pooled(self.encoder(clip), self.config.pool))

    def logits(self, clip: Tensor) -> Tensor:
        return self.head(self.features(clip))

    def forward(self, batch: Tensor | dict[str, Any]) -> Any:
        """A clip gives logits ``[B, K]``. A batch with ``clip`` and class indices ``label [B]`` gives the loss: in training
        with smoothed labels and mixed clips, else the plain cross entropy."""
        if isinstance(batch, Tensor):
            return self.logits(batch)
        clip, label = batch["clip"], batch["label"]
        target = soft_targets(label, len(self.spec.names), self.config.label_smoothing if self.training else 0.0)
        if self.training and self.config.mix:
            # The loop has set torch's generator from (seed, step, rank), so this draw is a function of them too.
            rng = generator("mix", int(torch.randint(2**62, ())))
            params = self.config.mix.draw(rng, (clip.shape[-2], clip.shape[-1]))
            clip, target = self.config.mix.apply(clip, target, params)
        logits = self.logits(clip).float()
        correct = (logits.argmax(1) == label).float().mean()
        return {"loss": F.cross_entropy(logits, target), "accuracy": correct.detach()}

    def predict(self, clip: Tensor) -> Tensor:
        """Class probabilities ``[B, K]``."""
        return self.logits(clip).float().softmax(dim=-1)

    def train(self, mode: bool = True) -> Classifier:
        super().train(mode)
        if self.config.frozen:
            self.encoder.eval()  # a frozen encoder drops no paths
        return self

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""
