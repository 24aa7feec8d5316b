"""SimSiam (Chen and He 2020, "Exploring Simple Siamese Representation Learning"): BYOL without a target network.

    loss = -(cos(q(z1), z2) + cos(q(z2), z1)) / 2,  no gradient through the z on the right

Its settings are from memory of the paper (decisions: simsiam-settings); so is that the last BatchNorm of the projector has no
weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mien.errors import require
from mien.methods.heads import mlp
from mien.methods.siamese import Branch, Siamese, TwoViewConfig, cosine, spread


@dataclass(frozen=True)
class SimSiamConfig(TwoViewConfig):
    """Widths as published. Its views are BYOL's here, for an equal comparison; MoCo v2's, as published, are both
    ``blur 0.5, solarize 0, jitter 0.4 0.4 0.4 0.1``."""

    projection: int = 2048
    """Of all three layers of the projector."""
    predictor_hidden: int = 512
    """Width of the predictor's inner layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = (self.projection, self.predictor_hidden)
        require(min(widths) >= 1, f"projector and predictor of {widths}: give widths of 1 or more")

    def build(self) -> SimSiam:
        return SimSiam(self)


class SimSiam(Siamese):
    """See the module's docstring."""

    constant_lr = ("predictor.",)
    """Its learning rate does not decay."""

    def __init__(self, config: SimSiamConfig):
        super().__init__(config)
        widths = (config.encoder.dim, *[config.projection] * 3)
        self.online = Branch(config, mlp(widths, hidden_bias=False, out_bias=False, out_norm=True))
        self.predictor = mlp(
            (config.projection, config.predictor_hidden, config.projection), hidden_bias=False, out_bias=True
        )

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``first``, ``second`` [B, C, T, H, W] to the loss and, for the log, how far the projections lie apart."""
        z1, z2 = (self.online(batch[name]) for name in ("first", "second"))
        p1, p2 = self.predictor(z1), self.predictor(z2)
        similar = (cosine(p1, z2.detach()) + cosine(p2, z1.detach())) / 2
        return {"loss": -similar.mean(), "spread": spread(z1)}
