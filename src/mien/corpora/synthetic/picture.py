"""One picture of many drawn faces: a row per subject, a column per expression at its apex."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mien.corpora.synthetic.clip import Frames, clip_labels, draw_clip
from mien.corpora.synthetic.motion import EXPRESSIONS
from mien.corpora.synthetic.options import SynthConfig

_BAND = 18
"""Height in pixels of the strip with the names."""


def _apex(config: SynthConfig, subject: int, label: str) -> Frames:
    """The strongest unblinking frame of the subject's clip of that expression (one of its first seven)."""
    labels = (clip_labels(config, subject, i).label for i in range(len(EXPRESSIONS)))
    index = next(i for i, name in enumerate(labels) if name == label)
    frames, truth = draw_clip(config, subject, index)
    return frames[int(np.argmax(truth.motion.envelope - truth.motion.blink))]


def draw_picture(path: Path | str, config: SynthConfig, rows: int = 5) -> None:
    """Writes a PNG (256 colours) or JPEG of the first `rows` subjects with the seven expressions."""
    short = replace(config, frames=16)
    short.check()
    cells = [np.concatenate([_apex(short, s, name) for name in EXPRESSIONS], 1) for s in range(rows)]
    grid = np.concatenate(cells)
    sheet = Image.new("RGB", (grid.shape[1], grid.shape[0] + _BAND), "white")
    sheet.paste(Image.fromarray(grid), (0, _BAND))
    pen = ImageDraw.Draw(sheet)
    for i, name in enumerate(EXPRESSIONS):
        pen.text(((i + 0.5) * config.size, _BAND / 2), name, fill="black", anchor="mm")
    if Path(path).suffix.lower() == ".png":
        palette = sheet.quantize(256, kmeans=2)
        sheet = sheet.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    sheet.save(path, optimize=True)
