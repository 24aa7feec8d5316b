"""Dimensions of affect on the page: a line per target over time, the circumplex of valence and arousal, and the extremes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mien.timeline import page
from mien.timeline.charts import (
    COLORS,
    FLAG_LEGEND,
    MAX_PEAKS,
    Drawing,
    binned,
    chart_box,
    numbers,
    series_of_rows,
    time_range,
)
from mien.timeline.run import Run
from mien.timeline.series import Series
from mien.timeline.tracks import Peak, TrackSummary

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec

PANEL_PX, BESIDES_PX = 140, 84
"""Height of a target's panel, and of the time axis and the quality band below them."""


def draw(run: Run, track: TrackSummary, model: str, rows: pa.Table, group: str) -> Drawing:
    """One track as a model of dimensions sees it; `group` is the id of the buttons that mark moments on its charts."""
    names = run.models[model].names
    series = series_of_rows(run, model, rows, edge=np.nan)
    extremes = extremes_of(track, model)
    bounds = bounds_of(run, model)
    charts = [_lines(run, series, names, extremes, bounds) | {"id": group, "group": group}]
    boxes = chart_box(group, _in_words(track, model), style=f"height:{PANEL_PX * len(names) + BESIDES_PX}px")
    if (axes := plane_axes(names)) is not None:
        known = run.models[model].range is not None
        charts.append(_plane(run, series, axes, bounds, known) | {"id": f"{group}-plane", "group": group})
        boxes = f'<div class="pair">{boxes}{_plane_box(track, model, group)}</div>'
    faces = "".join(
        page.thumbnail(p, f"{names[k]} {word}", page.number(p.value), color_of(k), group) for k, word, p in extremes
    )
    notes = " The ends of the track, where less of it was seen, are left out." if track.inner else ""
    if model in run.delays:
        notes += f" {model} follows the whole track: in its first second it has seen little."
    html = (
        f"<h3>{escape(model)}: apparent {escape(', '.join(names))}</h3>"
        f'<ul class="legend" aria-hidden="true">{FLAG_LEGEND}</ul>{boxes}'
        '<p class="sub">Triangles: the moments below, where a value was highest or lowest. Press one to mark it.'
        f"{escape(notes)}{binned(run, series)}</p>"
        f'<ul class="peaks">{faces}</ul>{_summary(track, model)}'
    )
    return Drawing(html, charts)


def color_of(target: int) -> str:
    return COLORS[target % len(COLORS)]


def bounds_of(run: Run, model: str) -> tuple[float, float]:
    """The range of the targets; where it is not known, what the values of all tracks span."""
    if (known := run.models[model].range) is not None:
        return known
    found = [p.value for t in run.tracks.values() for ends in (t.peaks, t.lows) for ps in ends[model] for p in ps]
    margin = 0.05 * (max(found) - min(found)) or 0.5
    return min(found) - margin, max(found) + margin


def plane_axes(names: Sequence[str]) -> tuple[int, int] | None:
    """Positions of valence and arousal among the targets, if both are there."""
    lower = [n.lower() for n in names]
    return (lower.index("valence"), lower.index("arousal")) if {"valence", "arousal"} <= set(lower) else None


def extremes_of(track: TrackSummary, model: str) -> list[tuple[int, str, Peak]]:
    """(target, "highest" | "lowest", moment), target by target; the first `MAX_PEAKS`."""
    found: list[tuple[int, str, Peak]] = []
    for k, (high, low) in enumerate(zip(track.peaks[model], track.lows[model], strict=True)):
        found.append((k, "highest", high[0]))
        if low[0].time_s != high[0].time_s:
            found.append((k, "lowest", low[0]))
    return found[:MAX_PEAKS]


def _lines(
    run: Run,
    series: Series,
    names: Sequence[str],
    extremes: Sequence[tuple[int, str, Peak]],
    bounds: tuple[float, float],
) -> dict[str, Any]:
    return {
        "kind": "lines",
        "prefix": "apparent ",
        "x": numbers(series.time_s),
        "y": [numbers(y) for y in series.values.T],
        "names": list(names),
        "colors": [color_of(k) for k in range(len(names))],
        "flagged": numbers(series.flagged),
        "range": time_range(run, series),
        "bounds": [list(bounds)] * len(names),
        "peaks": [{"x": p.time_s, "y": p.value, "k": k, "up": word == "highest"} for k, word, p in extremes],
    }


def _plane(run: Run, series: Series, axes: tuple[int, int], bounds: tuple[float, float], known: bool) -> dict[str, Any]:
    """`known`: the middle of the range means something, so the circle and the names of its quarters are drawn."""
    valence, arousal = (numbers(series.values[:, k]) for k in axes)
    return {
        "kind": "plane",
        "x": valence,
        "y": arousal,
        "t": numbers(series.time_s),
        "range": time_range(run, series),
        "bounds": list(bounds),
        "known": known,
    }


def _plane_box(track: TrackSummary, model: str, group: str) -> str:
    means = {k.lower(): v for k, v in track.mean(model).items()}
    label = (
        f"Path of apparent valence (across) and apparent arousal (up) by {model}, coloured by time; on average valence "
        f"{page.number(means['valence'])}, arousal {page.number(means['arousal'])}."
    )
    return chart_box(f"{group}-plane", label, "plane")


def _in_words(track: TrackSummary, model: str) -> str:
    means = ", ".join(f"{k} {page.number(v)}" for k, v in track.mean(model).items())
    return f"Values over time by {model}; on average {means}. The numbers are in the table below."


def _summary(track: TrackSummary, model: str) -> str:
    spec: LabelSpec = track.specs[model]
    means = track.mean(model)
    rows = [
        (
            escape(name),
            page.number(means[name]),
            *(cell for p in (high[0], low[0]) for cell in (page.number(p.value), page.clock(p.time_s))),
        )
        for name, high, low in zip(spec.names, track.peaks[model], track.lows[model], strict=True)
    ]
    table = page.table(("target", "mean", "highest", "at", "lowest", "at"), rows, numbers=(1, 2, 3, 4, 5))
    return f"<details><summary>Numbers by target</summary>{table}</details>"
