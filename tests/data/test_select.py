from __future__ import annotations

import numpy as np
import pytest

from mien.contract import CropContract, Geometry, Store
from mien.data.contract import check_contract
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import (
    annotated_tracks,
    class_indices,
    class_names,
    hold_out,
    in_split,
    label_fraction,
    labelled,
    main_tracks,
    median_fps,
    origin_of,
    rates_differ,
)
from mien.errors import UserError
from mien.transforms.clip import ClipSpec


def row(clip_id: str, **values: object) -> dict:
    fixed = {"clip_id": clip_id, "source": clip_id.split("/")[0], "track": int(clip_id.split("/")[1]), "status": "ok"}
    return fixed | {"num_frames": 10, "face_px": 50.0, "fps": 25.0, "origin": "recorded", "split": "train", **values}


def manifest(*rows: dict) -> Manifest:
    return Manifest.from_rows(rows)


def test_of_each_video_the_track_seen_longest_and_largest():
    m = manifest(row("a/0/0", num_frames=30), row("a/1/0", face_px=200.0), row("a/1/1", num_frames=5), row("b/3/0"))
    assert main_tracks(m).column("clip_id") == ["a/1/0", "a/1/1", "b/3/0"]


def test_annotation_by_frame_goes_on_in_the_next_track():
    """A face that is lost and found again gets another number; a second person, or a small one in the background, has none."""

    def part(clip_id: str, start: float, end: float, **values: object) -> dict:
        return row(clip_id, start_s=start, end_s=end, num_frames=round(25 * (end - start)), **values)

    m = manifest(
        part("a/0/0", 0.0, 4.0), part("a/1/0", 1.0, 3.0), part("a/2/0", 9.0, 12.0), part("a/2/1", 12.0, 13.0),
        part("a/3/0", 5.0, 8.0), part("a/4/0", 4.2, 4.8, face_px=20.0), part("b/0/0", 0.0, 1.0),
        part("a/5/0", 8.0, 8.6),  # the same frame as the end of track 3
    )  # fmt: skip
    assert annotated_tracks(m).column("clip_id") == ["a/0/0", "a/3/0", "a/2/0", "a/2/1", "b/0/0"]


def test_classes_are_sorted_and_numbers_by_value():
    assert class_names(manifest(row("a/0/0", y="sad"), row("b/0/0", y="happy")), "y") == ("happy", "sad")
    assert class_names(manifest(row("a/0/0", y=10), row("b/0/0", y=9)), "y") == ("9", "10")
    m = manifest(row("a/0/0", y="sad"), row("b/0/0", y="happy"))
    assert class_indices(m, "y", ("happy", "sad")).tolist() == [1, 0]
    with pytest.raises(UserError, match=r"holds \['happy'\], the model knows"):
        class_indices(m, "y", ("sad",))
    with pytest.raises(UserError, match="at least two"):
        class_names(manifest(row("a/0/0", y="sad")), "y")


def test_missing_columns_and_splits_name_what_there_is():
    m = manifest(row("a/0/0", emotion="sad"))
    with pytest.raises(UserError, match="label columns here: emotion"):
        labelled(m, "label")
    with pytest.raises(UserError, match="there are: train"):
        in_split(m, "test")


def test_a_part_of_the_labels_keeps_every_class():
    m = manifest(*[row(f"{i}/0/0", y="ab"[i % 2]) for i in range(20)])
    part = label_fraction(m, "y", 0.2, seed=0)
    assert sorted(part.column("y")) == ["a", "a", "b", "b"]
    assert label_fraction(m, "y", 0.01, seed=0).column("y").count("a") == 1
    assert part.column("clip_id") == label_fraction(m, "y", 0.2, seed=0).column("clip_id")
    with pytest.raises(UserError, match="label-fraction"):
        label_fraction(m, "y", 0.0, seed=0)


def test_held_out_people_are_not_trained_on():
    m = manifest(*[row(f"{i}/0/0", subject=f"s{i % 5}") for i in range(20)])
    train, held = hold_out(m, 0.2, seed=3)
    assert len(train) + len(held) == 20
    assert len(set(held.column("subject"))) == 1
    assert not set(held.column("subject")) & set(train.column("subject"))


def test_rates_and_origin():
    m = manifest(row("a/0/0", fps=25.0), row("b/0/0", fps=25.5), row("c/0/0", fps=None, origin="drawn"))
    assert median_fps(m) == 25.25
    assert not rates_differ(m, 25.0)
    assert rates_differ(m, 30.0)
    assert origin_of([m]) == "mixed"
    assert origin_of([m.take([2])]) == "drawn"


def test_a_manifest_survives_the_disk_and_names_its_data(tmp_path):
    m = manifest(row("a/0/0", y=1.5, votes=3), row("b/0/0", y=None, text="x"))
    m.write(tmp_path)
    back = Manifest.read(tmp_path)
    assert back.rows() == m.rows()
    assert back.labels == ["text", "votes", "y"]
    assert back.hash == m.hash == m.take([1, 0]).hash
    assert back.hash != m.take([0]).hash
    with pytest.raises(UserError, match="mien prepare"):
        Manifest.read(tmp_path / "nowhere")


def test_another_geometry_is_refused_with_the_way_out():
    spec = LabelSpec(names=("a", "b"), clip=ClipSpec(size=96), contract=CropContract(store=Store(size=96)))
    assert check_contract(spec, CropContract()) is None  # a larger store serves
    other = CropContract(geometry=Geometry(crop="box", margin=0.2))
    with pytest.raises(UserError, match="--allow-contract-mismatch"):
        check_contract(spec, other)
    assert "crop 'face' against 'box'" in str(check_contract(spec, other, allow_mismatch=True))


@pytest.mark.parametrize(
    ("store", "words"),
    [(Store(size=64), "64 px"), (Store(color=False), "grey"), (Store(fps=2.0), "2 frames per second")],
)
def test_a_poorer_store_is_refused(store, words):
    spec = LabelSpec(names=("a", "b"), clip=ClipSpec(size=96))
    with pytest.raises(UserError, match=words):
        check_contract(spec, CropContract(store=store))


def test_labels_are_numbers_or_text(tmp_path):
    m = manifest(row("a/0/0", y=1), row("b/0/0", y="two"))
    assert m.column("y") == ["1", "two"]
    np.testing.assert_equal(m.column("fps"), [25.0, 25.0])
