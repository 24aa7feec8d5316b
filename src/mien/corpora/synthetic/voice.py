"""The sound of a drawn face: a voice that is shaped by the mouth, and noise.

A buzz with the pitch of the subject goes through three formants that follow the jaw and the corners of the mouth; it is as loud
as the mouth is open, and silent when it is closed. So sound and picture tell of each other, which is all that is asked of it: it
says nothing, and it follows an open mouth of surprise as it does speech.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.corpora.synthetic.actor import AUS
from mien.corpora.synthetic.motion import Motion
from mien.rng import generator

RATE = 16_000
PEAK = 0.35
"""Of the voice with a wide-open mouth, of full scale, before noise."""
HIGHEST_HZ = 5000.0
_WIDTHS_HZ = (90.0, 140.0, 220.0)  # of the formants, about those of speech

Samples = NDArray[np.int16]


def _formants(motion: Motion) -> NDArray[np.float64]:
    """[T, 3] Hz. The first rises with the opening and the second with the spread of the lips, as in vowels."""
    spread = motion.aus[:, AUS.index("au12")] + motion.aus[:, AUS.index("au20")] - motion.aus[:, AUS.index("au23")]
    return np.stack([320 + 480 * motion.mouth, 1250 + 550 * np.clip(spread, -1, 1), np.full(len(motion), 2600.0)], 1)


def speak(motion: Motion, fps: float, seed: int, subject: int, index: int, noise: float = 0.01) -> Samples:
    """int16 [S] at 16 kHz; frame k is at second k / fps, as in the video.

    Args:
        noise: standard deviation of the noise, of full scale, all the time.
    """
    person, rng = generator("synth pitch", seed, subject), generator("synth voice", seed, subject, index)
    times = np.arange(round(len(motion) / fps * RATE)) / RATE
    frames = np.arange(len(motion)) / fps

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(times, frames, values)

    pitch = person.uniform(95, 220) * (1 + 0.06 * np.sin(2 * np.pi * (rng.uniform(0.4, 0.9) * times + rng.uniform())))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    centres = [smooth(f) for f in _formants(motion).T]
    wave = np.zeros_like(times)
    for harmonic in range(1, int(HIGHEST_HZ / pitch.min()) + 1):
        hz = harmonic * pitch
        gain = sum(1 / (1 + ((hz - c) / w) ** 2) for c, w in zip(centres, _WIDTHS_HZ, strict=True))
        wave += gain * np.sin(harmonic * phase) * (hz < HIGHEST_HZ)
    wave *= PEAK * smooth(motion.mouth) / 3
    wave += rng.normal(0, noise, len(times))
    return np.round(32767 * np.clip(wave, -1, 1)).astype(np.int16)
