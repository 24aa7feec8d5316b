"""Features and their picture: `pytest tests/scoring/test_features.py`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.sampling import test_indices as view_indices
from mien.data.shards import Shards
from mien.encoders.tpsbt import TPSBTConfig
from mien.methods.svfap import SVFAPConfig
from mien.models import Provenance, load, save_model
from mien.scoring.features import draw_tsne, groups_of, tsne
from mien.tasks.classify import ClassifyConfig
from mien.transforms.clip import ClipSpec
from mien.verbs.main import run

ENCODER = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2)


def classifier(folder: Path, shards: Path) -> Path:
    contract = Shards(shards).contract
    spec = LabelSpec(("left", "right"), clip=ClipSpec(8, 2, 1 / 25, 32), training_data="drawn", contract=contract)
    torch.manual_seed(0)
    config = ClassifyConfig(spec, ENCODER, head_norm="batch")
    save_model(folder / "model", config.build(), config, Provenance((contract,), "drawn"))
    return folder


def pretrained(folder: Path, shards: Path, period: float | None = 1 / 25) -> Path:
    config = SVFAPConfig(
        ENCODER, ClipSpec(8, 2, period, 32), mask_ratio=0.5, decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    torch.manual_seed(0)
    save_model(folder / "model", config.build(), config, Provenance((Shards(shards).contract,), "drawn"))
    return folder


def clip(shards: Shards, spec: LabelSpec, row: int, view: int) -> torch.Tensor:
    """View `view` of two of a row, normalised: [1, 3, T, H, W]."""
    clips = ClipSet(shards)
    stored = clips[row]
    frames = np.empty((8, 32, 32, 3), np.uint8)
    clips.read(row, stored, view_indices(len(stored), 8, 2, view, 2), frames, strict=True)
    pixels = (frames / 255 - np.array(spec.clip.mean)) / np.array(spec.clip.std)
    return torch.from_numpy(pixels).float().permute(3, 0, 1, 2)[None]


def colours_of(picture: Path) -> set[tuple[int, ...]]:
    """Colours of points: what is neither grey nor, at the rim of a point, a mixture of another colour with white."""
    with Image.open(picture) as image:
        counts = image.convert("RGB").getcolors(1 << 20) or []
    return {c for n, c in counts if isinstance(c, tuple) and n > 100 and max(c) - min(c) > 40}


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def test_features_of_a_classifier_are_what_its_head_sees(tmp_path: Path, shards: Path, capsys):
    model, out = classifier(tmp_path / "run", shards), tmp_path / "out"
    assert run(["embed", str(model), "--data", str(shards), "--out", str(out), "--device", "cpu"]) == 0
    assert "12 clips, 16 numbers" in capsys.readouterr().out
    table = pq.read_table(out / "features.parquet")
    assert table.column_names == ["clip_id", "source", "track", "subject", "split", "label", "feature"]
    assert table.schema.field("feature").type == pa.list_(pa.float32())
    assert table["clip_id"].to_pylist() == [f"clip{i}.mp4/0/0" for i in range(12)]
    folder, data = load(model), Shards(shards)
    loaded: Any = folder.module
    for row in (0, 7):
        with torch.inference_mode():
            views = [loaded.features(clip(data, folder.config.spec, row, v)) for v in (0, 1)]
        np.testing.assert_allclose(table["feature"][row].as_py(), torch.stack(views).mean(0)[0], atol=1e-4)
    made_by = json.loads(table.schema.metadata[b"mien"])
    assert (made_by["checkpoint_hash"], made_by["data_hash"]) == (folder.hash, data.hash)
    assert (made_by["kind"], made_by["views"], made_by["contract_mismatch"]) == ("categorical", 2, None)
    assert size_of(out / "tsne.png")[0] > 500


def test_features_of_a_pretraining_model_are_the_mean_of_its_tokens(tmp_path: Path, shards: Path):
    model, out = pretrained(tmp_path / "run", shards), tmp_path / "out"
    arguments = ["--data", str(shards), "--out", str(out), "--split", "test", "--target", "subject", "--device", "cpu"]
    assert run(["embed", str(model), *arguments]) == 0
    table = pq.read_table(out / "features.parquet")
    assert table["clip_id"].to_pylist() == ["clip9.mp4/0/0", "clip10.mp4/0/0", "clip11.mp4/0/0"]
    loaded: Any = load(model).module
    spec = LabelSpec(())
    with torch.inference_mode():
        views = [loaded.encode(clip(Shards(shards), spec, 9, v)).mean(1) for v in (0, 1)]
    np.testing.assert_allclose(table["feature"][0].as_py(), torch.stack(views).mean(0)[0], atol=1e-4)
    assert not (out / "tsne.png").exists()  # three clips are too few for a picture


def test_shards_without_labels_are_drawn_in_one_colour(tmp_path: Path, shards: Path, capsys):
    bare, out = tmp_path / "bare", tmp_path / "out"
    shutil.copytree(shards, bare)
    Manifest(Manifest.read(shards).table.drop_columns("label")).write(bare)
    for model in (pretrained(tmp_path / "pretrain", bare), classifier(tmp_path / "classify", bare)):
        assert run(["embed", str(model), "--data", str(bare), "--out", str(out), "--device", "cpu"]) == 0
        assert "no column to colour the picture by" in capsys.readouterr().out
        schema = pq.read_schema(out / "features.parquet")
        assert schema.names == ["clip_id", "source", "track", "subject", "split", "feature"]
        assert json.loads(schema.metadata[b"mien"])["target"] is None
        assert len(colours_of(out / "tsne.png")) == 1


def test_bad_input_is_one_line(tmp_path: Path, shards: Path, capsys):
    model, out = classifier(tmp_path / "run", shards), str(tmp_path / "out")
    wrong = {
        "no column 'mood'": ["--target", "mood"],
        "split 'val'": ["--split", "val"],
        "--picture-clips 2": ["--picture-clips", "2"],
        "--batch-size 0": ["--batch-size", "0"],
    }
    for text, options in wrong.items():
        assert run(["embed", str(model), "--data", str(shards), "--out", out, *options]) == 2
        error = capsys.readouterr().err
        assert text in error
        assert error.count("\n") == 1
    for data, name in ((tmp_path, model), (shards, tmp_path / "no")):
        assert run(["embed", str(name), "--data", str(data), "--out", out]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not Path(out).exists()


def test_groups_fold_rare_classes_and_missing_labels():
    values = [f"c{i:02d}" for i in range(25) for _ in range(25 - i)] + [None, ""]
    entries, index = groups_of(values)
    assert entries == [*(f"c{i:02d}" for i in range(20)), "other", "no label"]
    assert (index == 20).sum() == 5 + 4 + 3 + 2 + 1
    assert (index == 21).sum() == 2


def test_tsne_separates_blobs_and_repeats(tmp_path: Path):
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 12)
    features = rng.normal(0, 0.1, (36, 16)) + np.eye(16)[truth]
    places = tsne(features, 0)
    np.testing.assert_array_equal(places, tsne(features, 0))
    near = np.argsort(np.linalg.norm(places[:, None] - places[None], axis=2), axis=1)[:, 1]
    assert (truth[near] == truth).mean() > 0.9
    draw_tsne(places, truth.astype(float).tolist(), "number", tmp_path / "classes.png", "")
    draw_tsne(places, rng.uniform(size=36).tolist(), "number", tmp_path / "scale.png", "")
    assert size_of(tmp_path / "classes.png") == size_of(tmp_path / "scale.png")


def test_numbers_that_are_missing_are_grey_on_the_scale(tmp_path: Path):
    places = np.random.default_rng(0).uniform(size=(40, 2))
    numbers = [float(k) for k in range(36)]
    draw_tsne(places[:36], numbers, "valence", tmp_path / "all.png", "")
    draw_tsne(places, [*numbers, None, float("nan"), None, None], "valence", tmp_path / "some.png", "")
    pictures = [np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("all.png", "some.png")]
    # The scale on the right is the same; a legend of classes would be in its place.
    np.testing.assert_array_equal(pictures[0][:, 860:], pictures[1][:, 860:])
    grey = [(p == round(0.8 * 255)).all(axis=2).sum() for p in pictures]
    assert grey[1] > grey[0] + 50
