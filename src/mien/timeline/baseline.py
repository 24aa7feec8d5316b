"""What a movement is relative to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mien.errors import require


@dataclass(frozen=True)
class Baseline:
    """What a movement is relative to: ``auto`` the face's own low values, ``none``, or its mean over some seconds."""

    kind: str = "auto"

    @classmethod
    def parse(cls, text: str) -> Baseline:
        """Raises UserError for anything but auto, none and START-END in seconds."""
        found = cls(text)
        require(
            text in ("auto", "none") or found.span is not None,
            f"--baseline {text}: give auto, none, or seconds as 2-5.5",
        )
        return found

    @property
    def span(self) -> tuple[float, float] | None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", self.kind)
        pair = (float(found[1]), float(found[2])) if found else None
        return pair if pair and pair[0] < pair[1] else None
