"""Who is drawn: one `Actor` per subject, a pure function of (seed, subject). Nobody real: every number is random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.rng import generator

TRAITS: tuple[str, ...] = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
AUS: tuple[str, ...] = (
    "au01",  # inner brow raiser
    "au02",  # outer brow raiser
    "au04",  # brow lowerer
    "au05",  # upper lid raiser
    "au06",  # cheek raiser
    "au07",  # lid tightener
    "au09",  # nose wrinkler
    "au10",  # upper lip raiser
    "au12",  # lip corner puller
    "au15",  # lip corner depressor
    "au17",  # chin raiser
    "au20",  # lip stretcher
    "au23",  # lip tightener
    "au25",  # lips part
    "au26",  # jaw drop
)
HAIR_STYLES: tuple[str, ...] = ("shaved", "short", "parted", "fringe", "long", "curly")

Color = tuple[float, float, float]

# Invented palettes (sRGB, 0..1): skin from light to dark, hair from black to grey, irises from brown to blue.
_SKIN: tuple[Color, ...] = (
    (0.95, 0.80, 0.71),
    (0.91, 0.73, 0.61),
    (0.83, 0.63, 0.49),
    (0.70, 0.50, 0.37),
    (0.55, 0.37, 0.27),
    (0.41, 0.27, 0.20),
)
_HAIR: tuple[Color, ...] = (
    (0.06, 0.05, 0.05),
    (0.15, 0.10, 0.07),
    (0.29, 0.18, 0.11),
    (0.45, 0.29, 0.16),
    (0.72, 0.55, 0.32),
    (0.55, 0.23, 0.11),
    (0.56, 0.55, 0.54),
)
_IRIS: tuple[Color, ...] = ((0.24, 0.13, 0.07), (0.36, 0.22, 0.10), (0.33, 0.38, 0.20), (0.30, 0.46, 0.58))


@dataclass(frozen=True)
class Actor:
    """The look and the habits of one subject; lengths in face units, strengths around 1."""

    subject: int
    traits: tuple[float, ...]
    """Five numbers in 0..1 in the order of `TRAITS`; `motion` turns them into habits."""
    skin: Color
    hair: Color
    iris: Color
    lips: Color
    style: str
    width: float
    """Half the width of the face at the cheekbones."""
    chin: float
    jaw: float
    """Squareness of the jaw: exponent of its outline."""
    hairline: float
    eye_x: float
    eye_y: float
    eye_size: float
    brow_y: float
    brow_thick: float
    nose_width: float
    nose_y: float
    mouth_y: float
    mouth_width: float
    lip_full: float
    beard: float
    """0 for none, up to 1 for a full beard; also sets the moustache."""
    age: float
    """0..1: how strongly folds and wrinkles show."""
    freckles: float
    glasses: float
    """0 for none, else the radius of the lenses."""
    glasses_color: Color
    gains: tuple[float, ...]
    """How strongly this subject moves each of `AUS`."""


def _mixed(rng: np.random.Generator, palette: tuple[Color, ...]) -> Color:
    i = int(rng.integers(len(palette) - 1))
    t = rng.uniform()
    color = np.array(palette[i]) * (1 - t) + np.array(palette[i + 1]) * t + rng.normal(0, 0.012, 3)
    r, g, b = np.clip(color, 0.02, 0.98)
    return float(r), float(g), float(b)


def _lips(rng: np.random.Generator, skin: Color) -> Color:
    r, g, b = skin
    red = rng.uniform(0.35, 1.0)
    return r * (1 - 0.06 * red), g * (1 - 0.36 * red), b * (1 - 0.30 * red)


def make_actor(seed: int, subject: int) -> Actor:
    """The subject's look and habits; the same for every clip of that seed and subject."""
    rng = generator("synth actor", seed, subject)
    u = rng.uniform
    skin = _mixed(rng, _SKIN)
    hair = _mixed(rng, _HAIR[:3]) if sum(skin) < 1.6 else _mixed(rng, _HAIR)
    style = HAIR_STYLES[int(rng.choice(len(HAIR_STYLES), p=(0.08, 0.22, 0.2, 0.15, 0.2, 0.15)))]
    bearded = style != "long" and u() < 0.35
    frames: tuple[Color, ...] = ((0.07, 0.06, 0.06), (0.30, 0.17, 0.10), (0.42, 0.42, 0.45), (0.22, 0.06, 0.08))
    return Actor(
        subject=subject,
        traits=tuple(float(t) for t in rng.beta(1.5, 1.5, len(TRAITS))),
        skin=skin,
        hair=hair,
        iris=_mixed(rng, _IRIS) if sum(skin) > 1.7 else _IRIS[int(rng.integers(2))],
        lips=_lips(rng, skin),
        style=style,
        width=u(0.71, 0.82),
        chin=u(0.94, 1.06),
        jaw=u(2.0, 3.2),
        hairline=u(-0.92, -0.74),
        eye_x=u(0.315, 0.365),
        eye_y=u(-0.16, -0.08),
        eye_size=u(0.155, 0.185),
        brow_y=u(-0.41, -0.36),
        brow_thick=u(0.022, 0.042),
        nose_width=u(0.13, 0.19),
        nose_y=u(0.25, 0.33),
        mouth_y=u(0.57, 0.64),
        mouth_width=u(0.24, 0.31),
        lip_full=u(0.055, 0.10),
        beard=u(0.25, 1.0) if bearded else 0.0,
        age=u(0.05, 1.0),
        freckles=u(0.3, 1.0) if u() < 0.2 and sum(skin) > 1.9 else 0.0,
        glasses=u(0.20, 0.25) if u() < 0.25 else 0.0,
        glasses_color=frames[int(rng.integers(len(frames)))],
        gains=tuple(float(g) for g in rng.uniform(0.7, 1.15, len(AUS))),
    )
