"""What every self-supervised method is: a learner whose encoder is kept."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from mien.data.view import Transform, View
from mien.types import Learner


class Method(Learner, Protocol):
    """A `Learner` with an encoder; its augmentation is part of it."""

    def views(self) -> dict[str, View]:
        """What the loader must produce, by name."""
        ...

    def plain_augment(self) -> Transform:
        """How clips are made ready for `features`: nothing random."""
        ...

    def features(self, clip: Tensor) -> Tensor:
        """What is kept of normalised clips ``[B, C, T, H, W]``: ``[B, D]``, or ``[B, T, D]`` of each frame."""
        ...

    def held_out_views(self) -> dict[str, View]:
        """The same for the loss on held-out clips: what only makes training harder may be left out."""
        ...
