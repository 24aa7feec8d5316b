"""Personality traits on the page: the mean over a track as bars, and what they must not be used for. No moments: a trait that
changes from second to second is none.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pyarrow as pa

from mien.data.notes import PERSONALITY_NOTE
from mien.timeline import page
from mien.timeline.charts import Drawing
from mien.timeline.run import Run
from mien.timeline.tracks import TrackSummary

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec


def draw(run: Run, track: TrackSummary, model: str, rows: pa.Table, group: str) -> Drawing:
    """One track as a model of traits sees it; no charts, so `rows` and `group` are not needed."""
    spec = run.models[model]
    low, high = bounds_of(spec)
    means = track.mean(model)

    def share(value: float) -> float:
        return (value - low) / (high - low)

    bars = "".join(
        page.trait(n, share(means[n]), share(least[0].value), share(most[0].value), means[n])
        for n, least, most in zip(spec.names, track.lows[model], track.peaks[model], strict=True)
    )
    html = (
        f"<h3>{escape(model)}: apparent {escape(', '.join(spec.names))}</h3>"
        f'<ul class="traits">{bars}</ul>'
        f'<p class="sub">Bars: the mean over the track, from {low:g} to {high:g}. The thin line spans its lowest to its highest '
        f"moment. <strong>{escape(PERSONALITY_NOTE[0].upper() + PERSONALITY_NOTE[1:])}.</strong></p>"
    )
    return Drawing(html, [])


def bounds_of(spec: LabelSpec) -> tuple[float, float]:
    """0 to 1, unless the traits are measured on another scale."""
    known = spec.range or (0.0, 1.0)
    return (0.0, 1.0) if known[0] >= 0 and known[1] <= 1 else known
