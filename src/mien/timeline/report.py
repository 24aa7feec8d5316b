"""``report.html``: one file that opens from disk and loads nothing, with what each model says of each person over time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from plotly.offline import get_plotlyjs

from mien import __version__
from mien.data.notes import PERSONALITY_NOTE
from mien.timeline import charts_classes, charts_dimensions, charts_movements, charts_traits, movements, page
from mien.timeline.charts import Drawing
from mien.timeline.kinds import KINDS, span_of, subject_of
from mien.timeline.record import what_it_is_not
from mien.timeline.run import DRAWN_BANNER, Run
from mien.timeline.tracks import MAX_PEOPLE, TrackSummary, by_length

DRAW: dict[str, Callable[[Run, TrackSummary, str, pa.Table, str], Drawing]] = {
    "categorical": charts_classes.draw,
    "dimensional": charts_dimensions.draw,
    "traits": charts_traits.draw,
}
"""How a model of each kind is drawn: (run, track, model, the track's rows, id)."""


def write_report(run: Run, record: Mapping[str, Any], out: Path) -> None:
    """Reads ``timeline.parquet`` and writes ``report.html`` beside it; `record` is what ``predictions.json`` holds."""
    subject = subject_of(run.models.values(), run.movements is not None)
    charts, people = _people(run, out)
    scripts = f"<script>{get_plotlyjs()}</script>\n<script>{_part('js')}</script>" if charts else ""
    parts = {
        "title": escape(f"{run.video.path.name}: {subject}"),
        "subject": escape(subject),
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
        "provenance": _provenance(run, record),
        "footer": escape(
            f"Written by mien {__version__}. This page holds pictures of faces: treat it as personal data."
        ),
        "data": json.dumps(charts, allow_nan=False).replace("<", "\\u003c"),
        "scripts": scripts,
    }
    page_text = re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m.group(1)], _part("html"))
    (out / "report.html").write_text(page_text, encoding="utf-8")


def _part(suffix: str) -> str:
    return (files("mien.timeline") / f"report.{suffix}").read_text(encoding="utf-8")


def _lede(run: Run) -> str:
    v, count = run.video, len(run.tracks)
    length = f"{page.clock(v.duration_s)} long, " if v.duration_s else ""
    who = "no face found" if not count else f"{count} face {'track' if count == 1 else 'tracks'}"
    by = [f"{'model' if len(run.models) == 1 else 'models'}: {', '.join(run.models)}"] if run.models else []
    by += ["movements of the face landmarker"] if run.movements else []
    return (
        f"{length}{v.width} × {v.height} pixels, {v.fps:.3g} frames a second; {who}, {run.num_rows} moments; "
        f"{'; '.join(by)}."
    )


def _banners(run: Run) -> str:
    html = "".join(
        f'<p class="banner" role="note"><strong>{escape(name)} was {escape(DRAWN_BANNER)}.</strong>'
        "It shows how the software works, not what a face expresses.</p>"
        for name in run.drawn
    )
    html += "".join(
        f'<p class="banner" role="note"><strong>{escape(name)} predicts apparent personality.</strong>'
        f"{escape(PERSONALITY_NOTE[0].upper() + PERSONALITY_NOTE[1:])}.</p>"
        for name, spec in run.models.items()
        if spec.kind == "traits"
    )
    rest = [w for w in run.warnings if DRAWN_BANNER not in w and PERSONALITY_NOTE not in w]
    return html + ('<ul class="notes">' + "".join(f"<li>{escape(w)}</li>" for w in rest) + "</ul>" if rest else "")


def _people(run: Run, out: Path) -> tuple[list[dict[str, Any]], str]:
    if not run.num_rows:
        return (
            [],
            f'<section class="person"><h2>Nothing to show</h2><p>{escape(run.why_no_rows.capitalize())}.</p></section>',
        )
    charts: list[dict[str, Any]] = []
    people = by_length(run.tracks.values())
    shown, rest = people[:MAX_PEOPLE], people[MAX_PEOPLE:]
    timeline = pq.read_table(out / "timeline.parquet")
    html = []
    for track in sorted(shown, key=lambda t: t.track):
        rows = timeline.filter(timeline["track"].to_numpy() == track.track)
        parts = []
        for name, spec in run.models.items():
            drawing = DRAW[spec.kind](run, track, name, rows, f"chart-{len(charts)}")
            charts += drawing.charts
            parts.append(drawing.html)
        if run.movements is not None:
            drawing = charts_movements.draw(run, track, rows, f"chart-{len(charts)}")
            charts += drawing.charts
            parts.append(drawing.html)
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


def _others(tracks: list[TrackSummary]) -> str:
    rows = [(str(t.track), page.clock(t.start_s), page.clock(t.end_s), str(t.num_rows)) for t in tracks]
    table = page.table(("track", "from", "to", "moments"), rows, numbers=(1, 2, 3))
    return (
        f'<section class="person"><h2>{len(tracks)} more, seen for a shorter time</h2>'
        f'<p class="sub">They are in timeline.csv.</p><details><summary>List</summary>{table}</details></section>'
    )


def _limits(run: Run) -> str:
    is_what = "".join(f"<li>{escape(_what_it_is(run, n))}</li>" for n in run.models)
    if run.movements is not None:
        is_what += f"<li>{escape(movements.LEFT_OUT)}</li>"
    is_not = "".join(f"<li>{escape(s)}</li>" for s in what_it_is_not(run))
    return f'<ul class="plain">{is_what}{is_not}</ul>'


def _what_it_is(run: Run, name: str) -> str:
    s = run.models[name]
    faces = {"drawn": "faces drawn by code only", "recorded": "recorded faces", "mixed": "recorded and drawn faces"}
    sure = "" if s.contract.verified else " (assumed, not verified)"
    clip = s.clip
    every = f"one every {clip.step_s:.3f} s"
    seen = (
        f"{clip.num_frames} frames, {every} ({clip.window_s:.2f} s in all)" if clip.num_frames > 1 else "single frames"
    )
    if name in run.delays:
        seen = f"all frames of a track from its first one on, {every}"
    span = span_of(s, ", each from ")
    gives = KINDS[s.kind].model.format(count=len(s.names), names=", ".join(s.names), span=span)
    of = f"of one face at {clip.size} pixels" if clip.size else "of how one face moves, and at no pixels"
    return (
        f"{name} looks at {seen}, {of}, and {gives}. "
        f"It can answer nothing else. Trained on {faces[s.training_data]}, cropped as {s.contract.describe()}{sure}."
    )


def _provenance(run: Run, record: Mapping[str, Any]) -> str:
    video, made = record["video"], record["provenance"]
    pairs = [(f"Weights of {n}", run.hashes.get(n) or "not recorded") for n in run.models]
    if run.movements is not None:
        pairs.append(("Movements", "MediaPipe's face landmarker (Google, Apache-2.0), run here by LiteRT"))
    pairs += [
        ("Video", f"{video['name']}, SHA-256 {video['sha256'] or 'none (a folder)'}"),
        ("Crops of this run", run.contract.describe()),
        ("Settings", ", ".join(f"{k} {v}" for k, v in record["settings"].items() if k not in ("kind_", "thresholds"))),
        ("Written", f"{made['created']} by mien {made['mien']}, Python {made['python']}"),
        ("Libraries", ", ".join(f"{k} {v}" for k, v in made["libraries"].items())),
        ("Work", f"{run.num_frames} frames in {run.wall_s:.1f} s"),
    ]
    return page.facts(pairs)
