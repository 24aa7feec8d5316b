"""Learning rate as a pure function of the step."""

from __future__ import annotations

import math


def warmup_cosine(step: int, total: int, warmup: int, peak: float, final: float, begin: float = 0.0) -> float:
    """Linear from `begin` times `peak` to `peak` over `warmup` steps (both ends included), then half a cosine to `final`.

    Steps count from 0; the published code's rule (decisions: learning-rate-schedule).
    """
    if step < warmup:
        return peak * (begin + (1 - begin) * step / max(1, warmup - 1))
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
