"""``report.html``: one file that opens from disk and loads nothing, with a timeline and the peaks of each person."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from plotly.offline import get_plotlyjs

from mien import __version__
from mien.predict import page
from mien.predict.config import DRAWN_BANNER, Run
from mien.predict.record import WHAT_IT_IS_NOT, by_length, record_of
from mien.predict.series import Series, series_of, strongest
from mien.predict.timeline import model_columns
from mien.predict.tracks import TrackSummary

MAX_PEOPLE = 12
MAX_PEAKS = 8
MAX_CLASSES = 8
# Paul Tol's "bright" scheme with a brown and a lavender: for colour-blind readers, on light and dark paper.
COLORS = ("#4477aa", "#ee6677", "#228833", "#d5b935", "#66ccee", "#aa3377", "#97683a", "#8888dd")
OTHER = "#a8a8a8"


def write_report(run: Run, out: Path) -> None:
    """Reads ``timeline.parquet`` of `out` back and writes ``report.html`` beside it."""
    (out / "report.html").write_text(report_of(run, out), encoding="utf-8")


def report_of(run: Run, out: Path) -> str:
    """The page.

    Args:
        out: folder with the timeline.
    """
    charts, people = _people(run, out)
    scripts = f"<script>{get_plotlyjs()}</script>\n<script>{_part('js')}</script>" if charts else ""
    parts = {
        "title": escape(f"{run.video.path.name}: apparent expression"),
        "css": _part("css"),
        "heading": escape(run.video.path.name),
        "lede": escape(_lede(run)),
        "banners": _banners(run),
        "people": people,
        "limits": _limits(run),
        "dictionary": page.table(
            ("column", "kind", "meaning"),
            [(f"<code>{escape(c.name)}</code>", c.kind, escape(c.meaning)) for c in run.columns],
        ),
        "provenance": _provenance(run),
        "footer": escape(
            f"Written by mien {__version__}. This page holds pictures of faces: treat it as personal data."
        ),
        "data": json.dumps(charts, allow_nan=False).replace("<", "\\u003c"),
        "scripts": scripts,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m.group(1)], _part("html"))


def _part(suffix: str) -> str:
    return (files("mien.predict") / f"report.{suffix}").read_text(encoding="utf-8")


def _lede(run: Run) -> str:
    v, count = run.video, len(run.tracks)
    length = f"{page.clock(v.duration_s)} long, " if v.duration_s else ""
    who = "no face found" if not count else f"{count} face {'track' if count == 1 else 'tracks'}"
    return (
        f"{length}{v.width} × {v.height} pixels, {v.fps:.3g} frames a second; {who}, {run.num_rows} moments; "
        f"{'model' if len(run.models) == 1 else 'models'}: {', '.join(run.models)}."
    )


def _banners(run: Run) -> str:
    html = "".join(
        f'<p class="banner" role="note"><strong>{escape(name)} was {escape(DRAWN_BANNER)}.</strong>'
        "It shows how the software works, not what a face expresses.</p>"
        for name in run.drawn
    )
    rest = [w for w in run.warnings if DRAWN_BANNER not in w]
    return html + ('<ul class="notes">' + "".join(f"<li>{escape(w)}</li>" for w in rest) + "</ul>" if rest else "")


def _people(run: Run, out: Path) -> tuple[list[dict[str, Any]], str]:
    if not run.num_rows:
        return (
            [],
            f'<section class="person"><h2>Nothing to show</h2><p>{escape(run.why_no_rows().capitalize())}.</p></section>',
        )
    charts: list[dict[str, Any]] = []
    shown, rest = by_length(run)[:MAX_PEOPLE], by_length(run)[MAX_PEOPLE:]
    timeline = pq.read_table(out / "timeline.parquet")
    html = []
    for track in sorted(shown, key=lambda t: t.track):
        rows = timeline.filter(timeline["track"].to_numpy() == track.track)
        parts = []
        for name in run.models:
            chart = _chart(run, track, name, rows, f"chart-{len(charts)}")
            charts.append(chart)
            parts.append(_of_model(run, track, name, chart))
        html.append(_person(track, "".join(parts)))
    return charts, "".join(html) + (_others(rest) if rest else "")


def _person(track: TrackSummary, content: str) -> str:
    quality = track.mean_quality()
    flags = ", ".join(f"{k} {page.percent(n / track.num_rows)}" for k, n in track.flags.most_common())
    words = (
        f"{page.clock(track.start_s)} to {page.clock(track.end_s)}, {track.num_rows} moments, face about "
        f"{quality['face_px']:.0f} pixels. Flagged: {flags or 'none'}."
    )
    title = f"track-{track.track}"
    return (
        f'<section class="person" aria-labelledby="{title}"><h2 id="{title}">Face track {track.track}</h2>'
        f'<p class="sub">{escape(words)}</p>{content}</section>'
    )


def _palette(run: Run, model: str) -> dict[str, str]:
    """Colours of the classes drawn by themselves, the same for every person; the others share one grey."""
    names = run.models[model].names
    total = np.sum([t.sums[model] for t in run.tracks.values()], axis=0)
    limit = len(names) if len(names) <= MAX_CLASSES else MAX_CLASSES - 1
    return {names[k]: color for k, color in zip(strongest(total.tolist(), limit), COLORS, strict=False)}


def _chart(run: Run, track: TrackSummary, model: str, rows: Any, chart_id: str) -> dict[str, Any]:
    """What `report.js` draws."""
    columns = model_columns(run.models)[model].probabilities
    values = np.stack([rows[c].to_numpy() for c in columns], axis=1)
    flagged = np.array([q != "ok" for q in rows["quality"].to_pylist()], float)
    series = series_of(rows["time_s"].to_numpy(), values, flagged, run.config.step_s)
    palette, names = _palette(run, model), run.models[model].names
    kept = [k for k, n in enumerate(names) if n in palette]
    stack = [series.values[:, k] for k in kept]
    labels, colors = [names[k] for k in kept], [palette[names[k]] for k in kept]
    if len(kept) < len(names):
        stack.append(series.values.sum(axis=1) - np.sum(stack, axis=0))
        labels.append(f"{len(names) - len(kept)} others")
        colors.append(OTHER)
    return {
        "id": chart_id,
        "x": _numbers(series.time_s),
        "y": [_numbers(y) for y in stack],
        "names": labels,
        "colors": colors,
        "flagged": _numbers(series.flagged),
        "range": _range(run, series),
        "bin_s": series.bin_s,
        "peaks": [{"x": p.time_s, "color": palette.get(n, OTHER)} for n, p in _peaks(track, model)],
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 4) for v in values]


def _range(run: Run, series: Series) -> list[float]:
    """The whole video, so that people can be compared."""
    return [0.0, round(max(run.video.duration_s or 0.0, float(series.time_s[-1])), 3)]


def _peaks(track: TrackSummary, model: str) -> list[tuple[str, Any]]:
    """Moments at which a class was above chance, in order of time."""
    chance = 1 / len(track.labels[model])
    best = [(n, p) for n, p in track.top_peaks(model, 10_000) if p.probability >= chance][:MAX_PEAKS]
    return sorted(best, key=lambda pair: pair[1].time_s)


def _of_model(run: Run, track: TrackSummary, model: str, chart: dict[str, Any]) -> str:
    palette = _palette(run, model)
    legend = "".join(
        f'<li><i style="--c:{c}"></i>{escape(n)}</li>' for n, c in zip(chart["names"], chart["colors"], strict=True)
    )
    means = track.mean(model)
    top = max(means, key=lambda n: means[n])
    binned = f" Each point is the mean of {chart['bin_s']:g} s." if chart["bin_s"] > run.config.step_s else ""
    label = (
        f"Probabilities of {run.models[model].target} over time by {model}; highest on average: {top}. "
        "The numbers are in the table below."
    )
    faces = "".join(page.thumbnail(p, n, palette.get(n, OTHER), chart["id"]) for n, p in _peaks(track, model))
    return (
        f"<h3>{escape(model)}: {escape(run.models[model].target)}</h3>"
        f'<ul class="legend" aria-hidden="true">{legend}<li><i style="--c:var(--flag)"></i>flagged quality (lower band)</li></ul>'
        f'<div class="chart" id="{chart["id"]}" role="img" aria-label="{escape(label)}"></div>'
        f'<p class="sub">Triangles: the moments below, where a class was most probable. Press one to mark it.{binned}</p>'
        f'<ul class="peaks">{faces}</ul>{_summary(track, model, palette)}'
    )


def _summary(track: TrackSummary, model: str, palette: dict[str, str]) -> str:
    means = track.mean(model)
    rows = []
    for name, peaks in zip(track.labels[model], track.peaks[model], strict=True):
        rows.append(
            (
                escape(name),
                page.bar(means[name], palette.get(name, OTHER)),
                page.percent(peaks[0].probability),
                page.clock(peaks[0].time_s),
            )
        )
    table = page.table(("class", "mean", "highest", "at"), rows, numbers=(1, 2, 3))
    return f"<details><summary>Numbers by class</summary>{table}</details>"


def _others(tracks: list[TrackSummary]) -> str:
    rows = [(str(t.track), page.clock(t.start_s), page.clock(t.end_s), str(t.num_rows)) for t in tracks]
    table = page.table(("track", "from", "to", "moments"), rows, numbers=(1, 2, 3))
    return (
        f'<section class="person"><h2>{len(tracks)} more, seen for a shorter time</h2>'
        f'<p class="sub">They are in timeline.csv.</p><details><summary>List</summary>{table}</details></section>'
    )


def _limits(run: Run) -> str:
    is_what = "".join(f"<li>{escape(_what_it_is(run, n))}</li>" for n in run.models)
    is_not = "".join(f"<li>{escape(s)}</li>" for s in WHAT_IT_IS_NOT)
    return f'<ul class="plain">{is_what}{is_not}</ul>'


def _what_it_is(run: Run, name: str) -> str:
    s = run.models[name]
    faces = {"drawn": "faces drawn by code only", "recorded": "recorded faces", "mixed": "recorded and drawn faces"}
    sure = "" if s.contract.verified else " (assumed, not verified)"
    return (
        f"{name} looks at {s.num_frames} frames, one every {s.stride * s.frame_period_s:.3f} s ({s.window_s:.2f} s in all), "
        f"of one face at {s.size} pixels, and divides its belief among {len(s.names)} classes: {', '.join(s.names)}. "
        f"It can answer nothing else. Trained on {faces[s.training_data]}, cropped as {s.contract.describe()}{sure}."
    )


def _provenance(run: Run) -> str:
    record = record_of(run)
    video, made = record["video"], record["provenance"]
    pairs = [(f"Weights of {n}", run.hashes.get(n) or "not recorded") for n in run.models]
    pairs += [
        ("Video", f"{video['name']}, SHA-256 {video['sha256'] or 'none (a folder)'}"),
        ("Crops of this run", run.contract.describe()),
        ("Settings", ", ".join(f"{k} {v}" for k, v in record["settings"].items() if k != "kind_")),
        ("Written", f"{made['created']} by mien {made['mien']}, Python {made['python']}"),
        ("Libraries", ", ".join(f"{k} {v}" for k, v in made["libraries"].items())),
        ("Work", f"{run.num_frames} frames in {run.wall_s:.1f} s"),
    ]
    return page.facts(pairs)
