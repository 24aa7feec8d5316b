"""`mien doctor`: what this machine can do for mien, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from mien import __version__
from mien.foreign import FILES, cached, installed
from mien.options.shared import usable_cores
from mien.verbs.command import command, function

State = Literal["ok", "missing", "optional"]

PACKAGES = (
    "torch",
    "numpy",
    "pyarrow",
    "av",
    "onnxruntime",
    "onnx",
    "ai-edge-litert",
    "simplejpeg",
    "safetensors",
    "scikit-learn",
)
CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mpeg1video", "vp6f", "gif", "mjpeg", "aac")


@dataclass(frozen=True)
class Doctor:
    """Print versions, devices, codecs, detectors, what is missing and how to get it. Exit code 1 when something is missing."""


@dataclass(frozen=True)
class Finding:
    """One line of the table; `remedy` says what to do where something is missing."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def findings() -> list[Finding]:
    """Everything `mien doctor` prints, in order."""
    return [f for check in (_system, _packages, _torch, _video, _detectors, _encode) for f in check()]


def _system() -> Iterator[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Finding("mien", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("machine", "ok", f"{usable_cores()} cores, {memory:.0f} GB memory, {free:.0f} GB free in this folder")


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "missing", "not installed", f"pip install {name}")


def _torch() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            p = torch.cuda.get_device_properties(i)
            yield Finding(
                f"GPU {i}", "ok", f"{p.name}, {p.total_memory / 2**30:.0f} GB, bf16 {torch.cuda.is_bf16_supported()}"
            )
    else:
        hint = "micro and tiny models train on a CPU; for a GPU install a CUDA build of torch (pytorch.org)"
        yield Finding("GPU", "optional", "none that torch can use", hint)
    flags = torch.backends.cpu.get_cpu_capability()
    yield Finding("CPU kernels", "ok", f"{flags}, {torch.get_num_threads()} threads")


def _video() -> Iterator[Finding]:
    import av
    import av.codec

    known = av.codec.codecs_available
    have = [c for c in CODECS if c in known or c == "av1" and "libdav1d" in known]
    absent = [c for c in CODECS if c not in have]
    library = ".".join(map(str, av.library_versions["libavcodec"]))
    yield Finding("video decoding", "ok", f"PyAV {av.__version__}, libavcodec {library}: {', '.join(have)}")
    if absent:
        yield Finding("codecs", "optional", f"not in this build: {', '.join(absent)}", "pip install --upgrade av")


def _detectors() -> Iterator[Finding]:
    for file in FILES.values():
        if path := installed(file) or cached(file):
            yield Finding(file.name, "ok", f"{file.size / 1e6:.1f} MB ({file.licence}), {path}")
        else:
            yield Finding(file.name, "missing", f"{file.file}: {file.does}", file.command)
    yield Finding("detectors without weights", "ok", "--boxes FILE (your own boxes), --crop none (ready-made crops)")


def _encode() -> Iterator[Finding]:
    """Runs the JPEG path once: an import alone proves little."""
    import numpy as np
    import simplejpeg

    image = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    back = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(image, 90, "RGB", "420"))
    good = back.shape == image.shape
    yield Finding("JPEG", "ok" if good else "missing", f"simplejpeg {version('simplejpeg')}, a picture went in and out")


def work(options: Doctor) -> list[Finding]:
    """A broken installation is a finding too."""
    try:
        return findings()
    except (ImportError, OSError) as error:
        return [Finding("installation", "missing", str(error), "recreate the environment: make clean && make test")]


def show(found: list[Finding], options: Doctor) -> int:
    from rich.table import Table
    from rich.text import Text

    from mien.console import console

    table = Table(box=None, pad_edge=False)
    for column in ("", "", "found", "what to do"):
        table.add_column(column, overflow="fold")
    marks = {"ok": Text("ok", "green"), "missing": Text("missing", "red"), "optional": Text("none", "yellow")}
    for f in found:
        table.add_row(marks[f.state], f.subject, f.detail, f.remedy)
    console().print(table)
    return 1 if any(f.state == "missing" for f in found) else 0


doctor = function(Doctor, work)
main = command(Doctor, work, show)
