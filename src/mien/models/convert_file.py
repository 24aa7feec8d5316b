"""Reads a checkpoint that somebody else wrote, without running anything in it."""

from __future__ import annotations

import pickletools
import re
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mien.errors import UserError


class Forgotten:
    """Stands in for every harmless object of a checkpoint that is no tensor. It keeps nothing of what it is given, so not
    even the classes it replaces are made."""

    def __init__(self, *args: Any, **kwargs: Any):
        """Takes what the replaced class would take."""

    def __setstate__(self, state: Any) -> None:
        """Takes what the replaced class would keep."""


# What the published files hold besides tensors: the options of the run and, since learning rates come from a
# NumPy array, NumPy numbers in the optimizer's settings (inferred, decisions: checkpoint-files). Paths: users' own runs.
HARMLESS = (
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
)

TENSORS = re.compile(
    r"torch\._utils\._rebuild_\w+|torch\.\w+|torch\.storage\.\w+|collections\.OrderedDict|_codecs\.encode"
)
"""What tensors are pickled as."""
ENTRIES = ("model", "module", "state_dict", "model_state_dict")
COUNTERS = "num_batches_tracked"  # of BatchNorm: whole numbers
LEGACY_PICKLES = 5  # before torch 1.6: magic number, protocol, machine, the object, its storages' names


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors by name: of the entry ``model``, else ``module``, as the published loaders of the masked family look for
    them, else ``state_dict`` or ``model_state_dict``, else of the file itself. 16-bit floats come back as float32, which
    holds them exactly; BatchNorm's counters stay whole numbers.

    Raises:
        UserError: no checkpoint, an object in it that is not known to be harmless, or no state dict.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the authors' file (.pth), or --to official FILE to write one")
    if not path.is_file():
        raise UserError(f"{path} is not there: give the authors' checkpoint (.pth)")
    data = _read_safetensors(path) if path.suffix == ".safetensors" else _unpickle(path)
    for entry in ENTRIES:
        if isinstance(data, dict) and isinstance(data.get(entry), dict):
            data = data[entry]
            break
    if not isinstance(data, dict) or not data:
        raise UserError(f"{path} holds no state dict, neither by itself nor as its entry {', '.join(ENTRIES)}")
    if others := [str(k) for k, v in data.items() if not isinstance(v, Tensor)]:
        raise UserError(f"{path} is no state dict: no tensors under {some(others)}")
    allowed = (torch.float32, torch.float16, torch.bfloat16)
    counters = {k for k, v in data.items() if str(k).endswith(COUNTERS) and v.dtype == torch.int64}
    if others := [f"{k} ({v.dtype})" for k, v in data.items() if v.dtype not in allowed and k not in counters]:
        raise UserError(f"{path}: tensors of another type than float32, float16 or bfloat16: {some(others)}")
    if others := [k for k, v in data.items() if v.layout != torch.strided or v.device.type != "cpu"]:
        kinds = [f"{k} ({str(data[k].layout).removeprefix('torch.')}, {data[k].device.type})" for k in others]
        raise UserError(f"{path}: tensors that are sparse or without values, where plain ones belong: {some(kinds)}")
    # Copies: nothing is left of the mapped file, and no two tensors share memory, which safetensors does not hold.
    kinds = {k: torch.int64 if k in counters else torch.float32 for k in data}
    return {str(k): v.detach().to(kinds[k], copy=True).contiguous() for k, v in data.items()}


def some(items: list[str], most: int = 12) -> str:
    """A list for people: the first ones and how many more."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged: {error}") from None


def _unpickle(path: Path) -> Any:
    # Memory mapping leaves the optimizer's half of a file on the disk; the format before torch 1.6 cannot do it.
    mapped = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals([(Forgotten, name) for name in HARMLESS]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of newer pickles: `_why` says it where one is not read
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(_why(path, error)) from None


def _why(path: Path, error: Exception) -> str:
    """What torch's message means for the person at the keyboard."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    protocol, names = _globals(path)
    strangers = [n for n in names if n not in HARMLESS and not TENSORS.fullmatch(n)]
    if found or strangers:
        known = "argparse.Namespace, NumPy numbers, paths"
        return (
            f"{path} holds {found[1] if found else some(strangers)}, which is none of the harmless objects these "
            f"checkpoints have besides tensors ({known}): refused, nothing of it was run; ask for a file of tensors alone"
        )
    if protocol > torch.serialization.DEFAULT_PROTOCOL:
        return f"{path} is written in pickle protocol {protocol}: save it again with torch's default"
    first = next(iter(str(error).strip().splitlines()), "")[:200]
    said = f" ({first})" if isinstance(error, RuntimeError) else ""  # others are slips of the parser over garbage
    return f"{path} is no PyTorch checkpoint, or is damaged{said}: give the authors' .pth file"


def _globals(path: Path) -> tuple[int, list[str]]:
    """Pickle protocol of a file and what it names, for messages alone: read off its opcodes, nothing is made or run."""
    protocol, names = 0, []
    with suppress(Exception):  # garbage ends the list
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entry = next(n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl")
                with archive.open(entry) as file:
                    return _named(file)
        with open(path, "rb") as file:
            for _ in range(LEGACY_PICKLES):
                newer, more = _named(file)
                protocol, names = max(protocol, newer), [*names, *more]
    return protocol, names


def _named(file: IO[bytes]) -> tuple[int, list[str]]:
    """Protocol and globals of one pickle. A global of protocol 4 is the two strings before it, which may come from the memo."""
    protocol, last = 0, ""
    names: list[str] = []
    strings: list[str] = []
    memo: list[str] = []
    operations: Any = pickletools.genops(file)
    for op, value, _ in operations:
        if op.name == "PROTO":
            protocol = value
        elif op.name == "GLOBAL":
            names.append(value.replace(" ", "."))
        elif op.name == "STACK_GLOBAL":
            names.append(".".join(strings[-2:]))
        elif op.name == "MEMOIZE":
            memo.append(last)
        last = value if "UNICODE" in op.name else memo[value] if op.name in ("BINGET", "LONG_BINGET") else ""
        strings += [last] if last else []
    return protocol, names
