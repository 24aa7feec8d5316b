"""The names of the landmarker's outputs, and the movements that a timeline shows.

The 52 coefficients have their makers' names and order (MediaPipe's face landmarker, after ARKit's). Left and right are the
person's own, as the makers have them: `mouthSmileLeft` is the corner of the mouth on the right-hand side of an unmirrored
picture.
"""

from __future__ import annotations

from dataclasses import dataclass

NUM_POINTS = 478
COEFFICIENTS = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""In the order of the graph's output."""

STILL = ("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight")
STILL += ("jawForward", "jawRight", "mouthClose")
"""Coefficients whose 99th percentile stays below 0.05 on real faces (docs/movements.md): in no timeline."""


@dataclass(frozen=True)
class Movement:
    """One column of a timeline: a mean of coefficients, or their difference.

    Args:
        label: in words, on pages.
        of: coefficients whose mean it is.
        less: coefficients whose mean is taken off (gaze: in less out).
        weak: why it is to be trusted less; "" where it is not.
    """

    name: str
    label: str
    of: tuple[str, ...]
    less: tuple[str, ...] = ()
    weak: str = ""

    @property
    def low(self) -> float:
        return -1.0 if self.less else 0.0


def _both(name: str, label: str, stem: str, weak: str = "") -> Movement:
    return Movement(name, label, (f"{stem}Left", f"{stem}Right"), weak=weak)


_GAZE = "from how the lids and irises lie, not a line of sight"
MOVEMENTS = (
    _both("smile", "smile", "mouthSmile"),
    Movement("smile_left", "smile, left", ("mouthSmileLeft",)),
    Movement("smile_right", "smile, right", ("mouthSmileRight",)),
    Movement("jaw_open", "mouth open", ("jawOpen",)),
    _both("lips_press", "lips pressed", "mouthPress"),
    Movement("lips_pucker", "lips puckered", ("mouthPucker",)),
    Movement("lips_funnel", "lips funnelled", ("mouthFunnel",)),
    _both("lips_stretch", "lips stretched", "mouthStretch"),
    Movement("brow_inner_up", "inner brows raised", ("browInnerUp",)),
    _both("brow_outer_up", "outer brows raised", "browOuterUp"),
    _both("brow_down", "brows lowered", "browDown", "it hardly told anger from neutral on photographs"),
    _both("eyes_wide", "eyes wide", "eyeWide"),
    _both("eyes_closed", "eyes closed", "eyeBlink"),
    Movement("eye_closed_left", "eye closed, left", ("eyeBlinkLeft",)),
    Movement("eye_closed_right", "eye closed, right", ("eyeBlinkRight",)),
    Movement(
        "gaze_left", "gaze to their left", ("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight"), _GAZE,
    ),
    Movement("gaze_up", "gaze up", ("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight"), _GAZE),
)  # fmt: skip
"""What a timeline shows, in its order."""
