"""Frames of anything PyAV reads, and of folders of images, with times from the container's timestamps.

Times count from the container's start (`start_time`), so that picture and sound share one zero and a label written in a
player means the same second here. Where timestamps are missing or run backwards `Clock` says what happens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.container
import av.error
import av.stream

from mien.data.frame import Converter, Frame, VideoError, read_image, turn_of

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".avi", ".flv", ".mkv", ".webm", ".ogv"}
    | {".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".gif"}
)
DEFAULT_FPS = 25.0
# Below this a seek saves nothing, and formats without an index (mpg, flv, gif) seek badly.
SEEK_FROM_S = 5.0
# A container that promises this much more than it holds was cut off (rounding and edit lists stay well below).
TAIL_S = 0.5


@dataclass(frozen=True)
class VideoInfo:
    """What the container says about itself."""

    path: Path
    width: int
    """After the rotation flag, like `height`."""
    height: int
    fps: float
    """Mean rate the container claims; `DEFAULT_FPS` when it claims none."""
    duration_s: float | None
    num_frames: int | None
    has_audio: bool
    codec: str
    origin: Literal["drawn", "recorded"]


class Clock:
    """Presentation times from timestamps; strictly increasing whatever the file says.

    A missing timestamp (AVI, damaged files) is the decoding one, else one frame after the last. A step back of under
    half a second (duplicates, disorder) becomes one millisecond forward; a larger one is a restarted clock (joined
    recordings) and moves everything after it so that time goes on by one frame.
    """

    def __init__(self, zero_s: float, period_s: float):
        self._shift, self._period, self._last = -zero_s, period_s, -float("inf")

    def __call__(self, picture: av.VideoFrame) -> float:
        stamp = picture.pts if picture.pts is not None else picture.dts
        if stamp is None or picture.time_base is None:
            time_s = 0.0 if self._last == -float("inf") else self._last + self._period
        else:
            time_s = float(stamp * picture.time_base) + self._shift
        if time_s <= self._last - 0.5:
            self._shift += self._last + self._period - time_s
            time_s = self._last + self._period
        self._last = max(time_s, self._last + 1e-3)
        return self._last


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts frame_2 before frame_10, and 00002 before 00010."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def images_in(folder: Path) -> list[Path]:
    """The images directly in a folder in natural order."""
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)


def open_container(path: Path) -> av.container.InputContainer:
    """Raises VideoError instead of PyAV's zoo."""
    if not path.exists():
        raise VideoError("file not found")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError("zero bytes", "empty")
    try:
        return av.open(str(path), metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"not a readable video: {plain(error)}") from error


def plain(error: Exception) -> str:
    """FFmpeg's sentence without its error number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)).split(":")[0]


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures; a cover picture of a sound file is not one.

    Raises:
        VideoError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    has_sound = bool(container.streams.audio)
    raise VideoError("no video stream (sound only)" if has_sound else "no video stream")


def zero_of(container: av.container.InputContainer) -> float:
    """Seconds on the streams' clocks that count as time 0; FFmpeg does not work it out for very short files."""
    if container.start_time is not None:
        return container.start_time / av.time_base
    with av.open(container.name, metadata_errors="ignore") as again:
        first = next((p for p in again.demux() if p.pts is not None), None)
        return float(first.pts * first.time_base) if first is not None and first.pts is not None else 0.0


def rate_of(stream: av.VideoStream) -> float:
    rate: Fraction | None = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate else DEFAULT_FPS


def probe(path: Path | str, fps: float = DEFAULT_FPS) -> VideoInfo:
    """Decodes one frame (the rotation flag and the true size are known only then).

    Args:
        fps: rate of a folder of images.

    Raises:
        VideoError: unreadable, or without a video stream or a frame.
    """
    path = Path(path)
    if path.is_dir():
        return _probe_folder(path, fps)
    with open_container(path) as container:
        stream = video_stream(container)
        first = next(iter(FrameReader(path)), None)
        if first is None:
            raise VideoError("no frame decodes", "empty")
        return VideoInfo(
            path,
            *first.size,
            fps=rate_of(stream),
            duration_s=promised_duration(container, stream),
            num_frames=stream.frames or None,
            has_audio=bool(container.streams.audio),
            codec=stream.codec_context.name,
            origin=origin_of(container),
        )


def origin_of(container: av.container.InputContainer) -> Literal["drawn", "recorded"]:
    """`mien synth` signs what it draws in the comment, so that models trained on it can say so."""
    comment = next((v for k, v in container.metadata.items() if k.lower() == "comment"), "")
    return "drawn" if comment.startswith("mien synth") else "recorded"


def promised_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def image_times(images: list[Path], fps: float, first_number: int | None = None) -> list[float]:
    """Seconds of each image of a folder.

    Args:
        images: in natural order.
        first_number: the number in the name (its last digits) of the image at time 0, for folders with gaps; None = the
            k-th image is at k / fps.

    Raises:
        VideoError: numbers are wanted, and an image has none, or two have the same, or one lies before the first.
    """
    if first_number is None:
        return [k / fps for k in range(len(images))]
    found = [re.findall(r"\d+", p.stem) for p in images]
    if without := [p.name for p, digits in zip(images, found, strict=True) if not digits]:
        raise VideoError(f"image {without[0]} has no number in its name")
    numbers = [int(digits[-1]) - first_number for digits in found]
    if numbers[0] < 0:
        raise VideoError(f"image {images[0].name} is numbered below {first_number}, the number of the first frame")
    for before, after, image in zip(numbers, numbers[1:], images[1:], strict=False):
        if after <= before:
            raise VideoError(f"image {image.name} and the one before it are not numbered one after the other")
    return [n / fps for n in numbers]


def _probe_folder(path: Path, fps: float) -> VideoInfo:
    images = images_in(path)
    if not images:
        raise VideoError("a folder without images", "empty")
    width, height = next(FrameReader(path)).size
    count = len(images)
    return VideoInfo(path, width, height, fps, count / fps, count, False, images[0].suffix[1:].lower(), "recorded")


class FrameReader(Iterator[Frame]):
    """Iterates over the frames of `path` with start_s <= time < end_s.

    What decodes is yielded; `problem` then says in one line what did not ("" when all was well).

    Args:
        fps: rate of a folder of images. first_number: see `image_times`.
    """

    def __init__(
        self,
        path: Path | str,
        start_s: float | None = None,
        end_s: float | None = None,
        fps: float = DEFAULT_FPS,
        first_number: int | None = None,
    ):
        self.path, self.fps, self.first_number, self.problem = Path(path), fps, first_number, ""
        self.start_s, self.end_s = start_s or 0.0, float("inf") if end_s is None else end_s
        self._frames = self._from_folder() if self.path.is_dir() else self._from_container()

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _from_folder(self):
        images, bad = images_in(self.path), 0
        if not images:
            raise VideoError("a folder without images", "empty")
        for index, (image, time_s) in enumerate(
            zip(images, image_times(images, self.fps, self.first_number), strict=True)
        ):
            if not self.start_s <= time_s < self.end_s:
                continue
            try:
                yield Frame(time_s, read_image(image), index=index)
            except VideoError:
                bad += 1
        if bad == len(images):
            raise VideoError("no image of the folder can be read")
        self.problem = f"{bad} of {len(images)} images cannot be read" if bad else ""

    def _from_container(self):
        index, sought = 0, self.start_s > SEEK_FROM_S
        last_s, first = 0.0, True
        while True:
            with open_container(self.path) as container:
                stream = video_stream(container)
                stream.thread_type = "AUTO"
                restart = False
                for frame in self._decode(container, stream, sought):
                    if first and sought and frame.time_s > self.start_s:
                        restart = True
                        break
                    first, last_s = False, frame.time_s
                    if frame.time_s >= self.end_s:
                        return
                    if frame.time_s >= self.start_s:
                        frame.index = index
                        index += 1
                        yield frame
                if not restart:
                    self._look_back(container, stream, last_s, index)
                    return
            sought = False  # the seek landed too late: this format has no index, so start from the beginning

    def _decode(self, container: av.container.InputContainer, stream: av.VideoStream, seek: bool) -> Iterator[Frame]:
        zero, convert = zero_of(container), Converter()
        clock, turn, bad = Clock(zero, 1 / rate_of(stream)), None, 0
        if seek:
            container.seek(int((self.start_s + zero) * av.time_base), backward=True)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.error.FFmpegError, OSError) as error:
                self.problem = f"reading broke off: {plain(error)}"
                break
            try:
                pictures = packet.decode()
            except (av.error.FFmpegError, OSError, ValueError):
                bad += 1
                continue
            for picture in pictures:
                turn = turn or turn_of(picture)
                yield Frame(clock(picture), picture=picture, turn=turn, convert=convert)
        if bad and not self.problem:
            self.problem = f"{bad} packets cannot be decoded"

    def _look_back(self, container: av.container.InputContainer, stream: av.VideoStream, last_s: float, count: int):
        """After the last frame: was that all the container promised?"""
        if count == 0 and self.start_s == 0:
            if self.problem:
                raise VideoError(f"no frame decodes: {self.problem}")
            raise VideoError("no frames", "empty")
        promised = promised_duration(container, stream)
        if promised and not self.problem and last_s + 1 / rate_of(stream) < promised - max(TAIL_S, 0.02 * promised):
            self.problem = f"ends at {last_s:.2f} s, the container promises {promised:.2f} s"


def read_frames(
    path: Path | str,
    start_s: float | None = None,
    end_s: float | None = None,
    fps: float = DEFAULT_FPS,
    first_number: int | None = None,
) -> FrameReader:
    """Frames in time order; look at `.problem` after the last one.

    Raises:
        VideoError: at the first frame, when there is none to be had.
    """
    return FrameReader(path, start_s, end_s, fps, first_number)
