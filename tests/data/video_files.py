"""Video files with everything that goes wrong in the wild, written by PyAV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np


def pictures(count: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Frames whose red level tells their number (6 per frame); the upper left quarter is green, to see turns."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = (np.arange(count) * 6 % 250)[:, None, None]
    frames[:, : height // 2, : width // 2, 1] = 255
    return list(frames)


def write(
    path: Path,
    frames: Sequence[np.ndarray],
    times_ms: Sequence[int] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sound_s: float = 0.0,
    comment: str = "",
    fps: int = 25,
) -> Path:
    """Frames at `times_ms` (default: every 40 ms), with a tone of `sound_s`; intra only, so that tails can be cut off."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        if comment:
            container.metadata["comment"] = comment
        stream = cast(av.VideoStream, container.add_stream(codec, rate=fps))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if codec == "libx264":
            stream.options = {"crf": "10", "g": "1", "preset": "ultrafast"}
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound = cast(av.AudioStream, container.add_stream("aac", rate=16000)) if sound_s else None
        for k, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[k], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(round(16000 * sound_s)) / 16000)).astype(np.int16)
            wave = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            wave.sample_rate = 16000
            container.mux(sound.encode(wave))
            container.mux(sound.encode())
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    with av.open(str(path), "w") as container:
        stream = cast(av.AudioStream, container.add_stream("aac", rate=16000))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, round(16000 * seconds)), np.int16), format="s16", layout="mono")
        wave.sample_rate = 16000
        container.mux(stream.encode(wave))
        container.mux(stream.encode())
    return path


def write_packets(path: Path, stamps: Sequence[int], click: int) -> Path:
    """Silence in packets of 1,000 samples at 16 kHz that begin at `stamps` (in samples), with a click stamped at `click`."""
    with av.open(str(path), "w") as container:
        stream = cast(av.AudioStream, container.add_stream("pcm_s16le", rate=16_000, layout="mono"))
        for start in stamps:
            samples = np.zeros((1, 1000), np.int16)
            if start <= click < start + 1000:
                samples[0, click - start :] = 20_000
            packet = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            packet.sample_rate, packet.pts, packet.time_base = 16_000, start, Fraction(1, 16_000)
            container.mux(stream.encode(packet))
        container.mux(stream.encode())
    return path


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Overwrites a, b, c, d of the video track's display matrix in an mp4 file (16.16 fixed point)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version and flags, times, id, duration, layer ... then the matrix
    a, b, c, d = (v << 16 for v in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
