"""ContraWarping (Xue et al. 2023, "Unsupervised Facial Expression Representation Learning with Contrastive Local Warping"): views
with different global transformations are pulled together, a locally warped face, whose expression is another, is pushed away.

    loss = BYOL's + weight * 2 max(0, cos(q(zw), z') - margin),  mean over the batch and over the two z' of the global views

Published of it is little (decisions: contrawarping): the pulling may be BYOL, the pushing is not pinned. Ours:

- *Bounded*: minus the cosine would push for ever; a hinge stops when the faces are `margin` apart.
- *Which branch*: the warped face goes through the online network, against the targets of the two other views, which are there
  anyway; the gradient then reaches the encoder through the picture that differs. ``warped_branch target`` is the reverse.
- *The warped face gets global transformations of its own*, or a crop and a blur would tell it from the others.
- *Swap*: with some probability it is the two global views that show the warped face and the third that shows the face as it is.
  With 0.5, "has it been warped?" says nothing about who is pushed away. Off by default, as in the paper's figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch

from mien.errors import require
from mien.learner import TrainingData
from mien.methods.byol import BYOL, BYOLConfig
from mien.methods.siamese import cosine, spread
from mien.transforms.contrastive import Look, Views
from mien.transforms.warp import Warp


@dataclass(frozen=True)
class ContraWarpingConfig(BYOLConfig):
    """Defaults: BYOL's, with a warped view."""

    third: Look = field(default_factory=lambda: Look(blur=0.5, solarize=0.1))
    """Of the warped face: between the two others, so that no operation marks it."""
    warp: Warp = field(default_factory=Warp)
    weight: float = 1.0
    """Of the pushing."""
    margin: float = 0.5
    """Cosine up to which a warped face may stay near."""
    warped_branch: Literal["online", "target"] = "online"
    """Through which network the warped face goes."""
    swap: float = 0.0
    """Probability that the two pulled views show the warped face, and the pushed one the face as it is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.weight >= 0, f"weight {self.weight:g}: give 0 or more")
        require(-1 <= self.margin <= 1, f"margin {self.margin:g}: give a cosine from -1 to 1")
        require(0 <= self.swap <= 1, f"swap {self.swap:g}: give a probability")

    def looks(self) -> dict[str, Look]:
        return super().looks() | {"warped": self.third}

    def transform(self) -> Views:
        return replace(super().transform(), warp=self.warp, warped=("warped",), swap=self.swap)

    def fitted(self, data: TrainingData) -> Self:
        """Where warps act: on the muscles of crops that are all aligned alike, else on a plain lattice."""
        fitted = super().fitted(data)
        if self.warp.layout != "auto":
            return fitted
        first, *others = (s.contract.geometry for s in data.shards)
        aligned = first.crop == "face" and all(g == first for g in others)
        layout: Any = {"layout": "face", "margin": first.margin} if aligned else {"layout": "grid"}
        return replace(fitted, warp=replace(self.warp, **layout))

    def build(self) -> ContraWarping:
        return ContraWarping(self)


class ContraWarping(BYOL):
    """See the module's docstring."""

    config: ContraWarpingConfig

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``first``, ``second``, ``warped`` [B, C, T, H, W] to the loss and, for the log, the cosines of those pulled together
        and pushed apart, and how far the predictions lie apart."""
        c = self.config
        online = c.warped_branch == "online"
        views, warped = [batch["first"], batch["second"]], [batch["warped"]]
        # One batch for all that go through a branch. Apart, BatchNorm would take from the warped faces what they have in common,
        # which is what they are to be told by, and would let a branch tell the views by their different blur (docs/lab.md).
        p = self.predictor(self.online(torch.cat(views + warped * online))).chunk(2 + online)
        z = self.targets(torch.cat(views + warped * (not online))).chunk(3 - online)
        near = torch.stack([cosine(p[0], z[1]), cosine(p[1], z[0])])
        far = torch.stack([cosine(p[-1] if online else p[k], z[k] if online else z[-1]) for k in range(2)])
        push = 2 * (far - c.margin).clamp(min=0).mean()
        return {
            "loss": (2 - 2 * near).sum(0).mean() + c.weight * push,
            "cosine": near.detach().mean(),
            "warped_cosine": far.detach().mean(),
            "spread": spread(p[0]),
        }
