from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from mien.config import class_table, digest, from_json, to_json
from mien.contract import CropContract, Geometry, Store
from mien.data.labels import LabelSpec
from mien.recipes import recipe
from mien.rng import generator, mix
from mien.tasks.classify import ClassifyConfig


@dataclass(frozen=True)
class Stranger:
    path: str = "somewhere"


CONFIGS = (recipe("svfap-base"), ClassifyConfig(spec=LabelSpec(names=("a", "b"))), CropContract())


@pytest.mark.parametrize("config", CONFIGS)
def test_json_round_trip(config):
    assert from_json(to_json(config), class_table(type(config))) == config


def test_a_class_outside_the_table_is_refused():
    with pytest.raises(ValueError, match="'Stranger' is not one of ours"):
        from_json(to_json(Stranger()), class_table(CropContract))


def test_an_unknown_field_is_refused_with_a_suggestion():
    data = {**to_json(Store()), "qualty": 3}
    with pytest.raises(ValueError, match="did you mean 'quality'"):
        from_json(data, class_table(Store))


def test_the_digest_names_the_values():
    assert digest(Store()) == digest(Store(size=160))
    assert digest(Store()) != digest(Store(size=96))


def test_only_geometry_is_hashed():
    one = CropContract(store=Store(size=160))
    assert one.geometry.hash == replace(one, store=Store(size=96, color=False)).geometry.hash
    assert one.geometry.hash != Geometry(margin=0.1).hash


def test_randomness_is_a_function_of_its_keys():
    assert mix("a", 1, 2) == mix("a", 1, 2) != mix("a", 2, 1)
    assert mix("a", 1) != mix("b", 1)
    assert generator("x", 3).integers(1 << 60) == generator("x", 3).integers(1 << 60)
