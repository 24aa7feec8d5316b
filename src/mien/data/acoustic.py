"""What sound is described by, frame by frame: the targets of audio-guided pre-training.

Every target is 100 vectors a second, each of the 10 ms around its middle, brought down to the video's frame rate by their mean
or by stacking. Computed on the device of the sound, in float32, without gradient.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.data.audio import RATE
from mien.errors import UserError, require
from mien.layers.pase import DIM, STRIDE, PaseEncoder, load_pase

PER_S = RATE // STRIDE
WINDOW = 400  # 25 ms, as is usual for speech; with a step of 10 ms
FFT = 512
QUIET = (
    1e-6  # added to band energies: of a wave in [-1, 1], about the noise of 16 bits; keeps silence at one finite value
)
DELTA_REACH = 2  # frames before and after that a delta is fitted to (the usual 5-frame regression)


@dataclass(frozen=True, kw_only=True)
class AcousticTarget:
    """How sound becomes targets; what all kinds share."""

    reduce: Literal["mean", "stack"] = "mean"
    """From 100 vectors a second to one per video frame: their mean, or all of them in one vector."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers of one of the 100 vectors a second."""
        ...

    @property
    @abstractmethod
    def margin_samples(self) -> int:
        """Sound needed before and after the part that is described."""
        ...

    @abstractmethod
    def describe(self, sound: Tensor) -> Tensor:
        """float32 ``[B, M + 160 N + M]`` in [-1, 1], M the margin, to ``[B, N, width]``."""
        ...

    def check(self, frame_rate: float) -> None:
        """Raises UserError for video frame rates that do not divide 100 per second."""
        whole = frame_rate > 0 and abs(PER_S / frame_rate - round(PER_S / frame_rate)) < 1e-9
        rates = ", ".join(str(r) for r in (10, 12.5, 20, 25, 50))
        require(
            whole, f"frame rate {frame_rate:g}: sound has {PER_S} vectors a second; give a divisor, such as {rates}"
        )

    def dim(self, frame_rate: float) -> int:
        """Numbers per video frame."""
        return self.width * (round(PER_S / frame_rate) if self.reduce == "stack" else 1)

    @torch.no_grad()
    def __call__(self, sound: Tensor, num_frames: int) -> Tensor:
        """int16 (or float in [-1, 1]) ``[B, S]`` at 16 kHz, margins included, to ``[B, num_frames, dim]``."""
        wave = sound.float() / 32768 if sound.dtype == torch.int16 else sound.float()
        with torch.autocast(sound.device.type, enabled=False):
            vectors = self.describe(wave)
        if vectors.shape[1] % num_frames:
            have = f"{tuple(sound.shape)} samples make {vectors.shape[1]} vectors"
            raise ValueError(f"{have}, which {num_frames} frames do not divide")
        parts = vectors.unflatten(1, (num_frames, -1))
        return parts.flatten(2) if self.reduce == "stack" else parts.mean(dim=2)


@dataclass(frozen=True)
class MelBands(AcousticTarget):
    """What is made of the energy in bands of equal width in mel."""

    bands: int = 80
    """Number of bands."""
    low_hz: float = 20.0
    """Lowest frequency."""
    high_hz: float = 7600.0
    """Highest frequency."""

    def __post_init__(self) -> None:
        check_bands(self.bands, self.low_hz, self.high_hz)


@dataclass(frozen=True)
class LogMel(MelBands):
    """Logarithm of the energy in bands of equal width in mel (25 ms Hann windows)."""

    @property
    def width(self) -> int:
        return self.bands

    @property
    def margin_samples(self) -> int:
        return (WINDOW - STRIDE) // 2

    def describe(self, sound: Tensor) -> Tensor:
        windows = sound.unfold(1, WINDOW, STRIDE) * torch.hann_window(WINDOW, device=sound.device)
        power = torch.fft.rfft(windows, FFT).abs().square() / WINDOW
        return (power @ mel_filters(self.bands, self.low_hz, self.high_hz).to(power) + QUIET).log()


@dataclass(frozen=True)
class MFCC(MelBands):
    """Cosine transform of the log-mel energies, with its first and second change over time."""

    bands: int = 40
    """Number of bands."""
    coefficients: int = 13
    """How many are kept."""
    deltas: int = 2
    """Orders of change besides the coefficients: 0, 1 or 2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = f"{self.coefficients} coefficients of {self.bands} bands: give 1 up to the number of bands"
        require(1 <= self.coefficients <= self.bands, limits)
        require(self.deltas in (0, 1, 2), f"{self.deltas} deltas: give 0, 1 or 2")

    @property
    def width(self) -> int:
        return self.coefficients * (1 + self.deltas)

    @property
    def _mel(self) -> LogMel:
        return LogMel(bands=self.bands, low_hz=self.low_hz, high_hz=self.high_hz)

    @property
    def margin_samples(self) -> int:
        return self._mel.margin_samples + self.deltas * DELTA_REACH * STRIDE

    def describe(self, sound: Tensor) -> Tensor:
        mel = self._mel.describe(sound)
        series = [mel @ cosines(self.bands, self.coefficients).to(mel)]
        for _ in range(self.deltas):
            series.append(delta(series[-1]))
        last = series[-1].shape[1]
        return torch.cat([s[:, (s.shape[1] - last) // 2 :][:, :last] for s in series], dim=2)


@dataclass(frozen=True)
class Pase(AcousticTarget):
    """PASE+ (LiRA's own target), from the encoder's weights in a file (docs/methods/lira.md)."""

    file: str = ""
    """The encoder's checkpoint. It is needed for training only: a trained model does not hold it."""

    @property
    def width(self) -> int:
        return DIM

    @property
    def margin_samples(self) -> int:
        return RATE // 4  # the recurrence remembers without end; a quarter of a second is a word

    def describe(self, sound: Tensor) -> Tensor:
        drop = self.margin_samples // STRIDE
        return _encoder(self.file, str(sound.device))(sound).transpose(1, 2)[:, drop:-drop]


AcousticTargets = LogMel | MFCC | Pase
"""Every target a config may hold."""


@cache
def _encoder(file: str, device: str) -> PaseEncoder:
    """Read once per process and device."""
    if not file:
        raise UserError(
            "the target PASE+ needs the encoder's weights: give their file, or take log-mel (docs/methods/lira.md)"
        )
    return load_pase(file).to(device)


def check_bands(bands: int, low_hz: float, high_hz: float) -> None:
    """Raises UserError."""
    require(bands >= 1, f"{bands} bands: give 1 or more")
    require(0 <= low_hz < high_hz <= RATE / 2, f"bands from {low_hz:g} to {high_hz:g} Hz: give 0 up to {RATE // 2}")
    empty = mel_filters(bands, low_hz, high_hz).sum(0).min() == 0
    require(
        not bool(empty), f"{bands} bands from {low_hz:g} Hz: the lowest hold no frequency of the spectrum; give fewer"
    )


@cache
def mel_filters(bands: int, low_hz: float, high_hz: float) -> Tensor:
    """Triangles over the mel scale 2595 log10(1 + f / 700), peak 1: ``[257, bands]``."""
    low, high = (2595 * math.log10(1 + f / 700) for f in (low_hz, high_hz))
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    bins = np.arange(FFT // 2 + 1)[:, None] * RATE / FFT
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.clip(np.minimum(up, down), 0, None)).float()


@cache
def cosines(bands: int, coefficients: int) -> Tensor:
    """Orthonormal cosine transform (type II), ``[bands, coefficients]``."""
    angles = np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(coefficients)
    scale = np.where(np.arange(coefficients) == 0, math.sqrt(1 / bands), math.sqrt(2 / bands))
    return torch.from_numpy(np.cos(angles) * scale).float()


def delta(x: Tensor) -> Tensor:
    """Slope of a line through 5 frames, ``[B, N, D]`` to ``[B, N - 4, D]``."""
    steps = torch.arange(-DELTA_REACH, DELTA_REACH + 1, device=x.device, dtype=x.dtype)
    weights = (steps / steps.square().sum()).expand(x.shape[2], 1, -1)
    return cast(Tensor, F.conv1d(x.transpose(1, 2), weights, groups=x.shape[2])).transpose(1, 2)
