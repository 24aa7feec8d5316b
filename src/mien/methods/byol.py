"""BYOL (Grill et al. 2020, "Bootstrap Your Own Latent"): predict the projection that a slowly following copy of the network
has of another view of the same picture. No negatives.

    loss = (2 - 2 cos(q(z1), z2')) + (2 - 2 cos(q(z2), z1')),  mean over the batch; z' from the target, without gradient

Published values (decisions: byol-settings). Video-BYOL of SS-VAERR is this on short clips (methods/siamese.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mien.errors import require
from mien.methods.heads import mlp
from mien.methods.siamese import Branch, Siamese, TwoViewConfig, cosine, cosine_momentum, spread


@dataclass(frozen=True)
class BYOLConfig(TwoViewConfig):
    """Widths and momentum as published for runs of 100 to 300 epochs."""

    projector_hidden: int = 4096
    """Width of the projector's inner layer."""
    projection: int = 256
    """Width of what is compared."""
    predictor_hidden: int = 4096
    """Width of the predictor's inner layer."""
    momentum: float = 0.99
    """Of the target at the start; it rises to 1. Published: 0.97 for 40 epochs, 0.99 for 100 and 300, 0.996 for 1000."""

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = (self.projector_hidden, self.projection, self.predictor_hidden)
        require(min(widths) >= 1, f"projector and predictor of {widths}: give widths of 1 or more")
        require(0 <= self.momentum <= 1, f"momentum {self.momentum:g}: give a number from 0 to 1")

    def build(self) -> BYOL:
        return BYOL(self)


class BYOL(Siamese):
    """See the module's docstring."""

    def __init__(self, config: BYOLConfig):
        super().__init__(config)
        self.config = config
        widths = (config.encoder.dim, config.projector_hidden, config.projection)
        self.online = Branch(config, mlp(widths, hidden_bias=True, out_bias=False))
        self.predictor = mlp(
            (config.projection, config.predictor_hidden, config.projection), hidden_bias=True, out_bias=False
        )
        self.add_target()

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``first``, ``second`` [B, C, T, H, W] to the loss, its cosine and, for the log, how far the predictions lie apart."""
        p1, p2 = (self.predictor(self.online(batch[name])) for name in ("first", "second"))
        z1, z2 = self.targets(batch["first"]), self.targets(batch["second"])
        similar = cosine(p1, z2) + cosine(p2, z1)
        return {"loss": (4 - 2 * similar).mean(), "cosine": similar.detach().mean() / 2, "spread": spread(p1)}

    @torch.no_grad()
    def targets(self, clip: Tensor) -> Tensor:
        """The target's projections [B * t, P]."""
        assert self.target is not None
        return self.target(clip)

    def after_step(self, progress: float) -> None:
        """The target follows, ever more slowly."""
        self.follow(cosine_momentum(self.config.momentum, progress))
