"""What happens in a clip: expression, its dynamics, and everything that moves besides, as numbers per frame.

The expression is an envelope e(t) in 0..1 times a combination of action-unit-like controls (EMFACS: Friesen & Ekman,
1983, as a loose model). Everything else (mood, blinks, gaze, head, speech) is independent of the expression and its
distribution is unchanged by playing it backwards, so that only the envelope tells the dynamics classes apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.corpora.synthetic.actor import AUS, Actor
from mien.rng import generator

EXPRESSIONS: tuple[str, ...] = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
DYNAMICS: tuple[str, ...] = ("opening", "closing", "fast_onset", "slow_onset")

# Neutral clips carry their dynamics by parting the lips, so that stillness does not give the class away.
_RECIPES: dict[str, dict[str, float]] = {
    "neutral": {"au25": 0.45, "au26": 0.30},
    "happiness": {"au06": 0.9, "au12": 1.0, "au25": 0.55},
    "sadness": {"au01": 0.95, "au04": 0.6, "au15": 1.0, "au17": 0.7},
    "surprise": {"au01": 0.9, "au02": 1.0, "au05": 0.9, "au25": 0.7, "au26": 0.85},
    "fear": {"au01": 1.0, "au02": 0.5, "au04": 0.6, "au05": 0.9, "au07": 0.4, "au20": 1.0, "au25": 0.6, "au26": 0.2},
    "disgust": {"au04": 0.35, "au07": 0.6, "au09": 1.0, "au10": 1.0, "au15": 0.4, "au17": 0.4},
    "anger": {"au04": 1.0, "au05": 0.4, "au07": 0.75, "au17": 0.4, "au23": 1.0},
}
# Valence and arousal at full strength: where these words sit on Russell's (1980) circumplex, rounded.
_AFFECT = {
    "neutral": (0.0, 0.0),
    "happiness": (0.85, 0.45),
    "sadness": (-0.7, -0.45),
    "surprise": (0.15, 0.8),
    "fear": (-0.65, 0.75),
    "disgust": (-0.7, 0.25),
    "anger": (-0.6, 0.65),
}
RAMP = 0.47
"""Share of the clip that the ramps take (30 of 64 frames); rest and apex share what remains."""
HOLD = (0.15, 0.85)
"""Between which shares of what remains the apex lasts, so that a frame's place in the clip tells little."""
FAST = 6
"""The slow ramp takes FAST - 1 times as long as the fast one."""

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """One clip, frame by frame; arrays are [T] unless noted."""

    label: str
    dynamics: str
    envelope: Series
    aus: Series
    """[T, len(AUS)], 0..1."""
    blink: Series
    """0 open, 1 closed."""
    gaze: Series
    """[T, 2], -1..1: right, down."""
    pose: Series
    """[T, 3]: yaw, pitch, roll in degrees; positive: towards the image's right, downwards, clockwise."""
    shift: Series
    """[T, 2]: head position in face units, right and down."""
    valence: Series
    arousal: Series

    def __len__(self) -> int:
        return len(self.envelope)

    @property
    def mouth(self) -> Series:
        """How far the lips are apart, [T]: 0 closed, 1 lips parted and jaw dropped fully."""
        part, drop, tight = (self.aus[:, AUS.index(name)] for name in ("au25", "au26", "au23"))
        return np.maximum(lip_gap(part, drop, tight), 0) / lip_gap(1.0, 1.0, 0.0)


Number = TypeVar("Number", float, NDArray[np.float64])


def lip_gap(part: Number, drop: Number, tight: Number) -> Number:
    """Height of the open mouth in face units, from the controls 25, 26 and 23; below 0 the lips press."""
    return 0.09 * part + 0.22 * drop - 0.12 * tight * part


def envelope(dynamics: str, num_frames: int, lead: float, hold: float) -> Series:
    """Expression intensity per frame, [T] in 0..1.

    For the same `hold` the four classes are permutations of one multiset of intensities: no unordered set of frames,
    and so no single frame without its place, says which it is. `closing` is `opening` backwards; `slow_onset` is
    `fast_onset` backwards.

    Args:
        dynamics: one of `DYNAMICS`.
        num_frames: T, at least 16.
        lead: 0..1, the share of the resting frames that comes before a `fast_onset`.
        hold: 0..1, how long the apex lasts, between the two ends of `HOLD`.
    """
    num_ramp = round(RAMP * num_frames)
    num_apex = round((num_frames - num_ramp) * (HOLD[0] + hold * (HOLD[1] - HOLD[0])))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(num_ramp) + 0.5) / num_ramp)
    rest, apex = np.zeros(num_frames - num_ramp - num_apex), np.ones(num_apex)
    if dynamics in ("opening", "closing"):
        forward = np.concatenate([rest, ramp, apex])
        return forward if dynamics == "opening" else forward[::-1].copy()
    fast = np.arange(num_ramp) % FAST == FAST // 2
    before = round(lead * len(rest))
    forward = np.concatenate([rest[:before], ramp[fast], apex, ramp[~fast][::-1], rest[before:]])
    return forward if dynamics == "fast_onset" else forward[::-1].copy()


def _wander(rng: np.random.Generator, times: Series, low_hz: float, high_hz: float) -> Series:
    """A smooth, stationary, time-reversible process of about unit variance: cosines of random rate and phase."""
    rate, phase = rng.uniform(low_hz, high_hz, 5), rng.uniform(0, 2 * np.pi, 5)
    return np.cos(2 * np.pi * rate * times[:, None] + phase).sum(1) * np.sqrt(2 / 5)


def _blinks(rng: np.random.Generator, times: Series, rate_hz: float) -> Series:
    """Symmetric blinks of a fifth of a second at random times."""
    start, end = times[0] - 0.2, times[-1] + 0.2
    moments = rng.uniform(start, end, rng.poisson(rate_hz * (end - start)))
    nearest = np.abs(times[:, None] - moments).min(1, initial=9.0)
    return np.clip(1.5 - nearest / 0.07, 0, 1)


def _gaze(rng: np.random.Generator, times: Series, rate_hz: float, spread: float) -> Series:
    """Fixations between jumps at random times, [T, 2]."""
    jumps = np.sort(rng.uniform(times[0], times[-1], rng.poisson(rate_hz * (times[-1] - times[0]))))
    targets = rng.normal(0, spread, (len(jumps) + 1, 2)) * (1.0, 0.6)
    return np.clip(targets[np.searchsorted(jumps, times)], -1, 1)


def _speech(rng: np.random.Generator, times: Series, amount: float) -> Series:
    """Jaw movement of someone talking in phrases, 0..1."""
    syllables = np.clip(_wander(rng, times, 2.0, 5.0) * 0.5 + 0.3, 0, 1)
    return amount * syllables * np.clip(_wander(rng, times, 0.2, 0.6) + 0.5, 0, 1)


def schedule(seed: int, subject: int, index: int) -> tuple[str, str]:
    """(label, dynamics) of a clip: every seven clips of a subject hold the seven labels, every four the dynamics."""
    labels = generator("synth label", seed, subject, index // len(EXPRESSIONS)).permutation(len(EXPRESSIONS))
    dynamics = generator("synth dynamics", seed, subject, index // len(DYNAMICS)).permutation(len(DYNAMICS))
    return EXPRESSIONS[labels[index % len(EXPRESSIONS)]], DYNAMICS[dynamics[index % len(DYNAMICS)]]


def _expression(rng: np.random.Generator, actor: Actor, label: str, shape: Series) -> tuple[Series, float]:
    """Controls [T, len(AUS)] of the expression alone, and its strength in this clip."""
    strength = rng.uniform(0.65, 1.0)
    recipe = np.array([_RECIPES[label].get(name, 0.0) for name in AUS])
    recipe = recipe * np.array(actor.gains) * rng.uniform(0.8, 1.15, len(AUS))
    return shape[:, None] * recipe * strength, strength


def perform(
    seed: int,
    actor: Actor,
    index: int,
    num_frames: int,
    fps: float,
    label: str | None = None,
    dynamics: str | None = None,
) -> Motion:
    """The motion of clip `index` of a subject; label and dynamics as scheduled unless given."""
    rng = generator("synth motion", seed, actor.subject, index)
    openness, conscientiousness, extraversion, agreeableness, neuroticism = actor.traits
    planned = schedule(seed, actor.subject, index)
    label, dynamics = label or planned[0], dynamics or planned[1]
    times = np.arange(num_frames) / fps
    shape = envelope(dynamics, num_frames, rng.uniform(), rng.uniform())
    aus, strength = _expression(rng, actor, label, shape)
    mood = 0.12 * _wander(rng, times, 0.05, 0.4) + 0.5 * (agreeableness - 0.5)
    alert = 0.12 * _wander(rng, times, 0.05, 0.4) + 0.4 * (extraversion - 0.5)
    habits = {
        "au12": np.clip(mood, 0, 1) * 0.5,
        "au15": np.clip(-mood, 0, 1) * 0.5,
        "au05": np.clip(alert, 0, 1) * 0.5,
        "au07": np.clip(-alert, 0, 1) * 0.5,
        "au04": np.full(num_frames, 0.22 * neuroticism),
        "au02": np.full(num_frames, 0.22 * openness),
    }
    talk = _speech(rng, times, rng.uniform(0.25, 0.6) if rng.uniform() < 0.15 + 0.4 * extraversion else 0.0)
    habits |= {"au25": talk, "au26": talk * 0.5}
    for name, values in habits.items():
        aus[:, AUS.index(name)] += values
    still = 1.3 - 0.6 * conscientiousness
    sway = [_wander(rng, times, 0.1, 0.9) for _ in range(5)]
    pose = rng.normal(0, 1, 3) * (11, 5, 4.5) + np.stack(sway[:3], 1) * (4, 2.5, 2) * still
    valence, arousal = _AFFECT[label]
    return Motion(
        label=label,
        dynamics=dynamics,
        envelope=shape,
        aus=np.clip(aus, 0, 1.1),
        blink=_blinks(rng, times, 0.1 + 0.6 * neuroticism),
        gaze=_gaze(rng, times, 0.4 + 1.2 * neuroticism, 0.25 + 0.25 * openness),
        pose=np.clip(pose, (-30, -15, -15), (30, 15, 15)),
        shift=np.stack(sway[3:], 1) * (0.03, 0.02) * still,
        valence=np.clip(valence * strength * shape + mood * 0.6, -1, 1),
        arousal=np.clip(arousal * strength * shape + alert * 0.6, -1, 1),
    )
