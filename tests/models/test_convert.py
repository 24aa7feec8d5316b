"""Published checkpoints to model folders and back: `pytest tests/models/test_convert.py`."""

from __future__ import annotations

import json
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mien.contract import Geometry
from mien.data.labels import LabelSpec
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.methods.masked import MaskedConfig
from mien.models import load
from mien.models.convert import config_and_weights, convert_official, official_state
from mien.models.convert_file import read_state
from mien.models.convert_options import CONVOLUTIONAL, LABELS, PUBLISHED
from mien.models.folder import Model, Provenance, save_model
from mien.models.options import ConvertOptions, Labels, Name
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.verbs.main import run
from tests.models import official_keys as official

TINY = "mae-dfer-tiny"  # the smallest of them


def stand_in(shapes: official.Shapes) -> dict[str, Tensor]:
    """A state dict that takes no memory: every tensor is one number, its own."""
    return {k: torch.tensor(float(i)).expand(shape) for i, (k, shape) in enumerate(shapes.items())}


def options(name: Any = TINY, **others: Any) -> ConvertOptions:
    return ConvertOptions(name, **others)


def config_of(state: dict[str, Tensor], given: ConvertOptions) -> Any:
    return config_and_weights(state, Path("theirs.pth"), given)[0]


# ---------------------------------------------------------------- every model, both kinds


def test_the_command_line_names_what_there_is():
    assert get_args(Name) == (*PUBLISHED, *CONVOLUTIONAL)
    assert tuple(PUBLISHED) == tuple(official.NAMES)
    assert get_args(Labels) == tuple(LABELS)


@pytest.mark.parametrize(
    ("name", "tensors", "values"),
    [
        ("svfap-base", (385, 441), (77_635_351, 85_517_200)),
        ("svfap-small", (264, 320), (29_678_615, 37_512_208)),
        ("mae-dfer-base", (519, 575), (84_878_343, 92_760_192)),
        ("mae-dfer-small", (519, 575), (47_930_119, 55_763_712)),
        ("mae-dfer-tiny", (519, 575), (21_467_655, 29_252_992)),
        ("videomae-base", (162, 218), (86_232_583, 94_210_944)),
    ],
)
def test_names_and_shapes_go_there_and_back(name: str, tensors: tuple[int, int], values: tuple[int, int]):
    """Published counts (decisions: parameter-counts, tensor-names).

    Every tensor arrives under its own name and returns under it."""
    for kind, shapes in enumerate((official.classifier(name), official.pretraining(name))):
        state = stand_in(shapes)
        assert len(state) == tensors[kind]
        assert sum(v.numel() for v in state.values()) == values[kind]
        config, weights, _ = config_and_weights(state, Path("theirs.pth"), options(name))
        assert isinstance(config, (ClassifyConfig, MaskedConfig)[kind])
        with torch.device("meta"):
            model = config.build()
        model.load_state_dict(weights, assign=True)
        back = official_state(Model(model, config, Provenance(), Path("ours"), ""))
        assert set(back) == set(state)
        # The same number in the same place: first elements, since all elements of a stand-in are one.
        assert all(back[k].shape == v.shape and back[k].view(-1)[:1] == v.flatten()[:1] for k, v in state.items())
        assert (next(iter(back)) == "mask_token") == (kind == 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The smallest model as the authors' code saves it, and what convert made of it."""
    root = tmp_path_factory.mktemp("tiny")
    found = {"classifier": root / "classifier.pth", "pretraining": root / "pretraining.pth"}
    official.checkpoint(
        found["classifier"], official.classifier(TINY), epoch="best", scaler={"scale": 65536.0},
        args=Namespace(model=TINY, lr=np.float64(1e-3), window_size=(8, 10, 10), output_dir=Path("out")),
        optimizer={"state": {}, "param_groups": [{"lr": np.float64(1e-3), "betas": (0.9, 0.999)}]},
    )  # fmt: skip
    official.checkpoint(found["pretraining"], official.pretraining(TINY), epoch=49, args=Namespace())
    for kind, path in list(found.items()):
        found[f"{kind} folder"] = root / kind
        words = ["--labels", "dfew", "--num-classes", "7"] if kind == "classifier" else []
        assert run(["convert", str(path), "--as", TINY, "--out", str(root / kind), *words]) == 0
    return found


@pytest.mark.parametrize("kind", ["classifier", "pretraining"])
def test_round_trip_of_files_is_bit_identical(kind: str, files: dict[str, Path], tmp_path: Path):
    assert run(["convert", str(files[f"{kind} folder"]), "--to", "official", str(tmp_path / "sub" / "back.pth")]) == 0
    theirs = torch.load(tmp_path / "sub" / "back.pth", weights_only=True)
    assert list(theirs) == ["model"]
    before = torch.load(files[kind], weights_only=False)["model"]
    assert set(theirs["model"]) == set(before)
    assert all(torch.equal(theirs["model"][k].view(torch.int32), v.view(torch.int32)) for k, v in before.items())
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["back.pth"]


# ---------------------------------------------------------------- what a converted folder says


def test_a_classifier_knows_its_labels(files: dict[str, Path]):
    folder = load(files["classifier folder"])
    spec = folder.config.spec
    assert spec.names == ("happy", "sad", "neutral", "anger", "surprise", "disgust", "fear")
    assert (spec.clip.num_frames, spec.clip.stride, spec.views, spec.clip.size) == (16, 4, 2, 160)
    assert spec.clip.mean == (0.485, 0.456, 0.406)
    assert folder.config.pool == "summary"
    assert not spec.contract.verified
    assert (spec.contract.geometry.crop, spec.contract.stand_in) == ("none", Geometry())
    assert folder.provenance.converted_from.startswith("classifier.pth (SHA-256 ")
    card = (folder.path / "README.md").read_text()
    for words in ("assumed, not verified", "`happy`, `sad`", "Converted from a published checkpoint", "license: other"):
        assert words in card
    assert "random weights" not in card


def test_a_pretraining_model_decodes_in_region_order(files: dict[str, Path]):
    folder = load(files["pretraining folder"])
    assert folder.config.decoder_order == "region"
    assert [c.verified for c in folder.provenance.contracts] == [False]
    assert folder.config.clip.frame_period_s == 1 / 25  # VoxCeleb2


@pytest.mark.parametrize(
    ("labels", "names", "stride"),
    [
        ("dfew", "happy sad neutral anger surprise disgust fear", 4),
        ("ferv39k", "happy sad neutral angry surprise disgust fear", 1),
        (
            "mafw",
            "anger disgust fear happiness neutral sadness surprise contempt anxiety helplessness disappointment",
            4,
        ),
    ],
)
def test_label_orders(labels: str, names: str, stride: int):
    """(decisions: label-orders)"""
    state = stand_in(official.classifier("svfap-base", len(names.split())))
    spec = config_of(state, options("svfap-base", labels=labels)).spec
    assert spec.names == tuple(names.split())
    assert spec.clip.stride == stride


def test_without_labels_classes_are_numbered():
    config = config_of(stand_in(official.classifier("videomae-base", 3)), options("videomae-base", size=224))
    assert config.spec.names == ("class_0", "class_1", "class_2")
    assert config.spec.clip.size == 224


def test_pooling_follows_the_published_scripts():
    state = stand_in(official.classifier(TINY))
    assert [config_of(state, options(pool=p)).pool for p in (None, "tokens", "all")] == ["summary", "tokens", "all"]
    assert config_of(stand_in(official.classifier("svfap-small")), options("svfap-small")).pool == "tokens"
    with pytest.raises(UserError, match="--pool summary: svfap-small"):
        config_of(stand_in(official.classifier("svfap-small")), options("svfap-small", pool="summary"))


def test_regions_are_made_for_160_pixels():
    with pytest.raises(UserError, match="grid is 8x10x10"):
        config_of(stand_in(official.classifier(TINY)), options(size=224))
    with pytest.raises(UserError, match="grid is 8x10x10"):
        config_of(stand_in(official.pretraining(TINY)), options(size=224))


# ---------------------------------------------------------------- how files come


@pytest.mark.parametrize("entry", ["model", "module", None])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_entries_and_formats(entry: str | None, zipped: bool, tmp_path: Path):
    state = OrderedDict(a=torch.arange(3.0), b=torch.ones(2, dtype=torch.bfloat16))
    data = {entry: state, "optimizer": {"state": {0: torch.zeros(2, dtype=torch.int64)}}} if entry else state
    torch.save(data, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = read_state(tmp_path / "x.pth")
    assert found["a"].tolist() == [0, 1, 2]
    assert found["b"].dtype == torch.float32


def test_safetensors_are_read(tmp_path: Path):
    save_file({"a": torch.arange(3.0)}, tmp_path / "x.safetensors")
    assert read_state(tmp_path / "x.safetensors")["a"].tolist() == [0, 1, 2]
    (tmp_path / "x.safetensors").write_text("nothing of the kind")
    with pytest.raises(UserError, match="damaged"):
        read_state(tmp_path / "x.safetensors")


@pytest.mark.parametrize("prefix", ["backbone.", "encoder.", "module.", "module.backbone."])
def test_prefixes_are_taken_off(prefix: str):
    shapes = official.classifier(TINY)
    plain = config_and_weights(stand_in(shapes), Path("x"), options())[1]
    state = stand_in({prefix + k: v for k, v in shapes.items()})
    partly = {k.removeprefix(prefix) if "head" in k or "fc_norm" in k else k: v for k, v in state.items()}
    for changed in (state, partly):
        found = config_and_weights(changed, Path("x"), options())[1]
        assert {k: v.flatten()[0] for k, v in found.items()} == {k: v.flatten()[0] for k, v in plain.items()}


def test_prefixes_of_a_pretraining_model():
    shapes = official.pretraining("svfap-small")
    plain = config_and_weights(stand_in(shapes), Path("x"), options("svfap-small"))[1]
    renamed = {k.replace("encoder.", "backbone.") if k.startswith("encoder.") else k: v for k, v in shapes.items()}
    found = config_and_weights(stand_in(renamed), Path("x"), options("svfap-small"))[1]
    assert {k: v.flatten()[0] for k, v in found.items()} == {k: v.flatten()[0] for k, v in plain.items()}


# ---------------------------------------------------------------- what is refused


def broken(change: str) -> dict[str, Tensor]:
    state = stand_in(official.classifier(TINY))
    if change == "missing":
        del state["fc_norm.bias"], state["blocks.3.norm2.weight"]
    elif change == "left over":
        state["norm.weight"] = torch.zeros(256)
    elif change == "shape":
        state["blocks.15.mlp.fc1.weight"] = torch.zeros(1024, 255)
    elif change == "flat head":
        state["head.weight"] = torch.zeros(7)
    elif change == "no weight":
        del state["head.weight"]
    elif change == "no classes":
        state |= {"head.weight": torch.zeros(0, 256), "head.bias": torch.zeros(0)}
    elif change == "twice":
        state["backbone.fc_norm.bias"] = torch.zeros(256)
    elif change == "no encoder":
        state = {k: v for k, v in state.items() if k.startswith(("fc_norm", "head"))}
    elif change == "encoder alone":
        state = {f"encoder.{k}": v for k, v in state.items() if not k.startswith(("fc_norm", "head"))}
    return state


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("missing", r"missing 2 \(blocks.3.norm2.weight, fc_norm.bias\)$"),
        ("left over", r"left over 1 \(norm.weight\)$"),
        ("shape", r"of another shape 1 \(blocks.15.mlp.fc1.weight 1024x255 instead of 1024x256\)$"),
        ("flat head", r"of another shape 1 \(head.weight 7 instead of 7x256\)$"),
        ("no weight", r"missing 1 \(head.weight\)$"),
        ("no classes", "is a classifier of 0 classes"),
        ("twice", "fc_norm.bias and backbone.fc_norm.bias"),
        ("no encoder", r"missing 515 \((\S+, ){514}\S+\)$"),
        ("encoder alone", "neither the decoder of a pre-training model nor the head of a classifier"),
    ],
)
def test_what_does_not_fit_is_listed(change: str, says: str):
    with pytest.raises(UserError, match=says):
        config_of(broken(change), options())


def test_a_wrong_name_is_corrected():
    for name, other in zip(official.NAMES, (*official.NAMES[1:], official.NAMES[0]), strict=True):
        says = rf"does not fit {other} \(pre-training model\) but looks like {name}, so try --as {name}: "
        with pytest.raises(UserError, match=says):
            config_of(stand_in(official.pretraining(name)), options(other))


def test_the_registered_svfap_model_is_explained():
    """181,839,760 values, of which no classifier can use any (decisions: svfap-width)."""
    state = stand_in(official.with_decoder(official.svfap(768, 21, 12), 768))
    assert sum(v.numel() for v in state.values()) == 181_839_760
    with pytest.raises(UserError, match="published SVFAP code registers: 768 wide .* 512 wide"):
        config_of(state, options("svfap-base"))


def test_classes_must_agree():
    state = stand_in(official.classifier(TINY))
    assert len(config_of(state, options(num_classes=7, labels="ferv39k")).spec.names) == 7
    with pytest.raises(UserError, match="has 7 classes, --num-classes says 11"):
        config_of(state, options(num_classes=11))
    with pytest.raises(UserError, match="has 7 classes, --labels mafw has 11"):
        config_of(state, options(labels="mafw"))
    _, _, notes = config_and_weights(stand_in(official.pretraining(TINY)), Path("x"), options(num_classes=7))
    assert "--num-classes not used" in notes[0]


class Malice:
    """Creates a file when it is unpickled by the letter."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


class Stranger:
    """Harmless, but nobody knows."""


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_nothing_in_a_file_is_run(zipped: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, mark = tmp_path / "evil.pth", tmp_path / "was-here"
    data = {"model": {"head.weight": torch.zeros(1)}, "args": Malice(mark)}
    torch.save(data, path, _use_new_zipfile_serialization=zipped)
    assert run(["convert", str(path), "--as", TINY, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert "holds getattr, which is none of the harmless objects" in said
    assert "\n" not in said
    assert not mark.exists()
    assert not (tmp_path / "out").exists()
    torch.load(path, weights_only=False)  # the danger is real
    assert mark.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_newer_pickle_is_said_to_be_one(zipped: bool, tmp_path: Path):
    """Protocol 4, which torch reads only where it may run it; a stranger in it is still refused by name."""
    args = Namespace(lr=np.float64(1), out=Path("x"))
    harmless = {"model": OrderedDict(a=torch.ones(2)), "args": args, "again": Namespace(lr=2)}
    path, mark = tmp_path / "x.pth", tmp_path / "was-here"
    for data, says in (
        (harmless, "x.pth is written in pickle protocol 4: save it again with torch's default$"),
        ({**harmless, "evil": Malice(mark)}, "x.pth holds pathlib.Path.touch, .*nothing of it was run"),
        ({**harmless, "print": print}, "x.pth holds builtins.print, "),
    ):
        torch.save(data, path, pickle_protocol=4, _use_new_zipfile_serialization=zipped)
        with pytest.raises(UserError, match=says):
            read_state(path)
    assert not mark.exists()


def test_tensors_without_plain_values_are_refused(tmp_path: Path):
    odd = {"a": torch.eye(2).to_sparse(), "b": torch.zeros(2, device="meta")}
    torch.save({**odd, "c": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"sparse or without values, .*: a \(sparse_coo, cpu\), b \(strided, meta\)$"):
        read_state(tmp_path / "x.pth")


def test_weights_that_are_not_finite_are_said():
    state = stand_in(official.classifier(TINY))
    assert not any("not finite" in note for note in config_and_weights(state, Path("x"), options())[2])
    state["head.bias"] = torch.tensor([0, 1, torch.nan, 0, 0, 0, 0])
    state["fc_norm.bias"] = torch.full((256,), -torch.inf)
    notes = config_and_weights(state, Path("x"), options())[2]
    assert notes[-1].startswith("not finite")
    assert notes[-1].endswith(": fc_norm.bias, head.bias")


def test_a_regressor_has_no_official_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    encoder = ViTConfig(dim=16, num_heads=2, depth=1)
    config = RegressConfig(spec=LabelSpec(names=("valence",), kind="dimensional"), encoder=encoder)
    save_model(tmp_path / "model", config.build(), config, Provenance())
    assert run(["convert", str(tmp_path / "model"), "--to", "official", str(tmp_path / "y.pth")]) == 2
    assert "is a regressor" in capsys.readouterr().err
    assert not (tmp_path / "y.pth").exists()


def plain_pickle(path: Path, data: Any) -> None:
    path.write_bytes(pickle.dumps(data, protocol=2))


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        (Stranger(), "holds tests.models.test_convert.Stranger"),
        (PurePosixPath("a"), "holds pathlib"),
        (np.zeros(2), "_reconstruct"),
        (print, "holds print"),
    ],
    ids=["class", "path", "array", "function"],
)
def test_strangers_are_refused_by_name(objects: Any, says: str, tmp_path: Path):
    torch.save({"model": {}, "args": objects}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=says):
        read_state(tmp_path / "x.pth")


def test_harmless_objects_are_not_even_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Options, NumPy numbers and paths are stepped over; their own classes stay untouched."""
    args = Namespace(lr=np.float32(1), seen=np.int64(3), out=Path("x"), deep=Namespace(a=[1, {"b": None}]))
    torch.save({"model": {"a": torch.ones(1)}, "args": args}, tmp_path / "x.pth")
    monkeypatch.setattr(Namespace, "__init__", lambda *_, **__: pytest.fail("made a Namespace"))
    assert read_state(tmp_path / "x.pth")["a"].tolist() == [1]


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "text.pth").write_text("hello\n" * 100)
    (tmp_path / "empty.pth").write_bytes(b"")
    plain_pickle(tmp_path / "pickle.pth", {"model": 3})
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a.txt", "a")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"model": {"a": 1}}, tmp_path / "number.pth")
    torch.save({"a": torch.ones(2, dtype=torch.int64)}, tmp_path / "whole.pth")
    torch.save({"a": torch.ones(2)}, tmp_path / "other.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:500])
    says = {
        "nowhere.pth": "is not there",
        ".": "is a folder",
        **dict.fromkeys(("text.pth", "empty.pth", "pickle.pth", "zip.pth", "cut.pth"), "is no PyTorch checkpoint"),
        "list.pth": "no state dict",
        "number.pth": "no tensors under a",
        "whole.pth": "a (torch.int64)",
        "other.pth": "neither the decoder",
    }
    for name, words in says.items():
        assert run(["convert", str(tmp_path / name), "--as", TINY, "--out", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err.strip()
        assert words in said
        assert "\n" not in said, said
    assert not (tmp_path / "out").exists()


def test_folders_in_use_are_left_alone(files: dict[str, Path], tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and holds no converted model"):
        convert_official(files["pretraining"], tmp_path / "full", options())
    with pytest.raises(UserError, match="is a file"):
        convert_official(files["pretraining"], tmp_path / "full" / "notes.txt", options())
    before = json.loads((files["pretraining folder"] / "config.json").read_text())
    convert_official(files["pretraining"], files["pretraining folder"], options())  # the same command again
    assert json.loads((files["pretraining folder"] / "config.json").read_text()) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("x.pth --as svfap-base", "give --as NAME and --out DIR"),
        ("x.pth --out new", "give --as NAME and --out DIR"),
        ("x.pth", "or --to official FILE"),
        ("x.pth --to official y.pth --as svfap-base", "leave out --as"),
        (
            "x --to official y.pth --labels dfew --num-classes 7 --pool all --size 160",
            "leave out --labels, --num-classes, --pool, --size",
        ),
        ("x.pth --as svfap-base --out new --num-classes 0", "--num-classes 0: give 1 or more"),
        ("nowhere --to official y.pth", "nowhere is not there"),
        ("x.pth --to official .", ". is a folder: give a file name"),
    ],
)
def test_options_that_do_not_go_together(words: str, says: str, capsys: pytest.CaptureFixture[str]):
    assert run(["convert", *words.split()]) == 2
    assert says in capsys.readouterr().err


# ---------------------------------------------------------------- what can be done with it


def test_the_encoder_of_a_converted_model_starts_a_classifier(files: dict[str, Path]):
    """What `mien finetune --init` does with it: a strict load into a classifier of the user's own labels."""
    folder = load(files["pretraining folder"])
    encoder = folder.config.encoder
    task = ClassifyConfig(spec=LabelSpec(names=("a", "b")), encoder=encoder, pool=encoder.pools[0])
    with torch.device("meta"):
        model = task.build()
    assert isinstance(folder.module.encoder, torch.nn.Module)
    model.encoder.load_state_dict(folder.module.encoder.state_dict(), assign=True)
    expected = official.filled("encoder.blocks.15.mlp.fc2.weight", (256, 1024))
    assert torch.equal(model.encoder.state_dict()["blocks.15.mlp.fc2.weight"], expected)
