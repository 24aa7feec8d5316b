"""Models of movements from stored faces to scores, by the commands' own functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import mien
from mien.data.shards import Shards
from mien.errors import UserError
from mien.tasks.movement_heads import ABSENT, Classes, Numbers, folds_of
from tests.movements.stored import FRAMES, Face, smiles, write_faces


def finetune(recipe: str = "classify", **options: Any) -> mien.Model:
    return mien.finetune(recipe, encoder="movements", device="cpu", **options)


def split(i: int) -> dict[str, Any]:
    return {"split": "train" if i < 24 else "test", "subject": f"p{i % 8 // 2}"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """24 clips to train on and 12 for the test, of four people; two of the latter hardly seen."""
    faces = smiles(34, split)
    rare = np.arange(FRAMES) < 4
    unseen = [Face(f.level, rare, f.columns | {"split": "test"}) for f in faces[:2]]
    return write_faces(tmp_path_factory.mktemp("faces") / "data", [*faces, *unseen])


def test_what_changes_within_a_clip_is_learned_by_moments(data: Path, tmp_path: Path):
    model = finetune(data=data, out=tmp_path / "run", features="auto", pooling="auto")
    assert model.config.pooling == "moments"
    assert model.spec is not None
    assert model.spec.names == ("down", "up")
    scores = mien.evaluate(model, data=data, device="cpu")
    assert scores.record["num_videos"] == 12
    assert scores.record["war"] == pytest.approx(10 / 12)  # those hardly seen count as errors
    assert {f["reason"] for f in scores.failed} == {"its face is seen on fewer than a third of its frames"}
    assert scores.interval("uar")[0] <= scores.uar <= scores.interval("uar")[1]


def test_a_loaded_model_says_the_same(data: Path, tmp_path: Path):
    out = tmp_path / "run"
    made = finetune(data=data, out=out, pooling="moments", velocities=True)
    again, shards = mien.load(out), Shards(data)
    rows = shards.manifest
    learner: Any = again.module
    found = learner.predict_rows(shards, rows)
    assert found.shape == (36, 2)
    np.testing.assert_allclose(found[:34].sum(1), 1, atol=1e-6)
    assert np.isnan(found[34:]).all()
    first: Any = made.module
    np.testing.assert_array_equal(found, first.predict_rows(shards, rows))
    assert "movements" in repr(again)
    assert "No pixels" in (out / "model" / "README.md").read_text()
    (line,) = (out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["folds_uar"] == 1.0
    before = (out / "model" / "model.safetensors").stat().st_mtime_ns
    finetune(data=data, out=out, pooling="moments", velocities=True)  # finished before
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="pooling: 'moments' there, 'summary' now"):
        finetune(data=data, out=out, velocities=True)


def test_settings_are_chosen_on_val_and_never_on_test(tmp_path: Path):
    faces = smiles(40, lambda i: {"split": "train" if i < 24 else "val" if i < 32 else "test"})
    swapped = [
        Face(f.level, None, f.columns | ({"label": "up"} if f.columns["split"] == "test" else {})) for f in faces
    ]
    a = finetune(data=write_faces(tmp_path / "a", faces), out=tmp_path / "ra", select="best", pooling="auto")
    b = finetune(data=write_faces(tmp_path / "b", swapped), out=tmp_path / "rb", select="best", pooling="auto")
    assert a.provenance.metrics["val_uar"] == 1.0
    assert a.provenance.metrics["clips"] == 24
    torch.testing.assert_close(a.module.weight, b.module.weight)


def test_numbers_are_learned_and_cut_to_their_range(tmp_path: Path):
    rng = np.random.default_rng(3)
    faces = []
    for i in range(60):
        level = rng.uniform(0.1, 0.9)
        columns = {"valence": float(level), "split": "train" if i < 40 else "test", "subject": f"p{i % 5}"}
        faces.append(Face(np.full(FRAMES, level), None, columns))
    data = write_faces(tmp_path / "data", faces)
    model = finetune("regress", data=data, out=tmp_path / "run", target="valence", features="mesh", axes=3)
    assert model.spec is not None
    assert model.spec.range == (0.0, 1.0)
    scores = mien.evaluate(model, data=data, device="cpu")
    assert scores.ccc > 0.95
    assert scores.interval("ccc")[0] <= scores.ccc


def test_a_persons_own_mean_is_taken_off_and_said(tmp_path: Path):
    """People differ far more than their clips do, and those of the test are none of the training."""
    rng = np.random.default_rng(0)
    rest = rng.uniform(-3, 3, 12)
    faces = []
    for i in range(96):
        person = i // 8
        up, columns = i % 2, {"subject": f"p{person}", "split": "train" if person < 6 else "test"}
        faces.append(Face(np.full(FRAMES, rest[person] + 0.3 * up), None, columns | {"label": "up" if up else "down"}))
    data = write_faces(tmp_path / "data", faces)
    plain = mien.evaluate(finetune(data=data, out=tmp_path / "plain"), data=data, device="cpu")
    own = mien.evaluate(finetune(data=data, out=tmp_path / "own", per_person=True), data=data, device="cpu")
    assert own.uar > 0.95 > plain.uar
    assert own["audit"].startswith("each of 6 people's own mean over their scored clips was taken off (--per-person")
    assert "--per-person" not in plain["audit"]
    assert (own["per_person"], plain["per_person"]) == (True, False)


def test_a_persons_mean_needs_several_clips(tmp_path: Path):
    data = write_faces(tmp_path / "data", smiles(8, lambda i: {"subject": f"p{i}"}))
    with pytest.raises(UserError, match="--per-person: nobody of these rows has several clips"):
        finetune(data=data, out=tmp_path / "run", per_person=True)


@pytest.mark.parametrize(
    ("recipe", "options", "says"),
    [
        ("classify", {"init": "movements"}, "--init movements: movements are no weights to start from"),
        ("classify", {"pooling": "moments"}, "--features, --pooling, --axes, --velocities and --per-person go with"),
        ("frames", {"encoder": "movements"}, "take the recipe classify or regress"),
        ("classify", {"encoder": "movements", "init": "x"}, "--encoder is for training without --init"),
    ],
)
def test_what_cannot_be_meant_is_one_line(data: Path, tmp_path: Path, recipe: str, options: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says) as caught:
        mien.finetune(recipe, data=data, out=tmp_path / "run", device="cpu", **options)
    assert "\n" not in str(caught.value)


def test_shards_without_movements_are_refused(tmp_path: Path):
    from tests.scoring.shards import write_grey

    root = write_grey(tmp_path / "grey", [0.1, 0.9], [{"split": "train", "label": v} for v in "ab"])
    with pytest.raises(UserError, match="holds no movements: prepare the videos into another folder with --movements"):
        finetune(data=root, out=tmp_path / "run")


def test_a_model_of_movements_sees_no_pixels(data: Path, tmp_path: Path):
    model = finetune(data=data, out=tmp_path / "run")
    with pytest.raises(UserError, match="reads movements, not pixels"):
        model(torch.zeros(1, 3, 16, 32, 32))
    with pytest.raises(UserError, match="it has no encoder to start from"):
        mien.finetune("classify", data=data, init=model, out=tmp_path / "again", device="cpu")
    with pytest.raises(UserError, match="reads movements, not pixels"):
        mien.embed(model, data=data, out=tmp_path / "embed", device="cpu")


def test_the_head_is_scikit_learns_on_standardised_features():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x, labels = rng.normal(3, 2, (90, 5)), np.repeat([0, 2, 3], 30)
    x[:, 0] += labels
    head = Classes(labels, 4).fit(x, np.arange(90), 10.0)
    scaled = StandardScaler().fit_transform(x)
    expected = LogisticRegression(C=0.1, tol=1e-6, max_iter=1000).fit(scaled, labels).predict_proba(scaled)
    found = torch.from_numpy(head(x)).softmax(1).numpy()
    np.testing.assert_allclose(found[:, [0, 2, 3]], expected, atol=1e-3)
    assert (head(x)[:, 1] == ABSENT).all()  # a class without a training clip is never predicted
    two = Classes(np.repeat([1, 0], 45), 2).fit(x, np.arange(90), 1.0)
    other = LogisticRegression(C=1.0, tol=1e-6).fit(scaled, np.repeat([1, 0], 45)).predict_proba(scaled)
    np.testing.assert_allclose(torch.from_numpy(two(x)).softmax(1).numpy(), other, atol=1e-3)


def test_values_that_are_not_annotated_take_no_part():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (60, 3))
    values = np.stack([x[:, 0], 2 * x[:, 1] + 1], axis=1).astype(np.float32)
    values[::3, 1] = np.nan
    head = Numbers(values).fit(x, np.arange(60), 0.1)
    np.testing.assert_allclose(head(x), np.stack([x[:, 0], 2 * x[:, 1] + 1], axis=1), atol=0.02)


def test_folds_divide_no_group():
    groups = [f"p{k % 7}" for k in range(40)]
    folds = folds_of(groups, 0)
    assert len(folds) == 5
    assert sorted(np.concatenate([h for _, h in folds]).tolist()) == list(range(40))
    for fitted, held in folds:
        assert not {groups[i] for i in fitted} & {groups[i] for i in held}
    assert folds_of(["p"] * 4, 0) == []


def people(count: int, per: int, **more: Any) -> list[Face]:
    """`count` people with `per` clips each."""
    return smiles(count * per, lambda i: {"subject": f"p{i // per}", "split": None, **more})


def test_each_person_is_scored_by_a_model_of_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    faces = [*people(6, 8), *smiles(4, lambda i: {"subject": "t", "split": "test"})]
    data, out = write_faces(tmp_path / "data", faces), tmp_path / "run"
    model = finetune(data=data, out=out, pooling="moments", folds="subject")
    found = json.loads((out / "folds" / "evaluation.json").read_text())
    assert "leave one of 6 people out" in capsys.readouterr().out
    assert found["uar"] > 0.95
    assert found["uar_95"][0] <= found["uar"]
    assert found["resampled"] == "subjects"
    assert [f["subject"] for f in found["folds"]] == [f"p{k}" for k in range(6)]
    assert {f["rows"] for f in found["folds"]} == {8}
    assert {f["solved"]["clips"] for f in found["folds"]} == {40}
    assert found["num_videos"] == 48  # none of the split test
    assert model.provenance.metrics["clips"] == 48
    stamp = (out / "folds" / "evaluation.json").stat().st_mtime_ns
    finetune(data=data, out=out, pooling="moments", folds="subject")
    assert (out / "folds" / "evaluation.json").stat().st_mtime_ns == stamp


def test_nothing_of_the_person_left_out_is_in_their_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """One person's labels are the other way round: theirs are predicted wrong, and only with them left out."""
    faces = people(5, 8)
    swapped = [
        Face(f.level, None, f.columns | {"label": {"up": "down", "down": "up"}[f.columns["label"]]}) for f in faces[:8]
    ]
    data = write_faces(tmp_path / "data", [*swapped, *faces[8:]])
    finetune(data=data, out=tmp_path / "run", pooling="moments", folds="subject", per_person=True)
    found = json.loads((tmp_path / "run" / "folds" / "evaluation.json").read_text())
    table = pq.read_table(tmp_path / "run" / "folds" / "predictions.parquet").to_pylist()
    right = {p: np.mean([r["label"] == r["predicted"] for r in table if r["subject"] == p]) for p in ("p0", "p1", "p4")}
    assert right["p0"] < 0.2
    assert min(right["p1"], right["p4"]) > 0.8
    assert found["audit"].startswith("each of 5 people's own mean")
    assert "own mean taken off" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("column", "options", "says"),
    [
        ({"subject": "one"}, {}, "all training clips show one person"),
        ({"subject": None}, {}, "8 of 8 training clips name no person"),
        ({"subject": "one"}, {"select": "best"}, "leave out --select"),
        ({"subject": "one"}, {"encoder": None}, "--folds subject is for --encoder movements"),
    ],
)
def test_folds_that_cannot_be(tmp_path: Path, column: dict[str, Any], options: dict[str, Any], says: str):
    data = write_faces(tmp_path / "data", smiles(8, lambda i: {"split": None, **column}))
    given = {"encoder": "movements", "folds": "subject", **options}
    with pytest.raises(UserError, match=says):
        mien.finetune("classify", data=data, out=tmp_path / "run", device="cpu", **given)
    assert not (tmp_path / "run").exists()


def test_numbers_by_person(tmp_path: Path):
    rng = np.random.default_rng(3)
    levels = rng.uniform(0.1, 0.9, 48)
    faces = [
        Face(np.full(FRAMES, v), None, {"valence": float(v), "split": None, "subject": f"p{i // 8}"})
        for i, v in enumerate(levels)
    ]
    data = write_faces(tmp_path / "data", faces)
    finetune("regress", data=data, out=tmp_path / "run", target="valence", features="mesh", axes=3, folds="subject")
    found = json.loads((tmp_path / "run" / "folds" / "evaluation.json").read_text())
    assert found["ccc"] > 0.95
    assert found["ccc_95"][0] <= found["ccc"]


def test_a_benchmark_runs_its_folds_and_chooses_nothing_on_test(tmp_path: Path):
    from mien.scoring.protocols import PROTOCOLS, Protocol
    from mien.verbs.benchmark import benchmark

    faces = smiles(48, lambda i: {"subject": f"p{i // 4}", "fold_1": "test" if i >= 32 else "train"})
    data = write_faces(tmp_path / "data", faces)
    two = Protocol(
        "two", "one fold", "motion", ("label",), ("uar", "war"), (), folds=("fold_1",), published_select="test",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROTOCOLS, "two", two)
        path = benchmark(
            "two", "classify", data=data, out=tmp_path / "out", encoder="movements", pooling="moments", device="cpu"
        )
    columns = json.loads(path.read_text())["columns"]
    assert columns["strict"]["pooled"]["uar"] > 0.9
    assert "val_uar" in mien.load(tmp_path / "out" / "fold_1" / "strict").provenance.metrics
    assert "val_uar" not in mien.load(tmp_path / "out" / "fold_1" / "paper").provenance.metrics
