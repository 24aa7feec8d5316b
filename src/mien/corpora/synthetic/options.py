"""What `mien synth` draws."""

from __future__ import annotations

from dataclasses import dataclass

from mien.errors import UserError
from mien.options.shared import Seeded


@dataclass(frozen=True)
class HowMany:
    """How much is drawn."""

    clips: int = 180
    """Number of videos; they go round the subjects."""
    subjects: int = 30
    """Number of drawn people; 60 % train, 15 % val, 25 % test."""


@dataclass(frozen=True)
class SynthConfig(HowMany, Seeded):
    """What to draw."""

    frames: int = 64
    """Frames per clip, at least 16."""
    fps: int = 30
    """Frames per second."""
    size: int = 192
    """Side of the square picture in pixels, even, 64 to 1024."""
    sound: bool = False
    """With a voice that follows the mouth."""
    noise: float = 0.01
    """Of the sound: its standard deviation, of full scale; the voice has about 0.2 with an open mouth."""

    def check(self) -> None:
        """Raises UserError for values that cannot be drawn."""
        limits = {
            "clips": (1, 1_000_000),
            "subjects": (1, 100_000),
            "seed": (0, 2**63),
            "frames": (16, 100_000),
            "fps": (1, 240),
            "size": (64, 1024),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"--{name} {value}: allowed are {low} to {high}")
        if not 0 <= self.noise <= 1:
            raise UserError(f"--noise {self.noise:g}: allowed are 0 to 1")
        if self.size % 2:
            raise UserError(f"--size {self.size}: H.264 needs an even side; take {self.size + 1}")
