"""What the training loop trains: a method (self-supervised) or a task (supervised)."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from mien.data.view import Transform, View


class Learner(Protocol):
    """A module that says what it wants to see, and what its loss is. Its encoder is what is kept."""

    def views(self) -> dict[str, View]:
        """What the loader must produce, by name. The augmentation is part of it."""
        ...

    def plain_augment(self) -> Transform:
        """How clips are made ready for `features`: nothing random."""
        ...

    def features(self, clip: Tensor) -> Tensor:
        """What is kept of normalised clips ``[B, C, T, H, W]``: ``[B, D]``, or ``[B, T, D]`` of each frame."""
        ...

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``{"loss": scalar with gradient, ...detached scalars for the log}``."""
        ...

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step with progress in (0, 1]: moving averages, queues."""
        ...
