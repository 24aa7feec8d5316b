"""Small pieces of HTML: everything that comes from outside is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from mien.timeline.tracks import Peak


def clock(seconds: float) -> str:
    """6.4 -> 6.40 s, 75.25 -> 1:15.25"""
    if seconds < 59.995:
        return f"{max(seconds, 0.0):.2f} s"
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def percent(value: float) -> str:
    """At most 99 % unless it is all: 0.999 is not certainty."""
    return f"{100 * value:.0f} %" if value < 0.995 or value == 1 else "> 99 %"


def number(value: float) -> str:
    """-0.304 -> −0.30"""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table whose first column names the row; cells are HTML already. `numbers` are the columns set flush right."""

    def side(k: int) -> str:
        return ' class="number"' if k in numbers else ""

    header = "".join(f'<th scope="col"{side(k)}>{escape(h)}</th>' for k, h in enumerate(head))
    body = "".join(
        "<tr>"
        + f'<th scope="row">{r[0]}</th>'
        + "".join(f"<td{side(k)}>{c}</td>" for k, c in enumerate(r[1:], 1))
        + "</tr>"
        for r in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def bar(value: float, color: str) -> str:
    """A small bar for a share in 0..1, with its number."""
    return f'<span class="bar"><span style="width:{100 * value:.1f}%;background:{color}"></span></span>{percent(value)}'


def trait(name: str, mean: float, low: float, high: float, value: float) -> str:
    """A bar up to `mean` with a line from `low` to `high` (shares of the range), and the value in numbers."""
    return (
        f'<li><span class="name">{escape(name)}</span><span class="level" aria-hidden="true">'
        f'<span class="fill" style="width:{100 * mean:.1f}%"></span>'
        f'<span class="span" style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></span></span>'
        f'<span class="number">{number(value)}</span></li>'
    )


def thumbnail(peak: Peak, label: str, value: str, color: str, group: str) -> str:
    """A face at a peak; pressing it marks its time on the charts of its group."""
    words = f"{label}, {value}, at {clock(peak.time_s)}"
    picture = ""  # that of a track that came back after it had been given up is lost
    if peak.jpeg:
        source = "data:image/jpeg;base64," + base64.b64encode(peak.jpeg).decode()
        picture = f'<img src="{source}" alt="Face at {escape(words)}" width="112" height="112">'
    return (
        f'<li><button type="button" data-group="{group}" data-time="{peak.time_s:g}" aria-pressed="false" style="--c:{color}">'
        f'{picture}<span class="what"><i></i>{escape(label)}</span><span class="when">{clock(peak.time_s)} · '
        f"{value}</span></button></li>"
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A description list of plain texts."""
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs) + "</dl>"
