"""The whole path, prepare -> benchmark -> evaluate, on generated trees of the corpora that are no clips with one class each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mien.corpora.record import read_record
from mien.data.frames import FrameSampling
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.losses.composite import CompositeLoss
from mien.models import load
from mien.options import from_keywords
from mien.recipes.sequence import sequence
from mien.recipes.supervised import classify, frames, regress
from mien.scoring.protocols import PROTOCOLS
from mien.train.experiment import Experiment
from mien.verbs.benchmark import benchmark
from mien.verbs.main import run
from tests.corpora.dimensional import (
    prepared,
    video,
    write_aff_wild2,
    write_avcaffe,
    write_first_impressions,
    write_recola,
    write_sewa,
    write_werewolf,
)

SHORT = {"batch_size": 4, "steps": 2, "workers": 0}
TPSBT, LIPS = TPSBTConfig(dim=16, num_heads=2, depths=(1, 1, 1), bottlenecks=2), LipReadingConfig(width=4)


def small(experiment: Experiment, encoder: EncoderConfig, size: int = 32, **values: Any) -> Experiment:
    """Short runs of a small encoder, with other values of the recipe's options."""
    return from_keywords(experiment.learning(encoder=encoder), (), {"size": size, **SHORT, **values})


CLIPS = {"num_frames": 8, "stride": 1, "randaugment": False}
CLASSIFY, REGRESS = small(classify(), TPSBT, **CLIPS), small(regress(), TPSBT, **CLIPS)
FRAMES = small(frames().learning(frames=FrameSampling(one_in=2)), ResNetConfig(width=8), 96, test_resize=108)
SEQUENCE = small(
    sequence().learning(loss=CompositeLoss(ccc=(0.5,), ncce=(0.5,))), LIPS, num_frames=8, gru_hidden=8, num_bins=5,
    delay_s=0.08,
)  # fmt: skip
PEOPLE = ("P45", "P46", "P28", "P16")
TRACKS = ("video1_left", "video1_right", "video2")


@dataclass(frozen=True)
class Case:
    """A corpus on its protocol, and what its evaluation must hold."""

    corpus: str
    protocol: str
    write: Callable[[Path], Path]
    experiment: Experiment = REGRESS
    allow_personality: bool = False
    options: tuple[str, ...] = ()
    num_videos: int = 1
    num_filled: int = 0
    """Annotated frames without a face, which the strict column counts."""
    names: tuple[str, ...] = ("arousal", "valence")


EXPRESSIONS = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
CASES = {
    "werewolf-xl": Case(
        "werewolf-xl", "werewolf-xl", num_videos=2, names=("arousal", "valence", "dominance"),
        write=lambda root: write_werewolf(root, names=("01_02_003", "02_01_001", "07_01_200", "30_09_001")),
    ),
    "avcaffe": Case(
        "avcaffe", "avcaffe-arousal", experiment=CLASSIFY, num_videos=2,
        names=("Excited", "Wide-awake", "Neutral", "Dull", "Calm"),
        write=lambda root: write_avcaffe(root, crops=True, people=("aiim001", "aiim003", "aiim004")),
    ),
    "first-impressions": Case(
        "first-impressions", "first-impressions", write_first_impressions, allow_personality=True,
        num_videos=2, names=("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"),
    ),
    "sewa": Case("sewa", "sewa", lambda root: write_sewa(root, labelled_test=True)),
    "recola": Case("recola", "recola", lambda root: write_recola(root, PEOPLE)),
    "sewa, sequences": Case("sewa", "sewa", lambda root: write_sewa(root, labelled_test=True), SEQUENCE),
    "recola, sequences": Case("recola", "recola", lambda root: write_recola(root, PEOPLE), SEQUENCE),
    "aff-wild2-va": Case(
        "aff-wild2", "aff-wild2-va", lambda root: write_aff_wild2(root, train=TRACKS), options=("task=va",),
        names=("valence", "arousal"),
    ),
    "aff-wild2-expr of clips": Case(
        "aff-wild2", "aff-wild2-expr", lambda root: write_aff_wild2(root, train=TRACKS),
        CLASSIFY.learning(class_weights=True), num_videos=8, num_filled=3, names=EXPRESSIONS,
    ),
    "aff-wild2-expr of frames": Case(
        "aff-wild2", "aff-wild2-expr", lambda root: write_aff_wild2(root, train=TRACKS), FRAMES,
        num_videos=8, num_filled=3, names=EXPRESSIONS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_from_official_files_to_a_scored_model(name: str, tmp_path: Path):
    case = CASES[name]
    root = case.write(tmp_path / "in")
    prepared(case.corpus, root, tmp_path / "shards", *case.options)
    allowed = {"allow_personality": case.allow_personality}
    path = benchmark(
        case.protocol, case.experiment, tmp_path / "shards", tmp_path / "run", fold="1", device="cpu", **allowed
    )
    columns = json.loads(path.read_text())["columns"]
    for kind, column in columns.items():
        filled = case.num_filled if kind == "strict" else 0
        assert column["pooled"]["num_videos"] == case.num_videos + filled
        assert column["pooled"].get("num_filled", 0) == filled
        assert tuple(column["pooled"]["names"]) == case.names
    record = read_record(tmp_path / "shards")
    assert record is not None
    model = tmp_path / "run/fold_1/strict"
    assert load(model).config.spec.per == PROTOCOLS[case.protocol].per
    words = ["evaluate", str(model), "--data", str(tmp_path / "shards"), "--protocol", case.protocol, "--device", "cpu"]
    assert run([*words, "--out", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again/evaluation.json").read_text())
    for metric in PROTOCOLS[case.protocol].metrics:
        part, _, target = metric.partition(":")
        one, other = (r["per_target"][target] if target else r for r in (again, columns["strict"]["pooled"]))
        assert one[part] == pytest.approx(other[part])


def test_apparent_personality_is_trained_for_those_who_ask_for_it(tmp_path: Path):
    case = CASES["first-impressions"]
    prepared(case.corpus, case.write(tmp_path / "in"), tmp_path / "shards")
    with pytest.raises(UserError, match="--target openness, .* To go on, add --allow-personality"):
        benchmark(case.protocol, case.experiment, tmp_path / "shards", tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_the_timeline_of_a_model_of_single_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Aff-Wild2 by the commands: prepare, benchmark, evaluate with smoothing, predict on raw video, the table."""
    write_aff_wild2(tmp_path / "in", train=TRACKS)
    clip, shards, out = video(tmp_path / "film.mp4"), tmp_path / "shards", tmp_path / "run"
    tiny = "--size 96 --test-resize 108 --steps 2 --batch-size 4 --workers 0 --device cpu --encoder byol-micro"
    commands = [
        f"prepare --corpus aff-wild2 {tmp_path}/in --out {shards} --size 108 --workers 0",
        f"benchmark aff-wild2-expr frames --data {shards} --out {out} {tiny} --frozen-stages 1",
        f"evaluate {out}/fold_1/strict --data {shards} --protocol aff-wild2-expr --smooth-s 0.1 --device cpu",
        f"predict {clip} --model {out}/fold_1/strict --out {tmp_path}/film --step-s 0.1 --device cpu",
        f"table aff-wild2-expr {out}",
    ]
    for command in commands:
        assert run(command.split()) == 0, command
    said = capsys.readouterr().out
    assert "3 annotated frames without a face got the prediction before them" in said
    rows = list(csv.DictReader((tmp_path / "film/timeline.csv").read_text().splitlines()))
    assert [float(r["time_s"]) for r in rows] == pytest.approx([0.1 * k for k in range(len(rows))])
    assert len(rows) >= 6
    for row in rows:
        shares = {name: float(row[f"p_{name}"]) for name in EXPRESSIONS}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert row["label"] == max(shares, key=lambda name: shares[name])
    assert (tmp_path / "film/report.html").stat().st_size > 10_000
    smoothed = json.loads((out / "fold_1/strict/model/evaluation/evaluation.json").read_text())
    assert smoothed["smooth_s"] == 0.1
