"""A moving average over the rows of a track, in constant memory and without disturbing the order of the rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from mien.predict.scores import Scored

_EPS = 1e-6
# Rows of a track further apart than this many steps belong to different stretches.
GAP_STEPS = 1.5


def smoothed(rows: Iterable[Scored], width_s: float, step_s: float) -> Iterator[Scored]:
    """Each row's values become the mean over its track's rows at most `width_s` / 2 away; no mean reaches across a gap.

    Args:
        rows: in order of time, `step_s` apart within a track.
    """
    window: deque[Scored] = deque()
    owed = 0  # so many rows at the end of the window have not been given yet
    for row in rows:
        window.append(row)
        owed += 1
        while window[-owed].moment.time_s + width_s / 2 < row.moment.time_s - _EPS:
            yield _mean(window, window[-owed], width_s / 2, step_s)
            owed -= 1
        while window[0].moment.time_s + width_s / 2 < window[-owed].moment.time_s - _EPS:
            window.popleft()
    for row in list(window)[len(window) - owed :]:
        yield _mean(window, row, width_s / 2, step_s)


def _mean(window: Iterable[Scored], row: Scored, reach_s: float, step_s: float) -> Scored:
    track = [r for r in window if r.moment.track == row.moment.track]
    times = np.array([r.moment.time_s for r in track])
    part = np.cumsum(np.diff(times, prepend=times[0]) > GAP_STEPS * step_s)
    own = part[times == row.moment.time_s]
    near = np.flatnonzero((np.abs(times - row.moment.time_s) <= reach_s + _EPS) & (part == own))
    return replace(row, values={m: np.mean([track[k].values[m] for k in near], axis=0) for m in row.values})
