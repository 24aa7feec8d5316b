"""``annotated.mp4``: a second pass over the video draws each face's box and what the models say of it, frame by frame.

Boxes are those of the very frame, noted on disk during the first pass; words are those of the track's nearest row. Values of
personality traits are never drawn on a face: only their mean over a track says anything at all (see the report).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from mien.data.video import VideoError, read_frames
from mien.errors import UserError
from mien.movements.names import MOVEMENTS
from mien.timeline import page
from mien.timeline.charts import OTHER
from mien.timeline.charts_classes import palette_of
from mien.timeline.charts_movements import LANES
from mien.timeline.kinds import subject_of
from mien.timeline.movements import SHOWN_FROM
from mien.timeline.options import Progress
from mien.timeline.run import Run
from mien.timeline.table import model_columns

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec
    from mien.faces.faces import FaceSample
    from mien.faces.movements import FaceMovement

# Longer side of the picture: words must fit beside a face, and 4K takes long to write.
MIN_SIDE, MAX_SIDE = 640, 1280
MAX_TARGETS = 4
TIME_BASE = Fraction(1, 90_000)
INK, BEHIND, SOFT = (255, 255, 255), (20, 22, 25), (200, 200, 200)
PLAIN = "#ffffff"
_RECORD = struct.Struct("<qi4f")

Box = tuple[int, tuple[float, float, float, float]]
"""Track, and x0 y0 x1 y1 in pixels of the video."""


def noting(frames: Iterable[list[FaceSample]], log: IO[bytes]) -> Iterator[list[FaceSample]]:
    """The same frames, with their boxes noted in the file on the way."""
    for faces in frames:
        note_boxes(faces, log)
        yield faces


def note_boxes(faces: Iterable[FaceSample | FaceMovement], log: IO[bytes]) -> None:
    """Those of one frame."""
    log.writelines(_RECORD.pack(f.frame_idx, f.track, *f.box) for f in faces)


def noted(log: IO[bytes]) -> Iterator[tuple[int, list[Box]]]:
    """(frame_idx, boxes) of the frames that have any, in order."""
    log.seek(0)
    records = map(_RECORD.unpack, iter(lambda: log.read(_RECORD.size), b""))
    for index, found in groupby(records, key=itemgetter(0)):
        yield index, [(track, (x0, y0, x1, y1)) for _, track, x0, y0, x1, y1 in found]


class NearestRows:
    """The timeline's rows around a time.

    Args:
        timeline: in order of time.
    """

    def __init__(self, timeline: pa.Table, step_s: float):
        self._timeline, self._times, self._step_s = timeline, timeline["time_s"].to_numpy(), step_s

    def at(self, time_s: float) -> dict[int, dict[str, Any]]:
        """By track, its nearest row within a step."""
        first = np.searchsorted(self._times, time_s - self._step_s)
        end = np.searchsorted(self._times, time_s + self._step_s, side="right")
        near = self._timeline.slice(first, end - first).to_pylist()
        return {r["track"]: r for r in sorted(near, key=lambda r: -abs(r["time_s"] - time_s))}


class Painter:
    """Draws one frame after another.

    Args:
        size: of the video as shown, (width, height).
    """

    def __init__(self, run: Run, size: tuple[int, int]):
        self._models, self._columns = said_of_faces(run), model_columns(run.models)
        self._moving = run.movements is not None
        self._palettes = {n: palette_of(run, n) for n, s in run.models.items() if s.classes}
        longer = max(size)
        scale = min(max(longer, MIN_SIDE), MAX_SIDE) / longer
        self._width, self._height = (max(2, round(s * scale / 2) * 2) for s in size)
        self._scale = self._width / size[0], self._height / size[1]
        self._font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(max(15, max(self._width, self._height) // 50)))
        self._line_px = round(1.35 * self._font.size)
        self._caption = _wrapped(caption_of(run), self._font, self._width - 16)
        strip = len(self._caption) * self._line_px + 12
        self.size = self._width, self._height + strip + strip % 2

    def paint(self, image: np.ndarray, boxes: list[Box], rows: dict[int, dict[str, Any]]) -> Image.Image:
        """[H, W, 3] uint8 with its boxes; the caption stands below the picture."""
        canvas = Image.new("RGB", self.size, BEHIND)
        canvas.paste(Image.fromarray(image).resize((self._width, self._height), Image.Resampling.BICUBIC))
        draw = ImageDraw.Draw(canvas)
        for track, box in boxes:
            words = [f"track {track}", *self._words(rows[track])] if track in rows else [f"track {track}"]
            self._face(draw, box, words, self._color(rows.get(track)))
        draw.text(
            (8, self._height + 6), "\n".join(self._caption), SOFT, self._font, spacing=self._line_px - self._font.size
        )
        return canvas

    def _color(self, row: dict[str, Any] | None) -> str:
        """That of the top class in the report, of the first model that has classes; else plain."""
        labels = {n: names.top[0] for n, names in self._columns.items() if names.top is not None}
        if row is None or not labels:
            return PLAIN
        name, label = next(iter(labels.items()))
        return self._palettes[name].get(row[label], OTHER)

    def _words(self, row: dict[str, Any]) -> list[str]:
        found = []
        for name, spec in self._models.items():
            names, prefix = self._columns[name], f"{name}: " if len(self._columns) > 1 else ""
            if names.top is not None:
                label, confidence = (row[column] for column in names.top)
                found.append(f"{prefix}{label} {page.percent(confidence)}")
            else:
                pairs = list(zip(spec.names, names.values, strict=True))[:MAX_TARGETS]
                # pillow's own font has no minus sign
                found += [f"{prefix}{t} {page.number(row[c]).replace('−', '-')}" for t, c in pairs]
        if self._moving:
            found += movement_words(row)
        return found

    def _face(self, draw: ImageDraw.ImageDraw, box: tuple[float, ...], words: list[str], color: str) -> None:
        (sx, sy), pad = self._scale, 5
        x0, y0, x1, y1 = box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=color, width=3)
        wide = max(self._font.getlength(w) for w in words) + 2 * pad
        high = len(words) * self._line_px + 2 * pad
        left, top = self._place((x0, y0, x1, y1), wide, high)
        draw.rectangle((left, top, left + wide, top + high), fill=BEHIND, outline=color)
        for k, text in enumerate(words):
            draw.text((left + pad, top + pad + k * self._line_px), text, INK, self._font)

    def _place(self, box: tuple[float, float, float, float], wide: float, high: float) -> tuple[float, float]:
        """Left and top of the words: above the face, below it, beside it, or else on it."""
        x0, y0, x1, y1 = box
        left, top = min(max(x0, 0), max(self._width - wide, 0)), min(max(y0, 0), max(self._height - high, 0))
        if y0 >= high:
            return left, y0 - high
        if y1 + high <= self._height:
            return left, y1
        if x1 + wide <= self._width:
            return x1, top
        return (x0 - wide, top) if x0 >= wide else (left, top)


def said_of_faces(run: Run) -> dict[str, LabelSpec]:
    """The models whose values are drawn on faces."""
    return {n: s for n, s in run.models.items() if s.kind != "traits"}


def movement_words(row: dict[str, Any]) -> list[str]:
    """The strongest movements of a row, at most `MAX_TARGETS`, or why there are none."""
    if row["smile"] is None:
        return [f"not read: {row.get('movement_quality') or row['quality']}"]
    strong = sorted((m for m in MOVEMENTS if m.name in LANES and row[m.name] >= SHOWN_FROM), key=lambda m: -row[m.name])
    return [f"{m.label} {row[m.name]:.2f}" for m in strong[:MAX_TARGETS]]


def caption_of(run: Run) -> str:
    """What a viewer who has the video alone must know."""
    said = said_of_faces(run)
    if not said:
        return (
            "movements of the face, not what a person feels" if run.movements is not None else "faces followed by mien"
        )
    from mien.data.contract import mismatch

    drawn = [n for n in said if n in run.drawn]
    stand_in = run.config.source == "detect"
    other = [n for n, s in said.items() if mismatch(s, run.contract, stand_in=stand_in)]
    return (
        f"{subject_of(said.values(), run.movements is not None)}, estimated by {', '.join(said)}; not what a person feels"
        + (f". Trained only on drawn faces, so it means nothing on people: {', '.join(drawn)}" if drawn else "")
        + (f". Crops differ from those in training: {', '.join(other)}" if other else "")
    )


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def annotate(run: Run, boxes: IO[bytes], out: Path, progress: Progress | None = None) -> None:
    """Writes ``annotated.mp4``, without sound.

    Args:
        boxes: what the first pass noted, by `noting`.
        out: folder with the timeline.
        progress: called with the number of frames read in both passes.

    Raises:
        UserError: the video can no longer be read.
    """
    rows = NearestRows(pq.read_table(out / "timeline.parquet"), run.config.rows_s)
    painter = Painter(run, (run.video.width, run.video.height))
    try:
        _write(out / "annotated.mp4", painter, _painted(run, painter, boxes, rows, progress), run)
    except VideoError as error:
        raise UserError(f"{run.video.path} could be read once, but not again for annotated.mp4: {error}") from None


def _painted(
    run: Run, painter: Painter, boxes: IO[bytes], rows: NearestRows, progress: Progress | None
) -> Iterator[tuple[float, Image.Image]]:
    """(time_s, picture) of every frame."""
    frames = noted(boxes)
    upcoming = next(frames, None)
    for count, frame in enumerate(read_frames(run.video.path), 1):
        found: list[Box] = []
        if upcoming is not None and upcoming[0] == frame.index:
            found, upcoming = upcoming[1], next(frames, None)
        yield frame.time_s, painter.paint(frame.image, found, rows.at(frame.time_s))
        if progress is not None:
            progress(run.num_frames + count)


def _write(path: Path, painter: Painter, pictures: Iterator[tuple[float, Image.Image]], run: Run) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        # The signature of drawn videos stays: models must go on saying that they saw drawn faces only.
        container.metadata["comment"] = f"{'mien synth, ' if run.video.origin == 'drawn' else ''}annotated by mien"
        stream = container.add_stream("libx264", rate=max(1, round(run.video.fps)), options={"preset": "veryfast"})
        stream.width, stream.height = painter.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        for time_s, picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(time_s / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
