"""`mien benchmark`: folds, both columns, resume, pooling, and the tables made of them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mien.corpora.record import CorpusRecord
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import hold_out
from mien.data.shards import Shards, write_contract
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.models import Model, load
from mien.recipes import recipe
from mien.recipes.supervised import AUGMENT, classify, regress
from mien.scoring.folds import score_once, selection
from mien.scoring.options import Scoring
from mien.scoring.protocols import PROTOCOLS, Protocol
from mien.scoring.render import protocol_table
from mien.scoring.table import KINDS
from mien.train.loop import TrainConfig
from mien.transforms.clip import ClipSpec
from mien.transforms.mix import Mix
from mien.verbs.benchmark import benchmark
from mien.verbs.finetune import finetune
from mien.verbs.main import run
from tests.conftest import write_shards
from tests.scoring.shards import FAILED, write_grey

ENCODER = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2)
CLIP = ClipSpec(8, 1, size=32)
TRAIN = TrainConfig(batch_size=4, steps=2, workers=0, evaluations=20)
RECIPE = replace(
    classify().learning(
        spec=LabelSpec(clip=CLIP), encoder=ENCODER, augment=replace(AUGMENT, randaugment=False), mix=Mix(0.0, 0.0)
    ),
    train=TRAIN,
)
NUMBERS = replace(
    regress().learning(spec=LabelSpec(kind="dimensional", range=(0.0, 1.0), clip=CLIP), encoder=ENCODER), train=TRAIN
)
TWO = Protocol("two", "two folds", "motion", ("label",), ("uar", "war"), (), folds=("fold_1", "fold_2"))


def folds_of(protocol: Protocol, *args: Any, **options: Any) -> Path:
    """What `benchmark` does for a protocol that is not in the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROTOCOLS, protocol.name, protocol)
        return benchmark(protocol.name, *args, device="cpu", **options)


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips of 8 people; each fold tests four of them; one test clip of fold 2 has no face."""
    root = tmp_path_factory.mktemp("folded") / "shards"
    rows = Manifest.read(write_shards(root, num_clips=24, num_frames=12)).rows()
    for row in rows:
        person = int(row["subject"][1:])
        row |= {f"fold_{k}": "test" if person // 4 == k - 1 else "train" for k in (1, 2)}
    rows[-1] |= {
        "clip_id": rows[-1]["source"],
        "status": "no_face",
        "reason": "no face",
        "shard": "",
        "row": -1,
        "num_frames": 0,
    }
    Manifest.from_rows(rows).write(root)
    return root


@pytest.fixture(scope="module")
def finished(folded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ours"
    folds_of(TWO, RECIPE, folded, out)
    return out


def test_both_columns_are_pooled_and_averaged(finished: Path):
    result = json.loads((finished / "protocol.json").read_text())
    for kind in ("paper", "strict"):
        column = result["columns"][kind]
        assert [f["fold"] for f in column["folds"]] == ["fold_1", "fold_2"]
        places = [finished / fold / f"{kind}-evaluation" / "predictions.parquet" for fold in ("fold_1", "fold_2")]
        parts = [KINDS["categorical"].read(p, ("left", "right")) for p in places]
        right = sum(int((p.likeliest == p.truth).sum()) for p in parts)
        assert column["pooled"]["war"] == pytest.approx(right / 24)
        assert (column["pooled"]["num_videos"], column["pooled"]["num_failed"]) == (24, 1)
        mean = np.mean([json.loads(p.with_name("evaluation.json").read_text())["uar"] for p in places])
        assert column["mean_of_folds"]["uar"]["mean"] == pytest.approx(mean)
        assert not column["chosen_on_test"]
    assert "held-out training subjects" in result["columns"]["strict"]["selection"]
    assert "last epoch" in result["columns"]["paper"]["selection"]


def test_strict_never_saw_who_it_was_chosen_on_nor_the_test(finished: Path, folded: Path):
    paper, strict = (json.loads((finished / "fold_1" / k / "experiment.json").read_text())["resolved"]["data"] for k in
                     ("paper", "strict"))  # fmt: skip
    train = Shards(folded).manifest.where(lambda r: r["fold_1"] == "train").ok()
    kept, held = hold_out(train, 0.15, 0)
    assert (paper["clips"], strict["clips"]) == (len(train), len(kept))
    assert not set(kept.column("subject")) & set(held.column("subject"))
    assert load(finished / "fold_1" / "strict").provenance.metrics.keys() == {"val_uar", "val_war"}
    assert load(finished / "fold_1" / "paper").provenance.metrics == {}


def test_finished_folds_are_skipped_and_a_lost_one_is_made_again(finished: Path, folded: Path):
    files = {p: os.stat(p).st_mtime_ns for p in finished.rglob("*.safetensors")}
    scores = finished / "fold_2" / "paper-evaluation" / "evaluation.json"
    kept = {p: os.stat(p).st_mtime_ns for p in finished.rglob("evaluation.json") if p != scores}
    before = json.loads(scores.read_text())
    scores.unlink()
    folds_of(TWO, RECIPE, folded, finished)
    assert {p: os.stat(p).st_mtime_ns for p in files} == files
    assert {p: os.stat(p).st_mtime_ns for p in kept} == kept
    assert json.loads(scores.read_text())["war"] == before["war"]
    with pytest.raises(UserError, match="holds another run"):
        folds_of(TWO, RECIPE, folded, finished, fold="1", flip=0.0)


def test_one_run_for_both_columns_says_so(folded: Path, tmp_path: Path):
    path = folds_of(TWO, RECIPE, folded, tmp_path / "run", fold="2", single_run=True)
    result = json.loads(path.read_text())
    assert not (tmp_path / "run" / "fold_2" / "paper").exists()
    assert (tmp_path / "run" / "fold_2" / "strict" / "last" / "model.safetensors").is_file()
    assert "without the held-out subjects" in result["columns"]["paper"]["selection"]
    assert result["columns"]["paper"]["missing_folds"] == ["fold_1"]


def test_an_official_validation_part_needs_one_run(folded: Path, tmp_path: Path):
    root = tmp_path / "s"
    root.mkdir()
    os.symlink(folded / "shards", root / "shards")
    people = {"s0": "val", "s1": "test"}
    Manifest.from_rows([r | {"split": people.get(r["subject"], "train")} for r in Manifest.read(folded).rows()]).write(
        root
    )
    write_contract(root, Shards(folded).contract)
    protocol = replace(TWO, folds=("split",))
    result = json.loads(folds_of(protocol, RECIPE, root, tmp_path / "run", fold="1").read_text())
    assert not (tmp_path / "run" / "fold_1" / "paper").exists()
    assert result["columns"]["strict"]["selection"].startswith("best epoch on the official validation part")
    assert "held-out" not in result["columns"]["paper"]["selection"]


def test_a_number_chosen_on_test_says_so_wherever_it_is(
    folded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    protocol = replace(PROTOCOLS["dfew"], folds=("fold_1",), published_select="test", selection="best on the test list")
    out = tmp_path / "chosen"
    result = json.loads(folds_of(protocol, RECIPE, folded, out, fold="1").read_text())
    assert result["columns"]["paper"]["chosen_on_test"]
    assert not result["columns"]["strict"]["chosen_on_test"]
    from mien.scoring.render import plain

    assert "paper protocol (CHOSEN ON TEST DATA)" in plain(out)
    assert run(["table", "dfew", str(out)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| chosen (ours)")]
    assert len(rows) == 2
    assert "CHOSEN ON TEST DATA" in rows[0]
    assert "CHOSEN ON TEST DATA" not in rows[1]


def test_our_rows_stand_in_the_papers_table(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    content = json.loads((finished / "protocol.json").read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "protocol.json").write_text(json.dumps(content | {"protocol": "dfew"}))
    words = ["table", "dfew", str(tmp_path / "mine"), "--out", str(tmp_path / "out")]
    assert run(words) == 0
    text = capsys.readouterr().out
    assert "| SVFAP-B | video | 62.83 | 74.27 | SVFAP Table 8 |" in text
    pooled = content["columns"]["strict"]["pooled"]
    assert f"| mine (ours) | video | {100 * pooled['uar']:.2f} (folds " in text
    assert "1 could not be predicted" in text
    assert (tmp_path / "out" / "table.csv").read_text().splitlines()[0] == "method,modality,UAR,WAR,source"
    latex = (tmp_path / "out" / "table.tex").read_text()
    assert r"\toprule" in latex
    assert r"$\pm$" in latex
    assert latex.count(r"\midrule") == 2


def test_the_matrix_over_corpora(folded: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """One model, scored on its own corpus and on another with other class names."""
    other = tmp_path / "sea"
    other.mkdir()
    os.symlink(folded / "shards", other / "shards")
    names = {"left": "port", "right": "starboard"}
    rows = [r | {"label": names[r["label"]]} for r in Manifest.read(folded).rows()]
    Manifest.from_rows(rows).write(other)
    write_contract(other, Shards(folded).contract)
    CorpusRecord("sea").write(other)
    table = {"data": {v: k for k, v in names.items()}, "model": {k: k for k in names}}
    (tmp_path / "map.json").write_text(json.dumps(table))
    model, at_home, abroad = finished / "fold_1" / "paper", str(tmp_path / "home"), str(tmp_path / "abroad")
    common = ["--split-column", "fold_1", "--device", "cpu"]
    assert run(["evaluate", str(model), "--data", str(folded), "--out", at_home, *common]) == 0
    assert run(["evaluate", str(model), "--data", str(other), "--out", abroad, *common]) == 2  # other class names
    words = ["--data", str(other), "--out", abroad, "--label-map", str(tmp_path / "map.json"), *common]
    assert run(["evaluate", str(model), *words]) == 0
    capsys.readouterr()
    assert run(["table", "cross", at_home, abroad]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| trained on | shards | sea |"
    first, second = lines[4].split(" | ")[1:3]
    assert first == second.removesuffix(" |")  # the same clips under other names


def test_the_command_runs_a_fold(folded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sizes = "--size 32 --steps 1 --batch-size 4 --workers 0 --device cpu --single-run"
    words = f"benchmark dfew --data {folded} --out {tmp_path / 'run'} --fold 2 {sizes}"
    assert run(words.split()) == 0
    said = capsys.readouterr().out
    assert "paper protocol: " in said
    assert "strict protocol: " in said
    assert "not yet: fold_1, fold_3, fold_4, fold_5" in said
    assert "fold_2: 12 videos, 1 failed; audit: no clip, source or subject is in two parts" in said
    experiment = json.loads((tmp_path / "run" / "fold_2" / "strict" / "experiment.json").read_text())
    assert experiment["resolved"]["recipe"] == PROTOCOLS["dfew"].recipe == "classify"


def test_a_regression_is_pooled_over_its_folds(tmp_path: Path):
    """Three targets, sessions apart; one clip without a face counts with the middle of the range."""
    levels = np.linspace(0.1, 0.9, 12).tolist()
    columns = [
        {"arousal": v, "valence": 1 - v, "dominance": 0.5 * v, "subject": f"s{i // 2}", "fold_1": part, "fold_2": other}
        for i, v in enumerate(levels)
        for part, other in [("test", "train") if i < 6 else ("train", "test")]
    ]
    root = write_grey(tmp_path / "s", levels, [*columns[:-1], columns[-1] | FAILED])
    protocol = replace(PROTOCOLS["werewolf-xl"], folds=("fold_1", "fold_2"))
    path = folds_of(protocol, NUMBERS, root, tmp_path / "run")
    column = json.loads(path.read_text())["columns"]["paper"]
    assert (column["pooled"]["num_videos"], column["pooled"]["num_failed"]) == (12, 1)
    tables = [
        pq.read_table(tmp_path / "run" / f / "paper-evaluation" / "predictions.parquet") for f in ("fold_1", "fold_2")
    ]
    truth, predicted = (
        np.concatenate([t.column(f"{k}_arousal").to_numpy() for t in tables]) for k in ("true", "predicted")
    )
    error = np.abs(np.nan_to_num(predicted, nan=0.5) - truth)
    assert column["pooled"]["per_target"]["arousal"]["mae"] == pytest.approx(error.mean(), abs=1e-6)
    assert set(column["mean_of_folds"]) >= {"ccc", "ccc:dominance", "pcc:valence"}
    table = protocol_table(protocol, [tmp_path / "run"])
    assert table.rows[-2][0] == "run (ours)"
    Manifest.from_rows([r | {"subject": None} for r in Manifest.read(root).rows()]).write(root)
    assert "held-out training clips, for nobody is named, (15 %" in selection(
        path.parent, protocol, Shards(root), "strict"
    )
    assert len(table.rows[-1]) == len(table.header)


@pytest.mark.parametrize(
    ("recipe", "options", "protocol", "words"),
    [
        (RECIPE, {"target": ("mood",)}, "dfew", "protocol dfew sets --target"),
        (RECIPE, {"split_column": "fold_1"}, "dfew", "there is no keyword split_column"),
        (RECIPE, {"select": "best"}, "dfew", "there is no keyword select"),
        (RECIPE, {}, "werewolf-xl", "is a regression"),
        (regress(), {}, "dfew", "is a classifier"),
        (recipe("sequence"), {}, "werewolf-xl", "is of clips"),
        (recipe("frames"), {}, "dfew", "is of clips"),
        (RECIPE.learning(soft_labels=True), {}, "aff-wild2-expr", "--soft-labels .* are for --per clip"),
    ],
)
def test_what_does_not_fit_a_protocol_is_refused(recipe, options, protocol, words, folded: Path, tmp_path: Path):
    with pytest.raises(UserError, match=words):
        benchmark(protocol, recipe, folded, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_shards_of_another_corpus_are_refused(folded: Path, tmp_path: Path):
    root = tmp_path / "mafw"
    shutil.copytree(folded, root)
    CorpusRecord("mafw").write(root)
    with pytest.raises(UserError, match="holds mafw, the protocol is of dfew"):
        benchmark("dfew", RECIPE, root, tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("finetune classify --data SHARDS --out new --fold 1", "there is no option --fold"),
        ("benchmark dfwe --data SHARDS --out new", "did you mean dfew?"),
        ("benchmark dfwe classify --data SHARDS --out new", "did you mean dfew?"),
        ("benchmark dfew --data SHARDS --out new --fold 7", "has folds 1 to 5"),
        ("benchmark dfew --data SHARDS --out new --fold all", "no column 'fold_3' in the manifest"),
        ("benchmark dfew --data SHARDS --out new --select best", "there is no option --select"),
        ("table dfwe", "did you mean dfew?"),
        ("table dfew nowhere", "nowhere holds no protocol.json"),
        ("table cross", "received no results"),
        ("table cross RUN", "the matrix is of evaluations"),
        ("table mafw RUN", "is a result of two, not of mafw"),
        ("table dfew --metric uar", "--metric belongs to cross"),
        ("evaluate RUN/fold_1/paper --data SHARDS --protocol dfew --split val", "--protocol sets --split"),
        (
            "evaluate RUN/fold_1/paper --data SHARDS --protocol sewa",
            "protocol sewa is dimensional, the model categorical",
        ),
        ("evaluate RUN/fold_1/paper --data SHARDS --protocol dfew --fold all", "a model is of one fold"),
        ("evaluate RUN/fold_1/paper --data SHARDS --label-map nowhere.json", "nowhere.json: no such file"),
    ],
)
def test_bad_input_is_one_line(words: str, says: str, folded: Path, finished: Path, capsys: pytest.CaptureFixture[str]):
    argv = [w.replace("SHARDS", str(folded)).replace("RUN", str(finished)) for w in words.split()]
    assert run(argv) == 2
    errors = capsys.readouterr().err.strip()
    assert says in errors
    assert "\n" not in errors


def test_a_score_is_kept_only_for_the_same_settings(finished: Path, folded: Path, tmp_path: Path):
    model, shards, out = load(finished / "fold_1" / "paper"), Shards(folded), tmp_path / "e"
    path = out / "evaluation.json"
    score_once(model, shards, out, Scoring(split_column="fold_1"))
    first = path.stat().st_mtime_ns
    score_once(model, shards, out, Scoring(split_column="fold_1"))
    assert path.stat().st_mtime_ns == first
    score_once(model, shards, out, Scoring(split="train", split_column="fold_1"))
    assert json.loads(path.read_text())["split"] == "fold_1=train"
    (out / "evaluation.json.tmp").write_text("half of a")  # killed while writing
    score_once(model, shards, out, Scoring(split_column="fold_1"))
    assert json.loads(path.read_text())["split"] == "fold_1=test"


def test_half_a_model_is_not_taken_for_a_finished_run(folded: Path, tmp_path: Path):
    def trained() -> Model:
        return finetune(RECIPE, folded, tmp_path / "run", split_column="fold_1", device="cpu")

    whole = trained()
    (whole.path / "config.json").unlink()  # it is written last
    assert trained().hash == whole.hash


def test_a_test_part_without_numbers_is_found_before_training(tmp_path: Path):
    """Some challenges keep the annotation of their test part."""
    columns = [
        {
            "arousal": None if part == "test" else 0.5,
            "valence": 0.1 * i,
            "dominance": 0.2,
            "subject": f"s{i}",
            "fold_1": part,
        }
        for i, part in enumerate(["train"] * 6 + ["test"] * 3)
    ]
    root = write_grey(tmp_path / "s", [0.1 * i for i in range(9)], columns)
    protocol = replace(PROTOCOLS["werewolf-xl"], folds=("fold_1",))
    with pytest.raises(UserError, match="fold_1=test has no arousal, so protocol werewolf-xl cannot score it"):
        folds_of(protocol, NUMBERS, root, tmp_path / "run")
    assert not (tmp_path / "run").exists()
