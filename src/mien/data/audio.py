"""Sound as 16 kHz mono int16, on the same zero as the frames of `data.video`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np

from mien.data.frame import VideoError
from mien.data.video import open_container, zero_of

RATE = 16_000
# Packets of one stream are back to back to within a few milliseconds; a longer hole is silence that was not stored, a longer
# overlap a clock that is not the one of the container.
HOLE_S = 0.05
LONGEST_HOLE_S = 60.0
LONGEST_OVERLAP_S = 1.0


@dataclass(frozen=True)
class Sound:
    """`samples` [S] int16 at 16 kHz; the first is at `start_s`. Without sound: S = 0."""

    samples: np.ndarray
    start_s: float = 0.0

    def between(self, start_s: float, end_s: float) -> Sound:
        """The part that plays in [start_s, end_s); empty where there is none."""
        a, b = (round((t - self.start_s) * RATE) for t in (start_s, end_s))
        a, b = max(a, 0), min(b, len(self.samples))
        if a >= b:
            return Sound(np.zeros(0, np.int16), start_s)
        return Sound(self.samples[a:b], self.start_s + a / RATE)


def read_audio(path: Path | str) -> Sound:
    """The first sound stream, down-mixed and resampled (an hour is 115 MB).

    Holes are filled with silence, and samples beyond the time of their packet are cut, so that sample k stays at start_s + k /
    16000. What breaks off is kept up to there; a
    file without sound, or one that cannot be read, is silent: sound is a companion of the picture here, never the
    reason to lose a clip.
    """
    path = Path(path)
    if path.is_dir():
        return Sound(np.zeros(0, np.int16))
    pcm, start_s = bytearray(), None
    try:
        with open_container(path) as container:
            for time_s, chunk in _chunks(container):
                start_s = time_s if start_s is None else start_s
                hole_s = time_s - start_s - len(pcm) / (2 * RATE)
                if hole_s > LONGEST_HOLE_S:
                    break  # the clock of a damaged file jumped; hours of silence would fill the memory
                if hole_s > HOLE_S:
                    pcm.extend(bytes(2 * round(hole_s * RATE)))
                elif -LONGEST_OVERLAP_S < hole_s < -HOLE_S:  # longer ones are a clock that jumped back
                    del pcm[2 * max(round((time_s - start_s) * RATE), 0) :]
                pcm.extend(chunk)
    except (av.error.FFmpegError, OSError, ValueError, VideoError):
        pass
    return Sound(np.frombuffer(pcm, np.int16), start_s or 0.0)


def _chunks(container):
    """(seconds, bytes) of the resampled stream; the resampler's delay of under a millisecond is ignored."""
    if not container.streams.audio:
        return
    zero, resampler = zero_of(container), av.AudioResampler(format="s16", layout="mono", rate=RATE)
    time_s = 0.0
    for frame in container.decode(audio=0):
        time_s = frame.time - zero if frame.time is not None else time_s
        for piece in resampler.resample(frame):
            data = piece.to_ndarray().tobytes()
            yield time_s, data
            time_s += len(data) / (2 * RATE)
    for piece in resampler.resample(None):
        yield time_s, piece.to_ndarray().tobytes()
