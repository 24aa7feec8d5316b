"""`mien finetune --protocol`: folds, both columns, resume, pooling, and the tables made of them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mien.cli.main import run
from mien.corpora._record import CorpusRecord
from mien.data.manifest import Manifest
from mien.data.select import hold_out
from mien.data.shards import Shards, write_contract
from mien.encoders.tpsbt import TPSBTConfig
from mien.models import load_folder
from mien.protocols import classification
from mien.protocols.evaluation import Scoring
from mien.protocols.render import protocol_table
from mien.protocols.table import PROTOCOLS, Protocol
from mien.recipes import published
from mien.recipes.experiment import open_run
from mien.recipes.finetune import finetune
from mien.recipes.folds import Init, check, finetune_folds, score_once, selection
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, RegressRecipe
from mien.train.loop import TrainConfig
from mien.train.optim import rates
from mien.types import UserError
from tests.conftest import write_shards
from tests.protocols.shards import FAILED, write_grey

ENCODER = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2)
RECIPE = ClassifyRecipe(
    num_frames=8,
    stride=1,
    randaugment=False,
    mixup=0.0,
    cutmix=0.0,
    train=TrainConfig(batch_size=4, steps=2, workers=0),
)
START = Init(encoder=ENCODER, size=32, device="cpu")
TWO = Protocol("two", "two folds", "motion", ("label",), ("uar", "war"), (), folds=("fold_1", "fold_2"))


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
    finetune_folds(RECIPE, FinetuneData(folded), out, TWO, "all", START)
    return out


def test_both_columns_are_pooled_and_averaged(finished: Path):
    result = json.loads((finished / "protocol.json").read_text())
    for kind in ("paper", "strict"):
        column = result["columns"][kind]
        assert [f["fold"] for f in column["folds"]] == ["fold_1", "fold_2"]
        places = [finished / fold / f"{kind}-evaluation" / "predictions.parquet" for fold in ("fold_1", "fold_2")]
        parts = [classification.read_predictions(p, ("left", "right")) for p in places]
        right = sum(int((p.predicted == p.truth).sum()) for p in parts)
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
    assert load_folder(finished / "fold_1" / "strict").provenance.metrics.keys() == {"val_uar", "val_war"}
    assert load_folder(finished / "fold_1" / "paper").provenance.metrics == {}


def test_finished_folds_are_skipped_and_a_lost_one_is_made_again(finished: Path, folded: Path):
    files = {p: os.stat(p).st_mtime_ns for p in finished.rglob("*.safetensors")}
    scores = finished / "fold_2" / "paper-evaluation" / "evaluation.json"
    kept = {p: os.stat(p).st_mtime_ns for p in finished.rglob("evaluation.json") if p != scores}
    before = json.loads(scores.read_text())
    scores.unlink()
    finetune_folds(RECIPE, FinetuneData(folded), finished, TWO, "all", START)
    assert {p: os.stat(p).st_mtime_ns for p in files} == files
    assert {p: os.stat(p).st_mtime_ns for p in kept} == kept
    assert json.loads(scores.read_text())["war"] == before["war"]
    with pytest.raises(UserError, match="holds another run"):
        finetune_folds(replace(RECIPE, flip=0.0), FinetuneData(folded), finished, TWO, "1", START)


def test_one_run_for_both_columns_says_so(folded: Path, tmp_path: Path):
    path = finetune_folds(RECIPE, FinetuneData(folded), tmp_path / "run", TWO, "2", START, single_run=True)
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
    result = json.loads(finetune_folds(RECIPE, FinetuneData(root), tmp_path / "run", protocol, "1", START).read_text())
    assert not (tmp_path / "run" / "fold_1" / "paper").exists()
    assert result["columns"]["strict"]["selection"].startswith("best epoch on the official validation part")
    assert "held-out" not in result["columns"]["paper"]["selection"]


def test_a_number_chosen_on_test_says_so_wherever_it_is(
    folded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    protocol = replace(PROTOCOLS["dfew"], folds=("fold_1",), published_select="test", selection="best on the test list")
    out = tmp_path / "chosen"
    result = json.loads(finetune_folds(RECIPE, FinetuneData(folded), out, protocol, "1", START).read_text())
    assert result["columns"]["paper"]["chosen_on_test"]
    assert not result["columns"]["strict"]["chosen_on_test"]
    from mien.protocols.render import plain

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
    words = f"finetune classify-dfew --data {folded} --out {tmp_path / 'run'} --protocol dfew --fold 2 {sizes}"
    assert run(words.split()) == 0
    said = capsys.readouterr().out
    assert "paper protocol: " in said
    assert "strict protocol: " in said
    assert "not yet: fold_1, fold_3, fold_4, fold_5" in said
    assert "fold_2: 12 videos, 1 failed; audit: no clip, source or subject is in two parts" in said
    experiment = json.loads((tmp_path / "run" / "fold_2" / "strict" / "experiment.json").read_text())
    assert experiment["resolved"]["recipe"] == "classify-dfew"


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
    recipe = replace(RegressRecipe(num_frames=8, stride=1, range=(0.0, 1.0)), train=RECIPE.train)
    path = finetune_folds(recipe, FinetuneData(root), tmp_path / "run", protocol, "all", START)
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
    ("recipe", "data", "protocol", "words"),
    [
        (RECIPE, {"target": ("mood",)}, "dfew", "--protocol dfew sets --target"),
        (RECIPE, {"split": "fold_1"}, "dfew", "sets --split"),
        (RECIPE, {"select": "best"}, "dfew", "sets --select"),
        (RECIPE, {}, "werewolf-xl", "is a regression"),
        (RegressRecipe(), {}, "dfew", "is a classifier"),
        (published.frames(), {}, "dfew", "is of clips"),
        (replace(RECIPE, soft_labels=True), {}, "aff-wild2-expr", "--soft-labels .* are for --per clip"),
    ],
)
def test_what_does_not_fit_a_protocol_is_refused(recipe, data, protocol, words, tmp_path: Path):
    with pytest.raises(UserError, match=words):
        check(recipe, replace(FinetuneData(tmp_path), **data), PROTOCOLS[protocol])


def test_shards_of_another_corpus_are_refused(tmp_path: Path):
    CorpusRecord("mafw").write(tmp_path)
    with pytest.raises(UserError, match="holds mafw, the protocol is of dfew"):
        check(RECIPE, FinetuneData(tmp_path), PROTOCOLS["dfew"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("finetune classify --data SHARDS --out new --fold 1", "belong to --protocol"),
        ("finetune classify --data SHARDS --out new --protocol dfwe", "did you mean dfew?"),
        ("finetune classify --data SHARDS --out new --protocol dfew --fold 7", "has folds 1 to 5"),
        ("finetune classify --data SHARDS --out new --protocol dfew --fold all", "no column 'fold_3' in the manifest"),
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


CLIPS = [name for name in published.RECIPES if not name.startswith(("frames", "sequence"))]


@pytest.mark.parametrize("name", published.RECIPES)
def test_every_published_recipe_says_what_it_costs_and_gives(name: str, tmp_path: Path):
    recipe, said = published.RECIPES[name](), published.RECIPES[name].__doc__ or ""
    assert recipe.views == (2 if name in CLIPS else 1)
    if name not in ("classify", "regress", "sequence", "sequence-micro"):
        assert f"mien finetune {name} " in said
        assert "Cost:" in said or name.startswith("sequence")  # the paper does not say how long it trains
        assert "Expected" in said
        protocol = PROTOCOLS[said.split("--protocol ")[1].split()[0]]
        assert (protocol.kind == "categorical") == isinstance(recipe, ClassifyRecipe)
    open_run(tmp_path / "run", name, recipe, {})  # it can be written down


def test_a_run_of_an_older_mien_goes_on_where_its_new_fields_have_their_defaults(tmp_path: Path):
    recipe = published.RECIPES["classify"]()
    hashed = open_run(tmp_path / "run", "classify", recipe, {})
    path = tmp_path / "run" / "experiment.json"
    older = json.loads(path.read_text())
    del older["resolved"]["experiment"]["optim"]["momentum"]
    path.write_text(json.dumps(older))
    assert open_run(tmp_path / "run", "classify", recipe, {}) == hashed
    with pytest.raises(UserError, match=r"optim.momentum: 0.9 there, 0.5 now"):
        open_run(tmp_path / "run", "classify", replace(recipe, optim=replace(recipe.optim, momentum=0.5)), {})


def test_batches_and_strides_are_the_published_ones():
    made: dict[str, Any] = {name: published.RECIPES[name]() for name in CLIPS}
    batches = {n: r.train.batch_size for n, r in made.items() if r.train.batch_size != 96}
    assert batches == {
        "classify-dfew-svfap-released": 64, "classify-ferv39k-svfap-released": 64, "classify-mafw-svfap-released": 64,
        "classify-ferv39k-mae-dfer-released": 120,
    }  # fmt: skip
    strides = {n: r.stride for n, r in made.items() if r.stride != 4}
    assert strides == {n: 1 for n in made if "ferv39k" in n} | {"regress-werewolf-xl": 3}
    # learning rates 3.75e-4 at 96 clips, 4.6875e-4 at 120; 2.5e-4 at SVFAP's 64 (decisions: fine-tuning-batch)
    rates = {n: r.optim.lr * r.train.batch_size / 256 for n, r in made.items()}
    assert rates["classify-dfew"] == pytest.approx(3.75e-4)
    assert rates["classify-ferv39k-mae-dfer-released"] == pytest.approx(4.6875e-4)
    assert rates["classify-dfew-svfap-released"] == pytest.approx(2.5e-4)
    # steps per epoch of the published logs: 97 (DFEW fold 1), 259 (FERV39k)
    assert made["classify-dfew"].train.total_steps(9356) // 100 == 97
    assert made["classify-ferv39k-mae-dfer-released"].train.total_steps(31_088) // 100 == 259


@pytest.mark.parametrize("name", ["frames", "frames-released", "frames-resnet50-released"])
def test_settings_of_single_frames_are_the_published_ones(name: str):
    """SGD 0.005 at batch 128, cosine to 1e-5 after 100 of 8000 iterations from a tenth (decisions: single-frame-settings)."""
    recipe = published.RECIPES[name]()
    assert isinstance(recipe, ClassifyRecipe)
    train = recipe.train
    assert train.batch_size == 128
    assert (train.total_steps(60_000), train.warmup_steps(60_000)) == (8000, 100)
    first, peak, last = (rates(recipe.optim, step, 8000, 100, 0.5).lr for step in (0, 100, 8000))
    assert (first, peak, last) == pytest.approx((0.0005, 0.005, 1e-5))
    assert (recipe.optim.kind, recipe.optim.momentum, recipe.optim.weight_decay) == ("sgd", 0.9, 0.01)
    assert (recipe.size, recipe.test_resize, recipe.crop_area, recipe.crop_aspect) == (224, 256, (0.6, 1.0), (1.0, 1.0))
    assert recipe.frames is not None
    assert recipe.frames.redraw == (name == "frames")
    wanted = {"frames": ("srp", 3), "frames-released": ("tokens", -1), "frames-resnet50-released": ("srp", 2)}
    assert (recipe.pool, recipe.frozen_stages) == wanted[name]


def test_a_score_is_kept_only_for_the_same_settings(finished: Path, folded: Path, tmp_path: Path):
    model, shards, out = finished / "fold_1" / "paper", Shards(folded), tmp_path / "e"
    path = out / "evaluation.json"
    score_once(model, shards, out, Scoring(split_column="fold_1"), "cpu")
    first = path.stat().st_mtime_ns
    score_once(model, shards, out, Scoring(split_column="fold_1"), "cpu")
    assert path.stat().st_mtime_ns == first
    score_once(model, shards, out, Scoring(split="train", split_column="fold_1"), "cpu")
    assert json.loads(path.read_text())["split"] == "fold_1=train"
    (out / "evaluation.json.tmp").write_text("half of a")  # killed while writing
    score_once(model, shards, out, Scoring(split_column="fold_1"), "cpu")
    assert json.loads(path.read_text())["split"] == "fold_1=test"


def test_half_a_model_is_not_taken_for_a_finished_run(folded: Path, tmp_path: Path):
    data = FinetuneData(folded, ("label",), split="fold_1")
    arguments = (RECIPE, data, tmp_path / "run", None, ENCODER, 32, "cpu")
    whole = finetune(*arguments)
    found = load_folder(whole).hash
    (whole / "config.json").unlink()  # it is written last
    assert load_folder(finetune(*arguments)).hash == found


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
    recipe = replace(RegressRecipe(num_frames=8, stride=1, range=(0.0, 1.0)), train=RECIPE.train)
    with pytest.raises(UserError, match="fold_1=test has no arousal, so protocol werewolf-xl cannot score it"):
        finetune_folds(recipe, FinetuneData(root), tmp_path / "run", protocol, "all", START)
    assert not (tmp_path / "run").exists()
