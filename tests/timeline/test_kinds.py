"""Dimensions, traits and several kinds of models at once: `pytest tests/timeline/test_kinds.py`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.labels import PERSONALITY_NOTE, LabelSpec
from mien.errors import UserError
from mien.timeline import PredictConfig, predict_video
from mien.timeline.charts_dimensions import plane_axes
from mien.timeline.forward import at_centre
from mien.timeline.scores import Scored
from mien.timeline.smooth import smoothed
from mien.timeline.table import columns, model_columns
from mien.timeline.windows import Moment
from tests.timeline.helpers import classifier, every, face, loaded, regressor, write_video

TRAITS = ("openness", "neuroticism")


def rows_of(out: Path) -> list[dict[str, str]]:
    with open(out / "timeline.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def three_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 seconds at 20 fps seen by a classifier, a model of dimensions per frame and one of traits."""
    root = tmp_path_factory.mktemp("kinds")
    video = write_video(root / "v.mp4", every(0.05, 31))
    models = {
        "expr": loaded(classifier(seed=1)),
        "va": loaded(regressor(per="frame", seed=2)),
        "big5": loaded(regressor(TRAITS, "traits", bounds=(0.0, 1.0), seed=3)),
    }
    predict_video(video, models, root / "out", PredictConfig(crop="none", allow_personality=True))
    return root / "out"


def test_each_kind_has_its_columns(three_kinds: Path):
    rows = rows_of(three_kinds)
    expected = ["expr_p_open", "expr_p_closed", "expr_label", "expr_confidence", "expr_seen"]
    expected += ["va_arousal", "va_valence", "va_seen", "big5_openness", "big5_neuroticism", "big5_seen"]
    assert list(rows[0])[2 : 2 + len(expected)] == expected
    assert all(-1 <= float(r["va_valence"]) <= 1 and 0 <= float(r["big5_openness"]) <= 1 for r in rows)
    assert len({r["va_valence"] for r in rows}) == len(rows) == 7


def test_the_record_has_means_and_extremes(three_kinds: Path):
    record, rows = json.loads((three_kinds / "predictions.json").read_text()), rows_of(three_kinds)
    found = {float(r["time_s"]): float(r["va_valence"]) for r in rows}
    scores = record["tracks"][0]["models"]["va"]
    highest, lowest = max(found, key=lambda t: found[t]), min(found, key=lambda t: found[t])
    assert scores["mean"]["valence"] == pytest.approx(np.mean(list(found.values())), abs=1e-5)
    assert scores["highest"]["valence"][0] == {"time_s": highest, "value": pytest.approx(found[highest], abs=1e-5)}
    assert scores["lowest"]["valence"][0] == {"time_s": lowest, "value": pytest.approx(found[lowest], abs=1e-5)}
    assert "peaks" in record["tracks"][0]["models"]["expr"]
    meanings = {c["name"]: c for c in record["columns"]}
    assert meanings["va_arousal"]["range"] == [-1, 1]
    assert "middle of a window" in meanings["va_arousal"]["meaning"]
    assert meanings["big5_openness"]["range"] == [0, 1]
    assert any(PERSONALITY_NOTE in w for w in record["warnings"])


def test_the_page_draws_each_kind(three_kinds: Path):
    page = (three_kinds / "report.html").read_text()
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    charts = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert [c["kind"] for c in charts] == ["classes", "lines", "plane"]
    assert all(f'id="{c["id"]}"' in own for c in charts)
    lines, plane = charts[1:]
    assert lines["group"] == plane["group"] != charts[0]["group"]
    shown = [float(r["va_valence"]) for r in rows_of(three_kinds)]
    np.testing.assert_allclose([x for x in plane["x"] if x is not None][1:-1], shown, atol=1e-4)
    assert lines["y"][1] == plane["x"]
    assert own.lower().count(PERSONALITY_NOTE) == 3  # banner, under the bars, limits
    assert own.count('class="fill"') == len(TRAITS)
    assert "apparent expression, affect and personality" in own


@pytest.mark.parametrize("per", ["clip", "frame"])
def test_one_model_needs_no_prefix_and_no_classes(tmp_path: Path, per):
    video = write_video(tmp_path / "v.mp4", every(0.05, 11))
    model = loaded(regressor(("liking",), per=per, bounds=None))
    predict_video(video, {"m": model}, tmp_path / "o", PredictConfig(crop="none"))
    assert list(rows_of(tmp_path / "o")[0])[:5] == ["time_s", "track", "liking", "seen", "x0"]
    assert '"kind": "plane"' not in (tmp_path / "o" / "report.html").read_text()


def test_the_middle_of_a_clip():
    values = torch.arange(8.0).reshape(1, 8, 1)
    assert at_centre(values).tolist() == [[3.5]]
    assert at_centre(values[:, :7]).tolist() == [[3.0]]
    assert at_centre(values[:, :1]).tolist() == [[0.0]]


def test_names_of_columns_never_stand_twice():
    score = LabelSpec(("score",), "dimensional")
    assert model_columns({"m": score})["m"].values == ("m_score",)
    with pytest.raises(UserError, match="'a_b_x'"):
        columns({"a": LabelSpec(("b_x",), "dimensional"), "a_b": LabelSpec(("x",), "dimensional")}, 0.25)


def test_valence_and_arousal_are_found_by_name():
    assert plane_axes(("Arousal", "liking", "Valence")) == (2, 0)
    assert plane_axes(("arousal", "dominance")) is None


def scored(values: list[tuple[float, int, float, float]]) -> list[Scored]:
    """(time, track, value, start of the stretch)."""
    return [Scored(Moment(t, k, face(t, k), (), (), s), {"m": np.array([v])}) for t, k, v, s in values]


def test_smoothing_averages_a_stretch_and_stops_at_gaps():
    # track 1 has one row between those of track 0, which is gone from 0.75 to 1.3 s
    first = [(0.0, 0, 1, 0), (0.25, 0, 2, 0), (0.25, 1, 50, 0), (0.5, 0, 6, 0), (0.75, 0, 7, 0)]
    rows = scored([*first, (1.3, 0, 9, 1.3), (1.55, 0, 1, 1.3)])
    narrow = list(smoothed(iter(rows), 0.5))
    assert [r.place for r in narrow] == [r.place for r in rows]
    assert [float(r.values["m"][0]) for r in narrow] == [1.5, 3, 50, 5, 6.5, 5, 5]
    assert [float(r.values["m"][0]) for r in smoothed(iter(rows), 4.0)] == [4, 4, 50, 4, 4, 5, 5]
