from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.contract import CropContract, Geometry, Store
from mien.corpora.corpus import Entry, FrameTargets, Listing
from mien.corpora.record import read_record
from mien.corpora.synthetic import SynthConfig, write_clips
from mien.data.contract import mismatch
from mien.data.frame import VideoError
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.data.video import FrameReader, image_times
from mien.faces.crop import cut
from mien.faces.from_corpus import config_of
from mien.faces.options import PrepareConfig, PrepareOptions, contract_for
from mien.timeline.contract import shared_contract
from mien.verbs.main import run
from tests.corpora import trees


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    write_clips(root, SynthConfig(clips=3, subjects=3, frames=24, size=64))
    return root


def prepare(*words: str | Path) -> int:
    return run(["prepare", *map(str, words), "--size", "32", "--workers", "0", "--no-audio"])


def test_targets_of_frames_are_stored_at_the_frames_times(drawn, tmp_path):
    assert prepare("--corpus", "synthetic", drawn, "--out", tmp_path, "--crop", "none", "--fps", "10") == 0
    shards = Shards(tmp_path)
    table = pq.read_table(drawn / "frames.parquet").to_pydict()
    for row in shards.manifest.rows():
        clip = shards.clip(row["shard"], row["row"])
        truth = [v for p, v in zip(table["path"], table["valence"], strict=True) if p == row["source"]]
        nearest = np.round(clip.numbers("times_s") * 30).astype(int)
        np.testing.assert_allclose(clip.target("valence"), np.array(truth, np.float32)[nearest])
    record = read_record(tmp_path)
    assert record is not None
    assert record.frame_targets == ("arousal", "mouth", "valence")
    assert record.counts["clips"] == 3
    assert record.counts["split"] == {"train": 1, "val": 1, "test": 1}


def test_times_between_and_beyond_the_rows():
    values = {"v": np.array([0, 1, np.nan, 3], np.float32)}
    rows, times = np.array([1.0, 2.0, 3.0, 4.0]), np.array([-0.5, 0.2, 1.0, 1.25, 1.75, 2.0, 2.4, 4.0, 4.9, 5.5])
    linear = FrameTargets(rows, values, interpolate=True).at(times)["v"]
    np.testing.assert_allclose(linear, [np.nan, 0, 0, 0.25, 0.75, 1, np.nan, 3, 3, np.nan])
    nearest = FrameTargets(rows, values).at(times)["v"]
    np.testing.assert_allclose(nearest, [np.nan, 0, 0, 0, 1, 1, 1, 3, 3, np.nan])
    assert FrameTargets(rows, values).digest != FrameTargets(rows, {"v": values["v"] + 1}).digest


def test_a_missing_clip_is_a_row(tmp_path):
    root, out = trees.ferv39k(tmp_path / "f", (2, 1)), tmp_path / "out"
    for image in (root / "2_ClipsforFaceCrop/Crime/Sad/0001").iterdir():
        image.unlink()
    (root / "2_ClipsforFaceCrop/Crime/Sad/0001").rmdir()
    assert prepare("--corpus", "ferv39k", root, "--out", out) == 0
    rows = {r["source"][-4:]: r for r in Manifest.read(out).rows()}
    assert (rows["0001"]["status"], rows["0001"]["label"], rows["0001"]["split"]) == ("unreadable", "sad", "train")
    assert rows["0001"]["reason"] == "file not found"
    record = json.loads((out / "corpus.json").read_text())
    assert record["counts"]["missing"] == 1
    assert any("1 listed clips are not there: Crime/Sad/0001" in p for p in record["problems"])
    assert record["classes"][0] == "happy"
    # the same again changes nothing; found again, the clip replaces its row
    trees.images(root / "2_ClipsforFaceCrop/Crime/Sad/0001")
    assert prepare("--corpus", "ferv39k", root, "--out", out) == 0
    assert [r["status"] for r in Manifest.read(out).rows()] == ["ok"] * 3


def test_bad_input_is_one_line(drawn, tmp_path, capsys):
    cases = [
        (("--corpus", "dfew2", drawn), "no such corpus"),
        (("--corpus", "dfew", drawn, "--corpus-options", "frame=x"), "did you mean frames"),
        (("--corpus", "crema-d", drawn, "--corpus-options", "votes=all"), "give face, multimodal or voice"),
        (("--corpus", "synthetic", drawn / "gone"), "no such folder"),
        (("--corpus", "synthetic", drawn, "--labels", "x.csv"), "--labels does not go with --corpus"),
        (("--corpus", "synthetic"), "wants one folder"),
        ((drawn, "--corpus-options", "a=b"), "goes with --corpus"),
    ]
    for words, text in cases:
        assert prepare(*words, "--out", tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert text in error
        assert error.count("\n") == 1


def test_a_folder_holds_one_corpus(drawn, tmp_path, capsys):
    assert prepare("--corpus", "synthetic", drawn, "--out", tmp_path / "a", "--crop", "none") == 0
    root = trees.ravdess(tmp_path / "r")
    options = ("--crop", "none", "--corpus", "ravdess", root)
    assert prepare(*options, "--out", tmp_path / "a") == 2
    assert "holds synthetic" in capsys.readouterr().err
    assert prepare(*options, "--out", tmp_path / "b") == 0
    assert prepare(*options, "--out", tmp_path / "b", "--corpus-options", "modality=02") == 2
    assert "modality=auto" in capsys.readouterr().err
    assert prepare("--corpus", "crema-d", "--corpus-options", "help", "--out", tmp_path) == 0
    assert "votes=face" in capsys.readouterr().out


def test_ready_made_crops_carry_their_stand_in():
    stand_in = Geometry("centerface", "face", "five-point-1", -0.16)
    listing = Listing(
        [Entry("a")], crop="none", stand_in=stand_in, image_times="number", first_number=0, image_fps=29.97
    )
    config = config_of(listing, PrepareOptions())
    assert (config.contract.geometry.crop, config.contract.verified, config.contract.stand_in) == (
        "none",
        False,
        stand_in,
    )
    assert (config.first_number, config.image_fps) == (0, 29.97)
    spec = LabelSpec(names=("a", "b"), contract=config.contract)
    contract, notes = shared_contract({"m": spec})
    assert contract.geometry == stand_in
    assert "does not say for certain" in notes[0]
    raw = CropContract(stand_in, Store())
    assert mismatch(spec, raw, stand_in=True) is None
    assert "geometry differs" in (mismatch(spec, raw) or "")  # evaluation does not take one for the other unasked
    again = config_of(listing, PrepareOptions(crop="face"))
    assert (again.contract.verified, again.contract.stand_in) == (True, None)


def test_times_from_the_numbers_of_images(tmp_path):
    for n in (3, 4, 9):
        Image.new("RGB", (8, 8)).save(tmp_path / f"frame_det_00_{n:06}.png")
    assert [f.time_s for f in FrameReader(tmp_path, fps=10, first_number=1)] == pytest.approx([0.2, 0.3, 0.8])
    assert [f.time_s for f in FrameReader(tmp_path, fps=10)] == pytest.approx([0.0, 0.1, 0.2])
    for names, words in ((["a.png"], "no number"), (["0.png"], "below 1"), (["1.jpg", "1.png"], "one after the other")):
        with pytest.raises(VideoError, match=words):
            image_times([Path(n) for n in names], 10, 1)


def test_a_gap_in_the_images_does_not_split_the_clip(tmp_path):
    from mien.faces.faces import stream_faces

    for n in (1, 2, 60, 61):
        Image.new("RGB", (32, 32)).save(tmp_path / f"{n:05}.png")
    config = replace(PrepareConfig(contract_for("none", store=Store(size=32))), first_number=1)
    found = [(s.track, s.time_s) for samples in stream_faces(tmp_path, config) for s in samples]
    assert found == [(0, 0.0), (0, 0.04), (0, 59 / 25), (0, 60 / 25)]


def triangle(values: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with antialiasing along axis 0: each output pixel weighs the input by a triangle as wide as the reduction."""
    n = len(values)
    scale = n / size
    reach = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    weights = np.maximum(0, 1 - abs((np.arange(n) + 0.5)[None] - centres[:, None]) / reach)
    return np.tensordot(weights / weights.sum(1, keepdims=True), values, 1)


@pytest.mark.parametrize("shape", [(256, 256), (224, 180), (97, 131), (64, 64)])
def test_ready_made_crops_are_resized_as_pil_does(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    contract = CropContract(contract_for("none").geometry, Store(size=160))
    found = cut(image, np.zeros(4), np.full((5, 2), np.nan), contract).astype(int)
    pil = np.asarray(Image.fromarray(image).resize((160, 160), Image.Resampling.BILINEAR)).astype(int)
    assert abs(found - pil).max() <= 1
    exact = triangle(triangle(image.astype(float), 160).swapaxes(0, 1), 160).swapaxes(0, 1)
    assert abs(found - np.round(exact)).max() <= 1  # PIL rounds after each of its two passes


def test_what_is_stored_of_a_ready_made_crop(tmp_path):
    root = trees.mafw(tmp_path / "m")
    assert prepare("--corpus", "mafw", root, "--out", tmp_path / "s", "--quality", "100", "--subsampling", "444") == 0
    shards = Shards(tmp_path / "s")
    row = shards.manifest.rows()[0]
    stored = np.asarray(Image.open(io.BytesIO(bytes(shards.clip(row["shard"], row["row"]).jpeg(0))))).astype(int)
    source = Image.open(root / row["source"] / "00001.png").resize((32, 32), Image.Resampling.BILINEAR)
    assert abs(stored - np.asarray(source)).max() <= 4  # JPEG at its best
