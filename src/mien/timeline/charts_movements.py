"""Movements on the page: a lane for each over time with its events shaded, faces at the peaks, and the events in a table."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from mien.movements.names import MOVEMENTS
from mien.timeline import page
from mien.timeline.charts import COLORS, FLAG_LEGEND, MAX_PEAKS, Drawing, binned, chart_box, numbers, time_range
from mien.timeline.movements import RATE_FROM_S, Movements, blink_rate
from mien.timeline.run import Run
from mien.timeline.series import series_of
from mien.timeline.tracks import Peak, TrackSummary

PANEL_PX, BESIDES_PX = 76, 84
LABELS = {m.name: m.label for m in MOVEMENTS} | {
    "head_turn": "head turned (degrees)",
    "head_nod": "head up and down (degrees)",
}
LANES = (
    "smile",
    "jaw_open",
    "brow_inner_up",
    "brow_outer_up",
    "brow_down",
    "eyes_closed",
    "eyes_wide",
    "lips_pucker",
    "lips_press",
)
ANGLES = ("head_turn", "head_nod")
LANE_OF = {
    "smile": "smile",
    "brow_raise": "brow_inner_up",
    "mouth_open": "jaw_open",
    "blink": "eyes_closed",
    "nod": "head_nod",
    "shake": "head_turn",
}
"""Where an event is shaded."""
WORDS = {
    "smile": "smile",
    "brow_raise": "brow raise",
    "mouth_open": "open mouth",
    "blink": "blink",
    "nod": "nod",
    "shake": "head shake",
}
LISTED = 200


def draw(run: Run, track: TrackSummary, rows: pa.Table, group: str) -> Drawing:
    """One track; `group` is the id of the chart and of the buttons that mark moments on it."""
    assert run.movements is not None
    names = [*LANES, *ANGLES]
    quality = rows["movement_quality" if "movement_quality" in rows.column_names else "quality"].to_pylist()
    values = np.stack([rows[n].to_numpy(zero_copy_only=False).astype(float) for n in names], 1)
    flagged = np.array([q != "ok" for q in quality], float)
    series = series_of(rows["time_s"].to_numpy(), values, flagged, run.config.rows_s, np.nan)
    peaks, events = _peaks(run.movements, track.track), [e for e in run.movements.events if e.track == track.track]
    reach = max(20.0, 10 * np.ceil(float(np.nanmax(np.abs(series.values[:, -2:]), initial=0.0)) / 10))
    lanes = len(LANES)
    chart: dict[str, Any] = {
        "id": group, "group": group, "kind": "lines", "prefix": "", "x": numbers(series.time_s),
        "y": [numbers(y) for y in series.values.T], "names": [LABELS[n] for n in names],
        "colors": [COLORS[k % len(COLORS)] for k in range(len(names))], "flagged": numbers(series.flagged),
        "range": time_range(run, series), "bounds": [[0, 1]] * lanes + [[-reach, reach]] * len(ANGLES),
        "peaks": [{"x": p.time_s, "y": p.value, "k": names.index(n), "up": True} for n, p in peaks],
        "events": [{"k": names.index(LANE_OF[e.label]), "x0": e.onset, "x1": e.onset + e.duration} for e in events],
    }  # fmt: skip
    thumbnails = "".join(
        page.thumbnail(p, LABELS[n], page.number(p.value), COLORS[names.index(n) % len(COLORS)], group)
        for n, p in peaks
    )
    box = chart_box(
        group,
        f"Movements over time. {_counts(run.movements, track.track)}",
        style=f"height:{PANEL_PX * len(names) + BESIDES_PX}px",
    )
    html = (
        f'<h3>Movements</h3><p class="sub">{escape(_counts(run.movements, track.track))}</p>'
        f'<ul class="legend" aria-hidden="true">{FLAG_LEGEND}</ul>{box}'
        '<p class="sub">Shaded: events. Triangles: the moments below, where a movement was strongest. Press one to mark it.'
        f"{binned(run, series)}</p>"
        f'<ul class="peaks">{thumbnails}</ul>{_table(run.movements, track.track)}'
    )
    return Drawing(html, [chart])


def _peaks(movements: Movements, track: int) -> list[tuple[str, Peak]]:
    """The strongest moment of each movement, then their second ones, at most `MAX_PEAKS`, in order of time."""
    found = [(name, peaks) for name, peaks in movements.peaks.get(track, {}).items() if name in LANES]
    best = [(name, peaks[k]) for k in (0, 1) for name, peaks in found if len(peaks) > k]
    return sorted(best[:MAX_PEAKS], key=lambda pair: pair[1].time_s)


def _counts(movements: Movements, track: int) -> str:
    """What happened, in words."""
    counts = {label: sum(e.track == track and e.label == label for e in movements.events) for label in WORDS}
    found = [f"{n} {WORDS[label]}{'' if n == 1 else 's'}" for label, n in counts.items() if n]
    rate, seconds = blink_rate(movements, movements.tracks[track]), movements.tracks[track].seconds
    blinks = (
        f" {rate:.0f} blinks a minute."
        if not np.isnan(rate)
        else f" Too short for a blink rate (under {RATE_FROM_S:g} s)."
    )
    return f"{', '.join(found).capitalize() or 'No event'} in the {page.clock(seconds)} that can be read.{blinks}"


def _table(movements: Movements, track: int) -> str:
    events = [e for e in movements.events if e.track == track]
    rows = [
        (WORDS[e.label], page.clock(e.onset), f"{e.duration:.2f} s", _peak(e.label, e.peak), page.percent(e.confidence))
        for e in events[:LISTED]
    ]
    more = f" (the first {LISTED} of {len(events)}; all are in events.csv)" if len(events) > LISTED else ""
    table = page.table(("event", "from", "lasts", "peak", "confidence"), rows, numbers=(1, 2, 3, 4))
    return f"<details><summary>Events{more}</summary>{table}</details>" if rows else ""


def _peak(label: str, value: float) -> str:
    return f"{value:.0f}°" if label in ("nod", "shake") else page.number(value)
