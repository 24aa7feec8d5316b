"""What the charts of all kinds of models share: colours, numbers for the page's script, and pieces of HTML."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from mien.timeline.run import Run
from mien.timeline.series import Series, series_of
from mien.timeline.table import model_columns

MAX_PEAKS = 8
# Paul Tol's "bright" scheme with a brown and a lavender: for colour-blind readers, on light and dark paper.
COLORS = ("#4477aa", "#ee6677", "#228833", "#d5b935", "#66ccee", "#aa3377", "#97683a", "#8888dd")
OTHER = "#a8a8a8"
FLAG_LEGEND = '<li><i style="--c:var(--flag)"></i>flagged quality (lower band)</li>'


@dataclass(frozen=True)
class Drawing:
    """What one model says of one track: HTML, and the charts in it as `report.js` draws them."""

    html: str
    charts: list[dict[str, Any]]


def series_of_rows(run: Run, model: str, rows: pa.Table, edge: float) -> Series:
    """`rows` of one track; `edge` is the value drawn on both sides of a gap."""
    columns = model_columns(run.models)[model].values
    values = np.stack([rows[c].to_numpy() for c in columns], axis=1)
    flagged = np.array([q != "ok" for q in rows["quality"].to_pylist()], float)
    return series_of(rows["time_s"].to_numpy(), values, flagged, run.config.rows_s, edge)


def numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 4) for v in values]


def time_range(run: Run, series: Series) -> list[float]:
    """The whole video, so that people can be compared."""
    return [0.0, round(max(run.video.duration_s or 0.0, float(series.time_s[-1])), 3)]


def binned(run: Run, series: Series) -> str:
    return f" Each point is the mean of {series.bin_s:g} s." if series.bin_s > run.config.rows_s else ""


def chart_box(chart_id: str, label: str, kind: str = "chart", style: str = "") -> str:
    """The element that `report.js` draws into, with what it shows in words."""
    styled = f' style="{style}"' if style else ""
    return f'<div class="{kind}" id="{chart_id}" role="img" aria-label="{escape(label)}"{styled}></div>'
