"""`mien get`, with made files and a server on this machine: `pytest tests/verbs/test_get.py`."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

import mien
from mien.foreign import FILES, ForeignFile
from mien.verbs import doctor
from mien.verbs.main import run
from tests.test_foreign import DATA, Server, file, server, store

__all__ = ["file", "server", "store"]  # fixtures


@pytest.fixture
def files(file: ForeignFile, server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, ForeignFile]:
    """Two made files instead of ours: `made`, and `twin` with other bytes."""
    server.pages["/twin.bin"] = DATA[::-1]
    twin = replace(
        file, name="twin", file="twin.bin", address=f"{server.url}/twin.bin", member="no_such_package/twin.bin"
    )
    twin = replace(twin, sha256=hashlib.sha256(DATA[::-1]).hexdigest())
    for name in list(FILES):
        monkeypatch.delitem(FILES, name)
    monkeypatch.setitem(FILES, "made", file)
    monkeypatch.setitem(FILES, "twin", twin)
    return FILES


def test_all_are_got_and_then_there(
    files: dict[str, ForeignFile], server: Server, store: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["get"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        f"made: getting 0.0 MB from {server.url}/made.bin, else PyPI (made-by-others 1.0)",
        f"made: fetched, {store}/made.bin",
        "  nothing. Licence CC0-1.0, by this test",
    ]
    assert said[4] == f"twin: fetched, {store}/twin.bin"
    assert run(["get"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[::2] == [f"{name}: in the cache, {store}/{name}.bin" for name in files]
    assert server.asked == ["/made.bin", "/twin.bin"]


def test_one_is_got_by_its_name(files: dict[str, ForeignFile], server: Server, store: Path):
    assert run(["get", "twin", "twin"]) == 0
    assert [p.name for p in store.iterdir()] == ["twin.bin"]


def test_one_that_fails_does_not_keep_the_other(
    files: dict[str, ForeignFile], server: Server, store: Path, capsys: pytest.CaptureFixture[str]
):
    server.pages = {"/twin.bin": DATA[::-1]}
    assert run(["get"]) == 2
    said = capsys.readouterr()
    assert f"twin: fetched, {store}/twin.bin" in said.out
    assert said.err.startswith("mien get: made could not be got; tried ")
    assert said.err.count("\n") == 1


def test_a_source_is_for_one_file(
    files: dict[str, ForeignFile], server: Server, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "mine.bin").write_bytes(DATA)
    assert run(["get", "--source", str(tmp_path / "mine.bin")]) == 2
    assert "--source is for one file: name it" in capsys.readouterr().err
    assert run(["get", "made", "--source", str(tmp_path / "mine.bin")]) == 0
    assert f"made: getting 0.0 MB from {tmp_path}/mine.bin\n" in capsys.readouterr().out
    assert (store / "made.bin").read_bytes() == DATA
    assert server.asked == []


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert run(["get", "centreface"]) == 2
    says = "there is no file centreface; did you mean centerface? There are centerface, face-landmarker"
    assert capsys.readouterr().err == f"mien get: {says}\n"


def test_from_python_it_is_silent(files: dict[str, ForeignFile], store: Path, capsys: pytest.CaptureFixture[str]):
    [got] = mien.get("made")
    assert (got.path, got.state) == (store / "made.bin", "fetched")
    assert [found.state for found in mien.get(["made", "twin"])] == ["in the cache", "fetched"]
    assert capsys.readouterr() == ("", "")


def test_doctor_says_what_is_missing_and_how_to_get_it(files: dict[str, ForeignFile], store: Path, server: Server):
    mien.get("made")
    found = {f.subject: f for f in doctor.findings()}
    assert found["made"].state == "ok"
    assert str(store / "made.bin") in found["made"].detail
    assert (found["twin"].state, found["twin"].remedy) == ("missing", "mien get twin")
    assert server.asked == ["/made.bin"]
