"""A moving average over the rows of a track, in constant memory and without disturbing the order of the rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from mien.timeline.scores import Scored

_EPS = 1e-6


def smoothed(rows: Iterable[Scored], width_s: float) -> Iterator[Scored]:
    """Each row's values become the mean over the rows of its stretch at most `width_s` / 2 away; no mean reaches across a gap.

    Args:
        rows: in order of time.
    """
    window: deque[Scored] = deque()
    owed = 0  # so many rows at the end of the window have not been given yet
    for row in rows:
        window.append(row)
        owed += 1
        while window[-owed].moment.time_s + width_s / 2 < row.moment.time_s - _EPS:
            yield _mean(window, window[-owed], width_s / 2)
            owed -= 1
        while window[0].moment.time_s + width_s / 2 < window[-owed].moment.time_s - _EPS:
            window.popleft()
    for row in list(window)[len(window) - owed :]:
        yield _mean(window, row, width_s / 2)


def _mean(window: Iterable[Scored], row: Scored, reach_s: float) -> Scored:
    own, near = row.moment, reach_s + _EPS
    stretch = [r for r in window if (r.moment.track, r.moment.stretch_s) == (own.track, own.stretch_s)]
    part = [r for r in stretch if abs(r.moment.time_s - own.time_s) <= near]
    return replace(row, values={m: np.mean([r.values[m] for r in part], axis=0) for m in row.values})
