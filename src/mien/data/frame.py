"""One picture: turned as the container says, converted to RGB only when asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps, UnidentifiedImageError


class VideoError(Exception):
    """A file from which no frame can be had; `reason` is one line for the manifest."""

    def __init__(self, reason: str, status: Literal["unreadable", "empty"] = "unreadable"):
        super().__init__(reason)
        self.reason = reason
        self.status: Literal["unreadable", "empty"] = status


@dataclass(frozen=True)
class Turn:
    """How the display matrix turns the stored picture: transpose first, then mirror."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """[H, W, ...] as stored -> as shown, contiguous."""
        if self.transpose:
            image = image.swapaxes(0, 1)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)


def turn_of(picture: av.VideoFrame) -> Turn:
    """The turn a player applies. The matrix (16.16, row vectors) maps x' = a x + c y, y' = b x + d y."""
    extra: Any = picture.side_data
    data = next((d for d in (extra[k] for k in range(len(extra))) if d.type == SideDataType.DISPLAYMATRIX), None)
    if data is None:
        return Turn()
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
    if abs(a) >= abs(b):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


class Converter:
    """Decoded pictures of one video to RGB. Its swscale context, kept for speed, serves one thread at a time: used by
    the crop's and the detector's thread at once it waits for itself for ever.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._reformatter = VideoReformatter()

    def rgb(self, picture: av.VideoFrame) -> np.ndarray:
        """[h, w, 3] uint8; the caller holds `lock`."""
        return self._reformatter.reformat(picture, format="rgb24").to_ndarray()


class Frame:
    """One picture. Pixels are converted only when asked for: detection needs few of them, most frames none.

    Args:
        time_s: seconds from the container's start.
        image: [H, W, 3] uint8 RGB as shown, or
        picture: the decoded frame, with `turn`, from which `image` is made on first use.
        index: position among the frames read.
    """

    def __init__(
        self,
        time_s: float,
        image: np.ndarray | None = None,
        *,
        picture: av.VideoFrame | None = None,
        turn: Turn | None = None,
        index: int = 0,
        convert: Converter | None = None,
    ):
        assert (image is None) != (picture is None)
        self.time_s, self.index = time_s, index
        self._image, self._picture, self._turn = image, picture, turn or Turn()
        self._convert = convert or Converter()

    def at(self, time_s: float, index: int) -> Frame:
        """The same picture shown at another time."""
        convert = self._convert
        if self._picture is None:
            return Frame(time_s, self._image, turn=self._turn, index=index, convert=convert)
        return Frame(time_s, picture=self._picture, turn=self._turn, index=index, convert=convert)

    @property
    def image(self) -> np.ndarray:
        """[H, W, 3] uint8 RGB, rotation flag applied."""
        with self._convert.lock:
            if self._image is None:
                assert self._picture is not None
                self._image = self._turn(self._convert.rgb(self._picture))
            return self._image

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as shown."""
        if self._picture is None:
            assert self._image is not None
            return self._image.shape[1], self._image.shape[0]
        w, h = self._picture.width, self._picture.height
        return (h, w) if self._turn.transpose else (w, h)

    @property
    def nbytes(self) -> int:
        """What keeping this frame costs; for the look-ahead buffer."""
        if self._picture is None:
            return self.image.nbytes
        return sum(p.buffer_size for p in self._picture.planes)

    def small(self, side: int) -> np.ndarray:
        """[h, w, 3] uint8 with the longer side at most `side`, area-averaged; never enlarged."""
        width, height = self.size
        scale = side / max(width, height)
        if scale >= 1:
            return self.image
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        if self._picture is None:
            return np.asarray(Image.fromarray(self.image).resize((w, h), Image.Resampling.BOX))
        w, h = (h, w) if self._turn.transpose else (w, h)
        small = VideoReformatter().reformat(self._picture, w, h, "rgb24", interpolation="AREA")
        return self._turn(small.to_ndarray())

    def luma(self, side: int = 160) -> np.ndarray:
        """[h, w] uint8 grey by taking every n-th pixel, unturned; only to compare frames of one video."""
        step = max(1, max(self.size) // side)
        if self._picture is None or not self._picture.format.name.startswith(("yuv", "nv12", "gray")):
            return self.image[::step, ::step, 1]
        if self._picture.format.components[0].bits != 8:
            return self.image[::step, ::step, 1]
        plane = self._picture.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[arg-type]
        return rows[: self._picture.height : step, : self._picture.width : step].copy()


def read_image(path: Path) -> np.ndarray:
    """[H, W, 3] uint8 RGB: EXIF turn applied, palette resolved, transparency laid over white, 16 bits cut to 8.

    Raises:
        VideoError: not an image.
    """
    if path.stat().st_size == 0:
        raise VideoError("zero bytes", "empty")
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                return np.repeat((np.asarray(image) // 256).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise VideoError(f"not a readable image: {error}") from error
