"""Scoring on shards whose answers are known by brightness."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.corpora.annotation import write_annotation
from mien.corpora.corpus import FrameTargets
from mien.corpora.record import CorpusRecord
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.errors import UserError
from mien.models import Model
from mien.scoring import evaluation
from mien.scoring.classes import averaged_over, last_before
from mien.scoring.inference import Inference
from mien.scoring.kind import Scored
from mien.scoring.label_map import LabelMap, read_label_map
from mien.scoring.options import Scoring
from mien.scoring.scores import Scores
from mien.scoring.table import KINDS
from mien.verbs.evaluate import show
from tests.scoring.crosscheck import check_evaluation
from tests.scoring.shards import CLIP, FAILED, folder_of, spec_of, write_grey

CLASSES = ("dark", "middle", "light")
LEVELS = [0.15, 0.5, 0.85, 0.15, 0.5, 0.85]
LABELS = ["dark", "middle", "light", "dark", "middle", "dark"]  # the last one is wrong


def evaluate(folder: Model, shards: Shards, out: Path, *rest: Any, **options: Any) -> Scores:
    """Scores, whose metrics are checked against those of independent libraries."""
    scores = evaluation.evaluate(folder, shards, out, *rest, **options)
    assert folder.spec is not None
    check_evaluation(scores, out, folder.spec)
    return scores


def labelled(extra: dict[int, dict] | None = None) -> list[dict]:
    return [{"label": name} | (extra or {}).get(i, {}) for i, name in enumerate(LABELS)]


def test_a_classifier_with_all_its_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shards = Shards(write_grey(tmp_path / "s", LEVELS, labelled()))
    result = evaluate(folder_of(spec_of(CLASSES), tmp_path), shards, tmp_path / "out")
    assert result["war"] == pytest.approx(5 / 6)
    assert result["uar"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert result["f1"] == pytest.approx({"dark": 0.8, "middle": 1.0, "light": 2 / 3})
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["weighted_f1"] == pytest.approx(
        (3 * 0.8 + 2 * 1 + 2 / 3) / 6
    )
    kind = KINDS["categorical"]
    again = kind.read(tmp_path / "out" / "predictions.parquet", CLASSES)
    assert kind.score(again, spec_of(CLASSES))["uar"] == result["uar"]
    assert check_evaluation(result, tmp_path / "out", spec_of(CLASSES)) >= {"macro_f1", "weighted_f1"}
    show(result, ("war",))
    said = capsys.readouterr().out
    assert said.index("war") < said.index("uar")
    assert "audit: no clip, source or subject is in two parts" in said


def test_all_is_every_labelled_clip(tmp_path: Path):
    shards = Shards(write_grey(tmp_path / "s", LEVELS, labelled({0: {"split": "train"}, 1: {"split": None}})))
    folder = folder_of(spec_of(CLASSES), tmp_path)
    assert evaluate(folder, shards, tmp_path / "test")["num_videos"] == 4
    assert evaluate(folder, shards, tmp_path / "all", Scoring("all"))["num_videos"] == 6


def test_failed_clips_never_leave_the_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shards = Shards(write_grey(tmp_path / "s", LEVELS, labelled({1: FAILED})))
    result = evaluate(folder_of(spec_of(CLASSES), tmp_path), shards, tmp_path / "out")
    assert (result["num_videos"], result["num_failed"]) == (6, 1)
    assert result["war"] == pytest.approx(4 / 6)
    assert result["recall"]["middle"] == pytest.approx(1 / 2)
    assert result["failed"] == [{"item": "c1.mp4", "reason": "no face in 20 frames"}]
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        rows = {r["item"]: r for r in csv.DictReader(file)}
    assert rows["c1.mp4"]["predicted"] == ""
    show(result)
    assert "1 could not be predicted, counted as errors: c1.mp4" in capsys.readouterr().out


def break_frames(root: Path, clip: int) -> None:
    """Cuts the JPEG files of one clip short."""
    path = root / "shards" / "a.arrow"
    with pa.ipc.open_file(path) as reader:
        batches = [reader.get_batch(k) for k in range(reader.num_record_batches)]
        schema = reader.schema
    column = schema.get_field_index("frames")
    broken = pa.array([[b"\xff\xd8 nothing"] * len(batches[clip].column(column)[0])], schema.field(column).type)
    batches[clip] = batches[clip].set_column(column, "frames", broken)
    with pa.ipc.new_file(path, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def test_a_clip_that_cannot_be_decoded_is_wrong_and_named(tmp_path: Path):
    root = write_grey(tmp_path / "s", LEVELS, labelled())
    break_frames(root, 2)
    result = evaluate(folder_of(spec_of(CLASSES), tmp_path), Shards(root), tmp_path / "out")
    assert result["war"] == pytest.approx(4 / 6)
    assert result["failed"] == [{"item": "c2.mp4", "reason": "its frames cannot be decoded"}]


def test_a_regressor_per_clip(tmp_path: Path):
    levels = [0.1, 0.3, 0.5, 0.7, 0.9]
    columns = [{"arousal": v, "subject": f"s{i}"} for i, v in enumerate(levels)]
    shards = Shards(write_grey(tmp_path / "s", levels, columns))
    spec = spec_of(("arousal",), kind="dimensional", range=(0.0, 1.0), target=("arousal",))
    result = evaluate(folder_of(spec, tmp_path), shards, tmp_path / "out")
    assert result["ccc"] > 0.99
    assert result["mae"] < 0.03
    assert result["resampled"] == "subjects"
    kind = KINDS["dimensional"]
    again = kind.read(tmp_path / "out" / "predictions.parquet", ("arousal",))
    assert kind.score(again, spec)["ccc"] == result["ccc"]
    assert check_evaluation(result, tmp_path / "out", spec) == {"ccc", "pcc", "mae", "one_minus_mae", "rmse"}
    assert (tmp_path / "out" / "scatter.png").is_file()


@pytest.mark.parametrize(("period_s", "windows"), [(0.04, 5), (0.08, 3), (0.02, 10)])
def test_a_regressor_per_frame_sees_the_rate_that_it_was_trained_at(tmp_path: Path, period_s: float, windows: int):
    """20 frames at 25 fps: 10 at half that rate, 39 at twice; four in a window."""
    shards = Shards(write_grey(tmp_path / "s", [0.5, 0.9], [{}, {}], per_frame=True))
    spec = spec_of(
        ("arousal",),
        kind="dimensional",
        per="frame",
        range=(0.0, 1.0),
        clip=replace(CLIP, num_frames=4, frame_period_s=period_s),
    )
    folder, seen = folder_of(spec, tmp_path), []
    whole = folder.module.predict
    folder.module.predict = lambda clip: seen.append(len(clip)) or whole(clip)  # pyright: ignore
    result = evaluate(folder, shards, tmp_path / "out")
    assert sum(seen) == 2 * windows
    assert result["num_values"] == 40
    assert result["ccc"] > 0.98


def test_a_missing_prediction_is_the_middle_of_the_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    levels = [0.1, 0.3, 0.5, 0.7, 0.9]
    columns = [{"arousal": v} | (FAILED if i == 4 else {}) for i, v in enumerate(levels)]
    shards = Shards(write_grey(tmp_path / "s", levels, columns))
    spec = spec_of(("arousal",), kind="dimensional", range=(0.0, 1.0), target=("arousal",))
    result = evaluate(folder_of(spec, tmp_path), shards, tmp_path / "out")
    found = KINDS["dimensional"].read(tmp_path / "out" / "predictions.parquet", ("arousal",))
    assert np.isnan(found.outputs[-1])
    assert result["num_failed"] == 1
    errors = [abs(p.item() - t.item()) for p, t in zip(found.outputs, found.truth, strict=True)][:4]
    assert result["mae"] == pytest.approx((sum(errors) + 0.4) / 5, abs=1e-6)
    assert result["failed"] == [{"item": "c4.mp4", "reason": "no face in 20 frames"}]
    show(result, ("ccc:arousal",))
    said = capsys.readouterr().out
    assert said.index("ccc") < said.index("mae")
    assert "counted with the middle of the range: c4.mp4" in said


def test_a_regressor_per_frame(tmp_path: Path):
    shards = Shards(write_grey(tmp_path / "s", [0.4, 0.9], [{}, {}], per_frame=True))
    spec = spec_of(("arousal",), kind="dimensional", per="frame", range=(0.0, 1.0), target=("arousal",))
    result = evaluate(folder_of(spec, tmp_path), shards, tmp_path / "out")
    assert (result["num_videos"], result["num_values"]) == (2, 40)
    assert result["ccc"] > 0.98
    assert not (tmp_path / "out" / "predictions.csv").exists()
    assert pq.read_table(tmp_path / "out" / "predictions.parquet").num_rows == 40


def test_a_classifier_per_frame(tmp_path: Path):
    """The column holds class indices (here brightness rounded to 0 or 1); half of the rising clip is dark."""
    root = write_grey(tmp_path / "s", [0.99, 0.99], [{}, {}], per_frame=True)
    shards = Shards(root)
    spec = spec_of(("dark", "light"), per="frame", target=("arousal",))
    scored = Scored(folder_of(spec, tmp_path).module, spec, shards, shards.manifest, shards.manifest.take([]))
    found = KINDS["categorical"].predict(scored, Scoring(), Inference(4))
    assert len(found.items) == 40
    assert found.likeliest.sum() == pytest.approx(20, abs=2)
    CorpusRecord("swapped", classes=("light", "dark")).write(root)
    swapped = KINDS["categorical"].predict(scored, Scoring(), Inference(4))
    np.testing.assert_array_equal(swapped.truth, 1 - found.truth)


def test_clips_are_averaged_to_their_video(tmp_path: Path):
    """Videos a (dark, light; labelled dark) and b (middle, middle, failed): ties go to the first class."""
    levels, labels = [0.15, 0.85, 0.5, 0.5, 0.5], ["dark", "dark", "middle", "middle", "middle"]
    videos = ["a", "a", "b", "b", "b"]
    columns = [
        {"label": name, "video": video} | (FAILED if i == 4 else {})
        for i, (name, video) in enumerate(zip(labels, videos, strict=True))
    ]
    shards = Shards(write_grey(tmp_path / "s", levels, columns))
    folder = folder_of(spec_of(CLASSES), tmp_path)
    result = evaluate(folder, shards, tmp_path / "out", Scoring(group_by="video"))
    assert (result["num_videos"], result["war"], result["num_failed"]) == (2, 1.0, 0)
    assert [f["item"] for f in result["failed"]] == ["c4.mp4"]
    with pytest.raises(UserError, match="no such column"):
        evaluate(folder, shards, tmp_path / "other", Scoring(group_by="session"))
    rows = [r | ({"video": "a"} if r["video"] == "b" else {}) for r in shards.manifest.rows()]
    Manifest.from_rows(rows).write(shards.root)
    with pytest.raises(UserError, match="different labels"):
        evaluate(folder, Shards(shards.root), tmp_path / "other", Scoring(group_by="video"))


TABLE = {
    "data": {"night": "dark", "noon": "light", "dusk": None},
    "model": {"dark": "dark", "middle": None, "light": "light"},
}


def test_another_corpus_is_scored_through_an_explicit_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = ["night", "dusk", "noon", "night", "noon", "noon"]
    shards = Shards(write_grey(tmp_path / "s", LEVELS, [{"label": n} for n in names]))
    path = tmp_path / "map.json"
    path.write_text(json.dumps(TABLE))
    folder = folder_of(spec_of(CLASSES), tmp_path)
    result = evaluate(folder, shards, tmp_path / "out", label_map=read_label_map(path))
    # the clip at 0.5 is neither: the model's second choices are equal, and the first class is taken
    assert result["names"] == ["dark", "light"]
    assert (result["num_videos"], result["left_out"]) == (5, {"dusk": 1})
    assert result["war"] == pytest.approx(4 / 5)
    show(result)
    assert "left out by the label map: 1 clips of dusk" in capsys.readouterr().out
    path.with_suffix(".csv").write_text(
        "side,name,class\n" + "".join(f"{s},{n},{c or ''}\n" for s, t in TABLE.items() for n, c in t.items())
    )
    assert read_label_map(path.with_suffix(".csv")) == read_label_map(path)


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        ({"a": "x"}, {"m": "x", "n": "y"}, "says nothing of data b"),
        ({"a": "x", "b": "y"}, {"m": "x"}, "says nothing of model n"),
        ({"a": "x", "b": "z"}, {"m": "x", "n": "y"}, "no class of the model becomes z"),
        ({"a": "x", "b": None}, {"m": "x", "n": "x"}, "fewer than two"),
        ({"a": "x", "b": "y"}, {"m": "x", "n": "y", "o": "x"}, "names o; the model's classes are m, n"),
    ],
)
def test_tables_that_leave_something_open_are_refused(data, model, words):
    with pytest.raises(UserError, match=words):
        LabelMap(data, model).check({"a", "b"}, ("m", "n"))


@pytest.mark.parametrize("text", ["nothing", "[]", '{"data": {}}', '{"data": {"a": 3}, "model": {}}'])
def test_files_that_are_no_table_are_one_line(text: str, tmp_path: Path):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(UserError, match="--label-map"):
        read_label_map(tmp_path / "m.json")


MAPS = sorted((Path(__file__).parents[2] / "docs" / "label_maps").glob("*.json"))


@pytest.mark.parametrize("path", MAPS, ids=lambda p: p.stem)
def test_the_tables_of_the_docs_speak_of_every_class(path: Path):
    modules = {"dfew": "dfew", "mafw": "mafw", "crema-d": "crema_d", "ravdess": "ravdess"}
    trained, tested = (import_module(f"mien.corpora.{modules[n]}").CLASSES for n in path.stem.split("-to-"))
    table = read_label_map(path)
    table.check(set(tested), trained)
    assert set(table.classes) == {c for c in table.data.values() if c}
    assert len(table.classes) >= 6


def test_scoring_on_what_was_trained_on_is_said(tmp_path: Path):
    columns = [{"label": n, "split": "train", "fold_2": "test"} for n in LABELS]
    shards = Shards(write_grey(tmp_path / "s", LEVELS, columns))
    folder = folder_of(spec_of(CLASSES), tmp_path)
    folder = replace(folder, provenance=replace(folder.provenance, data=(shards.hash,)))
    result = evaluate(folder, shards, tmp_path / "out", Scoring(split_column="fold_2"))
    assert result["audit"].startswith("6 of 6 scored clips are of the part it was trained on (split=train); ")


def test_a_target_without_annotation_is_one_line(tmp_path: Path):
    columns = [{"arousal": 0.5, "valence": v} for v in (0.1, None, None)]
    shards = Shards(write_grey(tmp_path / "s", [0.1, 0.5, 0.9], columns))
    spec = spec_of(("arousal", "valence"), kind="dimensional", range=(0.0, 1.0), target=("arousal", "valence"))
    with pytest.raises(UserError, match="valence: fewer than two annotated values"):
        evaluate(folder_of(spec, tmp_path), shards, tmp_path / "out")


def write_annotated(root: Path) -> Shards:
    """A dark-to-light video without a face in frames 0, 1 and 10 to 12 of 25, and one without any face; Other is light."""
    write_grey(root, [0.99, 0.5], [{}, FAILED], per_frame=True)
    seen = np.setdiff1d(np.arange(25), [0, 1, 10, 11, 12])
    times_s, classes = np.arange(25) / 25, np.where(np.arange(25) == 4, np.nan, np.arange(25) >= 14)
    path = root / "shards" / "a.arrow"
    with pa.ipc.open_file(path) as reader:
        batches, schema = [reader.get_batch(k) for k in range(reader.num_record_batches)], reader.schema
    for name, values in (("times_s", times_s), ("arousal", classes)):
        column = schema.get_field_index(name)
        typed = pa.array([values[seen].tolist()], schema.field(column).type)
        batches[0] = batches[0].set_column(column, schema.field(column), typed)
    with pa.ipc.new_file(path, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    targets = {"c0.mp4": FrameTargets(times_s, {"arousal": classes})}
    targets["c1.mp4"] = FrameTargets(times_s[:5], {"arousal": np.array([0, 0, 1, np.nan, 1.0])})
    write_annotation(root, targets)
    return Shards(root)


def test_frames_without_a_face_are_filled_as_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Before the first face Other, else the prediction before; the rising clip turns light at stored frame 10, of time 13."""
    shards = write_annotated(tmp_path / "s")
    folder = folder_of(spec_of(("dark", "Other"), per="frame", target=("arousal",)), tmp_path)
    result = evaluate(folder, shards, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    rows = {(r["item"], round(25 * r["time_s"])): r for r in table}
    assert {k for k, r in rows.items() if r["filled"]} == (
        {("c0.mp4", k) for k in (0, 1, 10, 11, 12)} | {("c1.mp4", k) for k in (0, 1, 2, 4)}
    )
    assert [rows["c0.mp4", k]["predicted"] for k in (0, 1, 2)] == ["Other", "Other", "dark"]
    assert all(rows["c0.mp4", k]["p_dark"] == rows["c0.mp4", 9]["p_dark"] for k in (10, 11, 12))
    assert all(rows["c1.mp4", k]["predicted"] == "Other" for k in (0, 1, 2, 4))
    assert ("c0.mp4", 4) not in rows
    assert (result["num_videos"], result["num_filled"], result["num_failed"]) == (28, 9, 0)
    show(result)
    assert "9 annotated frames have no face and got the prediction before them" in capsys.readouterr().out
    bare = evaluate(folder, shards, tmp_path / "bare", Scoring(fill=False))
    assert (bare["num_videos"], bare["num_filled"]) == (19, 0)
    mute = evaluate(
        folder_of(spec_of(("dark", "light"), per="frame", target=("arousal",)), tmp_path), shards, tmp_path / "m"
    )
    assert mute["num_failed"] == 6  # a model without Other is wrong before the first face


def test_probabilities_are_averaged_over_time_by_hand():
    times_s, values = np.array([0.0, 0.1, 0.2, 0.3, 1.0]), np.array([[1.0], [2.0], [np.nan], [6.0], [9.0]])
    found = averaged_over(times_s, values, 0.4)
    np.testing.assert_allclose(found[:, 0], [1.5, 3.0, np.nan, 4.0, 9.0])
    np.testing.assert_array_equal(averaged_over(times_s, values, 0.0), values)


def test_the_last_frame_before():
    index, far = last_before(np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.21, 0.29, 0.4, 0.5, 0.6]))
    assert index.tolist() == [-1, 0, 1, 1, 2, 2]
    assert far.tolist() == [True, False, False, True, False, True]
    assert last_before(np.zeros(0), np.array([0.0]))[0].tolist() == [-1]


def test_smoothing_is_of_classes_of_frames(tmp_path: Path):
    shards = Shards(write_grey(tmp_path / "s", LEVELS, labelled()))
    with pytest.raises(UserError, match="--smooth-s is for classes of frames"):
        evaluate(folder_of(spec_of(CLASSES), tmp_path), shards, tmp_path / "out", Scoring(smooth_s=1.0))
