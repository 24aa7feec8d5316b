"""The PASE+ encoder, which describes speech (Ravanelli et al., "Multi-task self-supervised learning for robust speech
recognition", ICASSP 2020): the teacher of LiRA.

    16 kHz -> SincNet filters -> 7 convolution blocks -> QRNN -> 1x1 -> + a skip from each earlier block -> BatchNorm

One vector of 256 numbers every 160 samples. Sizes and strides as published (decisions: pase).
Names of the weights, borders, which blocks have
skips and what the QRNN is: what the authors' public code (github.com/santi-pdp/pase, MIT) and the QRNN library that it calls
(pytorch-qrnn, BSD) do. There "bidirectional" makes the QRNN twice as wide, in one direction. Code and file were read apart: the
released weights themselves were not at hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import UserError

RATE = 16_000
STRIDE = 160
DIM = 256
KERNELS = (20, 11, 11, 11, 11, 11, 11)
STRIDES = (10, 2, 1, 2, 1, 2, 2)
MAPS = (64, 128, 128, 256, 256, 512, 512)
SINC_MAPS, SINC_KERNEL = 64, 251
RNN = 512
LOWEST_HZ = 50.0  # of a band's edge and of its width (SincNet: Ravanelli and Bengio, 2018)
MAX_SHOWN = 6


def mirrored(x: Tensor, kernel: int, stride: int) -> Tensor:
    """``[B, C, S]`` with mirrored borders, one sample less before than after unless the kernel is odd and does not stride."""
    half = kernel // 2
    return F.pad(x, (half - (stride > 1 or kernel % 2 == 0), half), mode="reflect")


class SincConv(nn.Module):
    """Band-pass filters given by two numbers each, the lower edge and the width in Hz: ``[B, 1, S]`` to ``[B, 64, S]``."""

    window: Tensor
    times: Tensor

    def __init__(self, maps: int = SINC_MAPS, kernel: int = SINC_KERNEL):
        super().__init__()
        top = 2595 * math.log10(1 + (RATE / 2 - 2 * LOWEST_HZ) / 700)
        edges = 700 * (10 ** (torch.linspace(2595 * math.log10(1 + 30 / 700), top, maps + 1) / 2595) - 1)
        self.low_hz_ = nn.Parameter(edges[:-1, None].clone())
        self.band_hz_ = nn.Parameter(edges.diff()[:, None].clone())
        half = torch.arange(kernel, dtype=torch.float32) - kernel // 2
        self.register_buffer("window", torch.hamming_window(kernel, periodic=False), persistent=False)
        self.register_buffer("times", half / RATE, persistent=False)

    def filters(self) -> Tensor:
        """``[64, 1, 251]``: differences of two low-passes, windowed, at most 1 high."""
        low = LOWEST_HZ + self.low_hz_.abs()
        high = (low + LOWEST_HZ + self.band_hz_.abs()).clamp(max=RATE / 2)
        passes = [2 * f * torch.sinc(2 * f * self.times) for f in (low, high)]
        return ((passes[1] - passes[0]) / (2 * (high - low)) * self.window)[:, None]

    def forward(self, x: Tensor) -> Tensor:
        filters = self.filters()
        return F.conv1d(mirrored(x, filters.shape[-1], 1), filters)


class PaseBlock(nn.Module):
    """Convolution (learned, or `SincConv`), BatchNorm, PReLU: ``[B, C, S]`` to ``[B, maps, S / stride]``."""

    def __init__(self, conv: nn.Module, maps: int, kernel: int = 0, stride: int = 1):
        super().__init__()
        self.conv, self.kernel, self.stride = conv, kernel, stride
        self.norm = nn.BatchNorm1d(maps)
        self.act = nn.PReLU(maps)

    def forward(self, x: Tensor) -> Tensor:
        x = mirrored(x, self.kernel, self.stride) if self.kernel else x
        return self.act(self.norm(self.conv(x)))


class QRNNLayer(nn.Module):
    """``[B, N, D]`` to ``[B, N, hidden]`` (Bradbury et al., 2017, fo-pooling with a window of two frames).

    z, f and o are one Linear of the frame and the one before it; c_t = f_t z_t + (1 - f_t) c_(t-1), h_t = o_t c_t. (The paper has
    f and 1 - f the other way round.)
    """

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.linear = nn.Linear(2 * dim, 3 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]
        z, f, o = self.linear(torch.cat([x, before], dim=-1)).chunk(3, dim=-1)
        z, f = z.tanh(), f.sigmoid()
        state, states = torch.zeros_like(z[:, 0]), []
        for t in range(z.shape[1]):
            state = f[:, t] * z[:, t] + (1 - f[:, t]) * state
            states.append(state)
        return o.sigmoid() * torch.stack(states, dim=1)


class QRNN(nn.Module):
    """One layer, under the name that the library gives it."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.layers = nn.ModuleList([QRNNLayer(dim, hidden)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x)


class PaseEncoder(nn.Module):
    """``[B, S]`` samples in [-1, 1] at 16 kHz to ``[B, 256, S / 160]``.

    Args:
        hidden: width of the QRNN.
    """

    def __init__(self, hidden: int = RNN):
        super().__init__()
        inputs = (SINC_MAPS, *MAPS[:-1])
        layers = zip(inputs, MAPS, KERNELS, STRIDES, strict=True)
        learned = [PaseBlock(nn.Conv1d(i, o, k, s), o, k, s) for i, o, k, s in layers]
        self.blocks = nn.ModuleList([PaseBlock(SincConv(), SINC_MAPS), *learned])
        self.denseskips = nn.ModuleList(nn.Conv1d(maps, DIM, 1, bias=False) for maps in inputs)
        self.rnn = QRNN(MAPS[-1], hidden)
        self.W = nn.Conv1d(hidden, DIM, 1)
        self.norm_out = nn.BatchNorm1d(DIM, affine=False)

    def forward(self, sound: Tensor) -> Tensor:
        x, skipped = sound[:, None], []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number < len(self.denseskips):
                skipped.append(self.denseskips[number](x))
        y = self.W(self.rnn(x.transpose(1, 2)).transpose(1, 2))
        for skip in skipped:
            each = skip.shape[-1] // y.shape[-1]
            y = y + skip[..., : each * y.shape[-1]].unflatten(-1, (y.shape[-1], each)).mean(-1)
        return self.norm_out(y)


def load_pase(path: Path | str) -> PaseEncoder:
    """The encoder with the weights of a file, ready to run and fixed.

    The file is read as weights alone and has to fit in every name and shape; the width of the QRNN is the file's own.

    Raises:
        UserError: no file, no weights, or weights that do not fit; the message lists what is missing and what is left.
    """
    state = _read(Path(path))
    last = state.get("W.weight")
    encoder = PaseEncoder(last.shape[1] if last is not None and last.ndim == 3 else RNN)
    problems = misfits(state, encoder.state_dict())
    if problems:
        raise UserError(f"{path} does not fit the PASE+ encoder built here: {'; '.join(problems)}")
    encoder.load_state_dict(state)
    return encoder.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"PASE+ weights {str(path)!r}: no such file; give the encoder's checkpoint, or another target")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as weights alone ({type(error).__name__}): allowed are tensors by name"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise UserError(f"{path} holds no tensors by name: give the encoder's state dict")
    return dict(found)


def misfits(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """In words, what keeps weights from being loaded; nothing when they fit."""
    missing = [f"{k} {list(v.shape)}" for k, v in wanted.items() if k not in state]
    left = [f"{k} {list(v.shape)}" for k, v in state.items() if k not in wanted]
    other = [
        f"{k} is {list(v.shape)}, not {list(wanted[k].shape)}"
        for k, v in state.items()
        if k in wanted and v.shape != wanted[k].shape
    ]
    named = (("missing from the file", missing), ("unknown to us", left), ("of another shape", other))
    return [f"{len(names)} {what} ({_listed(names)})" for what, names in named if names]


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
