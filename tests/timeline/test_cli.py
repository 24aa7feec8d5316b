"""`mien predict` as it is typed: `pytest tests/timeline/test_cli.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.data.labels import PERSONALITY_NOTE
from mien.errors import UserError
from mien.models import Provenance, save_model
from mien.verbs.main import run
from mien.verbs.predict import named, places, videos_of, within
from tests.timeline.helpers import classifier, every, regressor, write_video


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name, model in (("first", classifier()), ("second", classifier(training_data="drawn"))):
        save_model(root / name / "model", model, model.config, Provenance())
    return root


def test_a_folder_is_its_videos_or_one_video_of_images(tmp_path: Path):
    for name in ("b10.mp4", "b2.MOV", "note.txt"):
        (tmp_path / name).touch()
    assert within(tmp_path) == [tmp_path / "b2.MOV", tmp_path / "b10.mp4"]
    folders = [out for _, out in places(videos_of(tmp_path), tmp_path / "o")]
    assert folders == [tmp_path / "o" / "b2", tmp_path / "o" / "b10"]
    (tmp_path / "1.jpg").touch()
    with pytest.raises(UserError, match="holds videos and images"):
        within(tmp_path)
    (images := tmp_path / "images").mkdir()
    (images / "1.jpg").touch()
    assert within(images) == [images]


def test_two_videos_and_two_models(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]):
    good = write_video(tmp_path / "good.mp4", every(0.05, 21))
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    chosen = ["--model", str(models / "first"), "--model", f"other={models / 'second'}"]
    code = run(
        ["predict", str(tmp_path / "bad.mp4"), str(good), *chosen, "--crop", "none", "--out", str(tmp_path / "o")]
    )
    said = capsys.readouterr()
    assert code == 0
    assert "good.mp4: 1 track(s), 5 rows" in said.out
    assert "other was trained only on drawn faces" in said.out
    assert "bad.mp4: not a readable video" in said.err
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["good"]
    header = (tmp_path / "o" / "good" / "timeline.csv").read_text().splitlines()[0]
    assert "first_p_open" in header
    assert "other_p_open" in header


def test_nothing_usable_is_exit_code_two_in_one_line(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    arguments = [
        str(tmp_path / "bad.mp4"),
        "--model",
        str(models / "first"),
        "--crop",
        "none",
        "--out",
        str(tmp_path / "o"),
    ]
    assert run(["predict", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.strip().count("\n") == 0
    assert "nothing written" in said.err
    assert not (tmp_path / "o").exists()


def test_a_mismatch_is_refused_and_can_be_allowed(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]):
    video = write_video(tmp_path / "v.mp4", every(0.05, 5))
    arguments = ["predict", str(video), "--model", str(models / "first"), "--out", str(tmp_path / "o")]
    assert run(arguments) == 2
    assert "--crop none" in capsys.readouterr().err
    assert run([*arguments, "--allow-contract-mismatch"]) == 2  # the detector finds no face in a disc
    said = capsys.readouterr()
    assert "crop geometry differs" in said.out
    assert "no face found in 5 frames" in said.err
    assert (tmp_path / "o" / "report.html").is_file()


def test_personality_must_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = regressor(("openness",), "traits", bounds=(0.0, 1.0))
    save_model(tmp_path / "big5" / "model", model, model.config, Provenance())
    video = write_video(tmp_path / "v.mp4", every(0.05, 11))
    arguments = [
        "predict",
        str(video),
        "--model",
        str(tmp_path / "big5"),
        "--crop",
        "none",
        "--out",
        str(tmp_path / "o"),
    ]
    assert run(arguments) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert PERSONALITY_NOTE in said
    assert "add --allow-personality" in said
    assert not (tmp_path / "o").exists()
    assert run([*arguments, "--allow-personality"]) == 0
    assert PERSONALITY_NOTE in capsys.readouterr().out


def test_names_of_models():
    assert named(("runs/a/model", "b=runs/c", "runs/d/")) == {"a": "runs/a/model", "b": "runs/c", "d": "runs/d/"}
    with pytest.raises(UserError, match="two models are called 'a'"):
        named(("x/a", "y/a"))
    with pytest.raises(UserError, match="cannot name columns"):
        named(("a b=x",))


def test_folders_of_videos():
    out = Path("o")
    assert places(videos_of(Path("a.mp4")), out) == [(Path("a.mp4"), out)]
    several = videos_of((Path("x/a.mp4"), Path("y/a.mov"), Path("b.mp4"), Path("b.mp4")))
    assert [(v, p.name) for v, p in places(several, out) if p] == list(zip(several, ["a", "a-2", "b"], strict=True))
