"""What an audit finds, and what it does not."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.contract import CropContract, Store
from mien.corpora.synthetic import SynthConfig, draw_clip
from mien.data.manifest import Manifest
from mien.data.shards import ShardRow, Shards, ShardWriter, write_contract
from mien.scoring.audit import NUM_FRAMES, audit, frame_signature, leaks, near_pairs, signatures, verdict
from mien.verbs.main import run
from tests.conftest import write_shards

COUNT, SIZE = 8, 64


def jpegs(frames: np.ndarray, quality: int = 90) -> list[bytes]:
    found = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        found.append(buffer.getvalue())
    return found


def copy_of(frames: np.ndarray) -> np.ndarray:
    """Smaller, brighter, and back."""
    small = [Image.fromarray(f).resize((48, 48), Image.Resampling.BILINEAR).resize((SIZE, SIZE)) for f in frames]
    return np.clip(np.stack([np.asarray(f) for f in small]) * 1.05 + 4, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def drawn() -> list[np.ndarray]:
    config = SynthConfig(frames=16, size=SIZE, subjects=4)
    return [draw_clip(config, k % 4, k // 4)[0] for k in range(COUNT)]


def write(root: Path, clips: list[list[bytes]], splits: list[str], subjects: list[str]) -> Path:
    (root / "shards").mkdir(parents=True)
    rows = []
    with ShardWriter(root / "shards" / "a.arrow") as writer:
        for i, (frames, split, subject) in enumerate(zip(clips, splits, subjects, strict=True)):
            blank, times = np.zeros((len(frames), 10), np.float32), np.arange(len(frames)) / 25
            row = writer.add(ShardRow(f"v{i}.mp4/0/0", frames, times, blank[:, :4], blank, blank[:, 0]))
            rows.append(
                dict(clip_id=f"v{i}.mp4/0/0", source=f"v{i}.mp4", track=0, segment=0, start_s=0.0, end_s=0.6, fps=25.0,
                     num_frames=len(frames), subject=subject, split=split, status="ok", reason="", origin="drawn",
                     shard="a.arrow", row=row, score=0.9, face_px=64.0, sharpness=10.0 + i, yaw=0.0,
                     label=("smile", "frown")[i % 2])
            )  # fmt: skip
    Manifest.from_rows(rows).write(root)
    write_contract(root, CropContract(store=Store(size=SIZE)))
    return root


def parts(count: int) -> tuple[list[str], list[str]]:
    return ["train" if k < count - 2 else "test" for k in range(count)], [f"s{k}" for k in range(count)]


def test_clean_shards_share_nothing(drawn: list[np.ndarray], tmp_path: Path):
    result = audit([write(tmp_path / "s", [jpegs(c) for c in drawn], *parts(COUNT))])
    assert result["leaks"] == []
    assert result["verdict"] == "no clip, source or subject is in two parts"
    folder = result["folders"][0]
    assert (folder["exact_copies"], folder["near_duplicates"]) == (0, 0)
    assert folder["labels"] == {"split": {"train": {"smile": 3, "frown": 3}, "test": {"smile": 1, "frown": 1}}}
    assert folder["frames"]["median"] == 16
    assert folder["quality"]["sharpness"]["max"] == 17


def test_a_leaked_duplicate_is_found(drawn: list[np.ndarray], tmp_path: Path):
    """Clip 8 (test) is clip 0 (train) bit by bit, clip 9 (test) is clip 1 smaller, brighter and coarser."""
    clips = [*(jpegs(c) for c in drawn), jpegs(drawn[0]), jpegs(copy_of(drawn[1]), 50)]
    root = write(tmp_path / "s", clips, *parts(COUNT + 2))
    result = audit([root])
    found = {leak["what"]: leak["names"] for leak in result["leaks"]}
    assert found["exact copy"] == ("v0.mp4/0/0 = v8.mp4/0/0",)
    assert found["near-duplicate"] == ("v1.mp4/0/0 = v9.mp4/0/0",)
    assert result["verdict"].startswith("1 exact copy in both split=train and split=test")
    assert [leak.what for leak in leaks(Shards(root), "split")] == ["exact copy"]  # what evaluate runs


def test_people_and_sources_on_both_sides(drawn: list[np.ndarray], tmp_path: Path):
    splits, subjects = parts(COUNT)
    root = write(tmp_path / "s", [jpegs(c) for c in drawn], splits, [*subjects[:-1], "s0"])
    rows = Manifest.read(root).rows()
    rows[-1]["source"] = rows[2]["source"]
    Manifest.from_rows(rows).write(root)
    found = {leak.what: leak.names for leak in leaks(Shards(root), "split")}
    assert found == {"subject": ("s0",), "source": ("v2.mp4",)}
    assert verdict(leaks(Shards(root), "split")).startswith("1 source in both split=train and split=test; 1 subject")
    assert leaks(Shards(root), "fold_1") == []


def test_a_pre_training_set_that_holds_the_test(drawn: list[np.ndarray], tmp_path: Path):
    clips = [jpegs(c) for c in drawn]
    first = write(tmp_path / "a", clips, *parts(COUNT))
    second = write(tmp_path / "b", clips[-2:], [""] * 2, ["x", "y"])
    found = {leak["what"]: leak["count"] for leak in audit([first, second])["leaks"]}
    assert found["exact copy"] == 2


def test_the_signature_sees_content_and_not_contrast():
    rng = np.random.default_rng(0)
    picture = np.asarray(
        Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
    )
    faded = (picture * 0.5 + 60).astype(np.uint8)
    assert frame_signature(picture) @ frame_signature(faded) > 0.999
    other = np.ascontiguousarray(picture[::-1])
    assert frame_signature(picture) @ frame_signature(other) < 0.9
    assert not frame_signature(np.full((64, 64), 7, np.uint8)).any()
    assert NUM_FRAMES == 8
    stills = signatures([np.tile(frame_signature(p), (NUM_FRAMES, 1)) for p in (picture, other)])
    assert list(near_pairs(stills, stills)) == [(0, 0), (1, 1)]


def test_one_face_in_two_clips_is_no_copy():
    """Both look almost the same; only what moves tells them apart."""
    rng = np.random.default_rng(0)
    face, moves = rng.normal(0, 1, 63), rng.normal(0, 0.05, (2, NUM_FRAMES, 63))
    clips = [face + m for m in (moves[0], moves[1], moves[0] + rng.normal(0, 0.005, moves[0].shape))]
    looks = signatures([(c / np.linalg.norm(c, axis=1, keepdims=True)).astype(np.float32) for c in clips])
    assert looks.appearance[0] @ looks.appearance[1] > 0.985
    assert [p for p in near_pairs(looks, looks) if p[0] < p[1]] == [(0, 2)]


def test_the_command_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = write_shards(tmp_path / "s")
    assert run(["audit", str(root), "--out", str(tmp_path / "audit.json")]) == 0
    assert "verdict:" in capsys.readouterr().out
    assert json.loads((tmp_path / "audit.json").read_text())["folders"][0]["rows"] == 12


@pytest.mark.parametrize(
    ("words", "says"), [([], "SHARDS is missing: Shards of a data set"), (["nowhere"], "nowhere is not there")]
)
def test_bad_input_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert run(["audit", *words]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.count("\n") == 1
