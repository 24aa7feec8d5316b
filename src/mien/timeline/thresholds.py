"""From which value on a movement is an event (`events`)."""

from __future__ import annotations

from dataclasses import dataclass

from mien.errors import require


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From which value on something is an event."""

    smile_from: float = 0.3
    """A smile begins where both corners of the mouth are raised by so much on average, 0 to 1."""
    brow_raise_from: float = 0.35
    """A brow raise: the mean of inner and outer brows, 0 to 1."""
    mouth_open_from: float = 0.25
    """An open mouth: how far the jaw is open, 0 to 1."""
    blink_from: float = 0.2
    """A blink: how much further both eyes are closed than shortly before and after, 0 to 1."""
    nod_from: float = 4.0
    """A nod: degrees that the head goes up and down, at least three times in a row."""
    shake_from: float = 6.0
    """A shake: degrees that the head turns left and right, at least three times in a row."""

    def __post_init__(self) -> None:
        for name in ("smile_from", "brow_raise_from", "mouth_open_from", "blink_from"):
            value = getattr(self, name)
            require(0 < value < 1, f"--{name.replace('_', '-')} {value:g}: give a number above 0 and below 1")
        for name in ("nod_from", "shake_from"):
            value = getattr(self, name)
            require(0 < value <= 90, f"--{name.replace('_', '-')} {value:g}: give degrees, above 0 and up to 90")
