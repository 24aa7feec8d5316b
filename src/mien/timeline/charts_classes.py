"""Class probabilities on the page: stacked areas over time, the most probable moments, and a table."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from mien.timeline import page
from mien.timeline.charts import (
    COLORS,
    FLAG_LEGEND,
    MAX_PEAKS,
    OTHER,
    Drawing,
    binned,
    chart_box,
    numbers,
    series_of_rows,
    time_range,
)
from mien.timeline.run import Run
from mien.timeline.series import Series, strongest
from mien.timeline.tracks import Peak, TrackSummary

MAX_CLASSES = 8
CLEAR = 1.25  # times chance; ours, by judgement


def draw(run: Run, track: TrackSummary, model: str, rows: pa.Table, group: str) -> Drawing:
    """One track as a classifier sees it; `group` is the id of the chart and of the buttons that mark moments on it."""
    palette, target = palette_of(run, model), run.models[model].column
    series = series_of_rows(run, model, rows, edge=0.0)
    chart = _chart(run, track, model, series, palette) | {"id": group, "group": group}
    legend = "".join(
        f'<li><i style="--c:{c}"></i>{escape(n)}</li>' for n, c in zip(chart["names"], chart["colors"], strict=True)
    )
    means = track.mean(model)
    label = (
        f"Probabilities of {target} over time by {model}; highest on average: {max(means, key=lambda n: means[n])}. "
        "The numbers are in the table below."
    )
    peaks = _peaks(track, model)
    faces = "".join(page.thumbnail(p, n, page.percent(p.value), palette.get(n, OTHER), group) for n, p in peaks)
    words = "Triangles: the moments below, where a class was most probable. Press one to mark it."
    if not peaks:
        words = f"No class is ever clearly above chance (1 in {len(means)}): {model} tells nothing apart here."
    html = (
        f"<h3>{escape(model)}: {escape(target)}</h3>"
        f'<ul class="legend" aria-hidden="true">{legend}{FLAG_LEGEND}</ul>{chart_box(group, label)}'
        f'<p class="sub">{escape(words)}{binned(run, series)}</p>'
        f'<ul class="peaks">{faces}</ul>{_summary(track, model, palette)}'
    )
    return Drawing(html, [chart])


def palette_of(run: Run, model: str) -> dict[str, str]:
    """Colours of the classes drawn by themselves, the same for every person; the others share one grey."""
    names = run.models[model].names
    total = np.sum([t.sums[model] for t in run.tracks.values()], axis=0)
    limit = len(names) if len(names) <= MAX_CLASSES else MAX_CLASSES - 1
    return {names[k]: color for k, color in zip(strongest(total.tolist(), limit), COLORS, strict=False)}


def _chart(run: Run, track: TrackSummary, model: str, series: Series, palette: dict[str, str]) -> dict[str, Any]:
    names = run.models[model].names
    kept = [k for k, n in enumerate(names) if n in palette]
    stack = [series.values[:, k] for k in kept]
    labels, colors = [names[k] for k in kept], [palette[names[k]] for k in kept]
    if len(kept) < len(names):
        stack.append(series.values.sum(axis=1) - np.sum(stack, axis=0))
        labels.append(f"{len(names) - len(kept)} others")
        colors.append(OTHER)
    return {
        "kind": "classes",
        "x": numbers(series.time_s),
        "y": [numbers(y) for y in stack],
        "names": labels,
        "colors": colors,
        "flagged": numbers(series.flagged),
        "range": time_range(run, series),
        "peaks": [{"x": p.time_s, "color": palette.get(n, OTHER)} for n, p in _peaks(track, model)],
    }


def _peaks(track: TrackSummary, model: str) -> list[tuple[str, Peak]]:
    """Moments at which a class was more probable than the others and clearly above chance, in order of time."""
    least = CLEAR / len(track.specs[model].names)
    best = [(n, p) for n, p in track.top_peaks(model) if p.top and p.value >= least][:MAX_PEAKS]
    return sorted(best, key=lambda pair: pair[1].time_s)


def _summary(track: TrackSummary, model: str, palette: dict[str, str]) -> str:
    means = track.mean(model)
    rows = [
        (
            escape(name),
            page.bar(means[name], palette.get(name, OTHER)),
            page.percent(peaks[0].value),
            page.clock(peaks[0].time_s),
        )
        for name, peaks in zip(track.specs[model].names, track.peaks[model], strict=True)
    ]
    table = page.table(("class", "mean", "highest", "at"), rows, numbers=(1, 2, 3))
    return f"<details><summary>Numbers by class</summary>{table}</details>"
