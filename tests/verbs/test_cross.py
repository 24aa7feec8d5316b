"""`mien cross`: runs, scores, the matrix, and what is refused before anything is trained."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mien.contract import Geometry
from mien.corpora.record import CorpusRecord
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.shards import Shards, read_contract, write_contract
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.recipes import recipe
from mien.recipes.supervised import AUGMENT, classify, regress
from mien.scoring.cross import part_of
from mien.scoring.label_map import Tables, between, read_label_map, read_tables
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.transforms.clip import UNSEEN
from mien.transforms.mix import Mix
from mien.verbs.cross import cross
from mien.verbs.main import run
from tests.conftest import write_shards

ENCODER = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2)
RECIPE = replace(
    classify().learning(
        spec=LabelSpec(clip=replace(UNSEEN, num_frames=8, stride=1, size=32)), encoder=ENCODER,
        augment=replace(AUGMENT, randaugment=False), mix=Mix(0.0, 0.0),
    ),
    train=TrainConfig(batch_size=4, steps=2, workers=0),
)  # fmt: skip
OTHER_NAMES = {"left": "l", "right": "r"}
TABLES: Tables = {
    "ours": {"left": "to the left", "right": "to the right"},
    "crema-d": {"l": "to the left", "r": "to the right", "u": "up"},
}


def write_map(path: Path, tables: Tables) -> Path:
    path.write_text(json.dumps(tables))
    return path


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("cross") / "ours", num_clips=12, num_frames=10)


@pytest.fixture(scope="module")
def theirs(ours: Path) -> Path:
    """The same clips under other names, as of CREMA-D: fold 1 is trained on one half of the people; one clip is "u"."""
    root = ours.parent / "theirs"
    root.mkdir()
    os.symlink(ours / "shards", root / "shards")
    rows = Manifest.read(ours).rows()
    for i, row in enumerate(rows):
        fold = "test" if row["subject"] in ("s2", "s3") else "train"
        row |= {"label": "u" if i == 11 else OTHER_NAMES[row["label"]], "split": None, "fold_1": fold, "fold_2": "test"}
    Manifest.from_rows(rows).write(root)
    write_contract(root, read_contract(ours))
    CorpusRecord("crema-d", classes=("l", "r", "u")).write(root)
    return root


def test_grey_encoders_and_grey_crops(ours: Path, tmp_path: Path):
    grey = tmp_path / "grey"
    grey.mkdir()
    os.symlink(ours / "shards", grey / "shards")
    Manifest.read(ours).write(grey)
    contract = read_contract(ours)
    write_contract(grey, replace(contract, store=replace(contract.store, color=False)))
    fitting = RECIPE.learning(encoder=replace(ENCODER, channels=1))
    assert cross(fitting, [grey], [grey], tmp_path / "out", device="cpu").is_file()
    with pytest.raises(UserError, match="crops are grey"):
        cross(RECIPE, [grey], [grey], tmp_path / "colour", device="cpu")
    assert not (tmp_path / "colour").exists()


def test_a_matrix_of_two_corpora(ours: Path, theirs: Path, tmp_path: Path):
    out, table = tmp_path / "matrix", write_map(tmp_path / "map.json", TABLES)
    path = cross(RECIPE, [ours, theirs], [ours, theirs], out, label_map=table, device="cpu")
    lines = path.read_text().splitlines()
    assert lines[2] == "| trained on | ours | crema-d |"
    assert [line.split("|")[1].strip() for line in lines[4:6]] == ["ours", "crema-d"]
    assert "| - |" not in path.read_text()
    assert len((out / "matrix.csv").read_text().splitlines()) == 3
    result = json.loads((out / "ours" / "on-crema-d" / "evaluation.json").read_text())
    assert (result["num_videos"], result["left_out"]) == (5, {"u": 1})
    assert result["names"] == ["to the left", "to the right"]
    assert result["split"] == "fold_1=test"
    info = json.loads((out / "crema-d" / "experiment.json").read_text())["resolved"]["data"]
    assert (info["split"], info["clips"]) == ("fold_1", 6)
    within = json.loads((out / "crema-d" / "on-crema-d" / "evaluation.json").read_text())
    assert (within["num_videos"], within["names"]) == (6, ["l", "r", "u"])  # of its own classes

    made = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.suffix in (".safetensors", ".json")}
    (out / "ours" / "on-crema-d" / "evaluation.json").unlink()
    cross(RECIPE, [ours, theirs], [ours, theirs], out, label_map=table, device="cpu")
    again = {p: p.stat().st_mtime_ns for p in made}
    assert {p for p in made if made[p] != again[p]} == {out / "ours" / "on-crema-d" / "evaluation.json"}
    renamed: Tables = {s: {k: v and v.replace("to the ", "") for k, v in t.items()} for s, t in TABLES.items()}
    cross(RECIPE, [ours], [theirs], out, label_map=write_map(table, renamed), device="cpu")
    result = json.loads((out / "ours" / "on-crema-d" / "evaluation.json").read_text())
    assert result["names"] == ["left", "right"]  # another map, another score


def test_a_pair_has_the_classes_that_both_have(tmp_path: Path):
    table = between(TABLES, "ours", "crema-d")
    assert table.data == {"l": "to the left", "r": "to the right", "u": None}
    assert table.model == TABLES["ours"]
    file = tmp_path / "map.csv"
    lines = [f"{side},{name},{c}" for side, names in TABLES.items() for name, c in names.items()]
    file.write_text("\n".join(["side,name,class", *lines]) + "\n")
    assert read_tables(file) == TABLES
    with pytest.raises(UserError, match="has ours, crema-d: give the tables data and model"):
        read_label_map(file)
    with pytest.raises(UserError, match="no table of dfew"):
        between(TABLES, "dfew", "ours")


def test_a_protocol_is_found_by_its_targets_in_whatever_order(theirs: Path, tmp_path: Path):
    root = tmp_path / "wild"
    shutil.copytree(theirs, root, symlinks=True)
    CorpusRecord("aff-wild2").write(root)
    spec = recipe("sequence").task.spec
    assert spec.target == ("arousal", "valence")
    assert part_of(Shards(root), spec, "split").target == ("valence", "arousal")
    assert part_of(Shards(root), LabelSpec(per="frame"), "split").target == ("expression",)
    with pytest.raises(UserError, match="none of this recipe's kind; one is needed"):
        part_of(Shards(root), replace(spec, target=("dominance",)), "split")


def test_what_cannot_be_scored_is_said_before_anything_is_trained(ours: Path, theirs: Path, tmp_path: Path):
    def refused(
        words: str, experiment: Experiment = RECIPE, sources=(ours,), targets=(theirs,), tables: Tables | None = None, fold="1"
    ):  # fmt: skip
        table = tables and write_map(tmp_path / "map.json", tables)
        with pytest.raises(UserError, match=words):
            cross(experiment, sources, targets, tmp_path / "run", label_map=table, fold=fold, device="cpu")
        assert not (tmp_path / "run").exists()

    refused("crema-d has the classes l, r, u, ours left, right: say with --label-map")
    refused("no table of crema-d", tables={"ours": TABLES["ours"]})
    refused("says nothing of data u", tables={**TABLES, "crema-d": {"l": "to the left", "r": "to the right"}})
    refused("fewer than two classes", tables={**TABLES, "crema-d": {"l": "a", "r": "b", "u": "c"}})
    refused("each corpus once", sources=(ours, ours))
    refused("folds 1 to 5", fold="7", tables=TABLES)
    refused("protocols of .* none of this recipe's kind", experiment=regress())
    rows = Manifest.read(ours).rows()
    unseen = tmp_path / "unseen"
    unseen.mkdir()
    renamed = {("test", "left"): "up"}
    rows = [r | {"label": renamed.get((r["split"], r["label"]), r["label"])} for r in rows]
    Manifest.from_rows(rows).write(unseen)
    write_contract(unseen, read_contract(ours))
    refused("unseen: split=test has up, which no clip of split=train has", sources=(unseen,), targets=(unseen,))
    other = tmp_path / "boxes"
    other.mkdir()
    os.symlink(ours / "shards", other / "shards")
    Manifest.read(ours).write(other)
    write_contract(other, replace(read_contract(ours), geometry=Geometry(crop="box", margin=0.3)))
    refused("crop geometry differs", targets=(other,))
    path = cross(RECIPE, [ours], [other], tmp_path / "run", allow_contract_mismatch=True, device="cpu")
    assert "boxes" in path.read_text()
    twin = tmp_path / "elsewhere" / "boxes"
    shutil.copytree(other, twin, symlinks=True)
    with pytest.raises(UserError, match="would both be called boxes: rename"):
        cross(RECIPE, [other], [twin], tmp_path / "twins", device="cpu")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("cross classify --train-on OURS", "--test-on is missing"),
        ("cross classify --test-on OURS", "--train-on is missing"),
        ("cross classify --train-on OURS --test-on OURS --data OURS", "there is no option --data"),
        ("cross classify --train-on OURS --test-on OURS --single-run", "there is no option --single-run"),
        ("finetune classify --data OURS --label-map map.json", "there is no option --label-map"),
        ("finetune classify --data OURS --allow-contract-mismatch", "there is no option --allow-contract-mismatch"),
        ("finetune classify --target label", "--data is missing"),
        ("cross classify --train-on OURS --test-on OURS --label-map nowhere.json", "nowhere.json: no such file"),
    ],
)
def test_bad_options_are_one_line(words: str, says: str, ours: Path, capsys: pytest.CaptureFixture[str]):
    assert run([*words.replace("OURS", str(ours)).split(), "--out", "new"]) == 2
    errors = capsys.readouterr().err.strip()
    assert says in errors
    assert "\n" not in errors


def test_the_command(ours: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_map(tmp_path / "map.json", TABLES)
    words = f"cross classify --train-on {ours} --test-on {ours} {theirs} --label-map {tmp_path}/map.json"
    words += f" --out {tmp_path}/x --steps 1 --batch-size 2 --workers 0 --num-frames 8 --size 32 --device cpu"
    assert run(words.split()) == 0
    assert "| trained on | ours | crema-d |" in capsys.readouterr().out
