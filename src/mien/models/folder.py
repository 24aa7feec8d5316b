"""A model folder: ``model.safetensors``, ``config.json`` (what it is, what its outputs mean, how faces were prepared) and
``README.md`` (the model card). The same for a pre-training model and a classifier; nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mien import __version__
from mien.config import class_table, from_json, to_json
from mien.contract import CropContract, Origin
from mien.data.labels import LabelSpec
from mien.errors import UserError, require
from mien.faces.read import ClipReader
from mien.methods.table import MethodConfig
from mien.models.card import model_card
from mien.models.encoder_only import EncoderOnlyConfig
from mien.models.old import as_now
from mien.tasks.movements import MovementsConfig
from mien.tasks.table import TaskConfig

LEARNERS: tuple[type, ...] = (*get_args(MethodConfig), *get_args(TaskConfig), EncoderOnlyConfig)
"""Everything a model folder may hold: learners, and encoders that were converted."""


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from."""

    contracts: tuple[CropContract, ...] = ()
    """Crop contracts of the training shards: those of pre-training and of fine-tuning."""
    training_data: Origin = "recorded"
    """Over everything the weights have seen, pre-training included."""
    data: tuple[str, ...] = ()
    """Hashes of the training manifests."""
    recipe: str = ""
    experiment: str = ""
    """Hash of the experiment."""
    split: str = "split"
    """Manifest column that told training from test: evaluation reads the same one."""
    init: str = ""
    """Hash of the weights it was initialised from; "" for scratch."""
    metrics: dict[str, float] = field(default_factory=dict)
    mien: str = __version__
    converted_from: str = ""
    """The published file the weights come from, by name and hash; "" for weights trained here."""


CLASSES = class_table(*LEARNERS, Provenance)


@dataclass(frozen=True, repr=False)
class Model:
    """A model folder that was loaded: the network in evaluation mode, and everything the folder says about it.

    ``model(clip)`` is the network's answer for normalised clips ``[B, C, T, H, W]``: a classifier's logits ``[B, K]``, the tokens
    ``[B, N, D]`` of an encoder alone.
    """

    module: nn.Module
    """A learner. A masked pre-training model has `encode(clip, keep)`, visible tokens after the last norm ``[B, t*K, D]``, and
    `reconstruct(clip, keep)`, the decoder's prediction ``[B, t*(h*w - K), P*C]`` for the masked tubes, both in raster order."""
    config: Any
    provenance: Provenance
    path: Path
    hash: str

    def __call__(self, clip: Tensor) -> Any:
        """Raises UserError for a tensor that is no clip of this model."""
        return self.module(self._checked(clip))

    @torch.inference_mode()
    def features(self, clip: Tensor) -> Tensor:
        """What a head sees of normalised clips: ``[B, D]``, or ``[B, T, D]`` where the model sees each frame."""
        return self._learner.features(self._checked(clip))

    @torch.inference_mode()
    def predict(self, clip: Tensor) -> Tensor:
        """Probabilities or values of normalised clips: ``[B, K]``, or ``[B, T, K]`` per frame.

        Raises:
            UserError: a pre-training model, which has none.
        """
        require(self.spec is not None, f"{self.path} is a pre-training model: fine-tune it first (mien finetune)")
        return self._learner.predict(self._checked(clip))

    def _checked(self, clip: Tensor) -> Tensor:
        """Raises UserError: no clips, or another shape than the encoder takes."""
        what = f"{clip.dtype} {list(clip.shape)}" if isinstance(clip, Tensor) else type(clip).__name__
        good = isinstance(clip, Tensor) and clip.dtype == torch.float32 and clip.numel() > 0
        require(
            good, f"received {what}, wanted a float32 tensor of normalised clips, such as model.clip.read(video) gives"
        )
        reads = isinstance(self.config, MovementsConfig)
        require(not reads, f"{self.path} reads movements, not pixels: model.module.predict_rows(shards, rows)")
        seen = self.config.sees
        wanted = f"[clips, {seen.channels}, {seen.num_frames} frames, {seen.size}, {seen.size}]"
        hint = f"received a tensor {list(clip.shape)}, wanted {wanted}, such as model.clip.read(video) gives"
        require(clip.ndim == 5 and clip.shape[1] == seen.channels and clip.shape[3] == clip.shape[4], hint)
        try:
            self.config.encoder.check_clip(clip.shape[2], clip.shape[3])
        except UserError as error:
            raise UserError(f"{hint}: {error}") from None
        return clip

    @property
    def clip(self) -> ClipReader:
        """What the model sees of a face (`clip.spec`); ``model.clip.read("face.mp4")`` gives the clips as in training."""
        spec, contracts = self.spec, self.provenance.contracts
        contract = spec.contract if spec else contracts[-1] if contracts else CropContract()
        return ClipReader(self.config.sees, contract, self._learner.plain_augment(), spec.views if spec else 2)

    @property
    def _learner(self) -> Any:
        return self.module

    @property
    def encoder(self) -> nn.Module:
        return self._learner.encoder

    @property
    def spec(self) -> LabelSpec | None:
        """What the outputs mean; None for a pre-training model."""
        return getattr(self.config, "spec", None)

    def __repr__(self) -> str:
        seen, spec = self.config.sees, self.spec
        of = f", {len(spec.names)} {spec.kind} outputs: {', '.join(spec.names)}" if spec else ""
        view = f"{seen.num_frames} frames of {seen.size} x {seen.size} pixels"
        view = "movements" if isinstance(self.config, MovementsConfig) else view
        return f"Model {self.path}: {type(self.module).__name__} ({self.provenance.recipe or 'no recipe'}), sees {view}{of}"

    def to(self, device: torch.device | str) -> Model:
        """The same model, its network moved to the device."""
        self.module.to(device)
        return self


def save_model(path: Path, model: nn.Module, config: Any, provenance: Provenance) -> None:
    """Writes the folder. Nothing of an existing one is replaced before everything new is written; the config goes last."""
    path.mkdir(parents=True, exist_ok=True)
    data = {"learner": to_json(config), "provenance": to_json(provenance)}
    (path / "config.tmp").write_text(json.dumps(data, indent=1) + "\n")
    (path / "README.tmp").write_text(model_card(config, provenance))
    state = {k: v.detach().contiguous().cpu() for k, v in model.state_dict().items()}
    save_file(state, path / "model.tmp", metadata={"format": "pt"})
    (path / "model.tmp").chmod(0o644)  # safetensors makes it its owner's alone
    for name in ("model.safetensors", "README.md", "config.json"):
        (path / name).with_suffix(".tmp").replace(path / name)


def is_saved(path: Path) -> bool:
    """Whether `save_model` came to its end there: a config lies in the folder, and no newer one waits."""
    return (path / "config.json").is_file() and not (path / "config.tmp").exists()


def find_model(name: Path | str) -> Path:
    """The local folder of a model: a model folder, a run folder (its ``model/``), or a hub id ``organisation/name``.

    Raises:
        UserError: none of these.
    """
    path = Path(name)
    for candidate in (path, path / "model"):
        if (candidate / "config.json").is_file() and (candidate / "model.safetensors").is_file():
            return candidate
    if path.exists():
        hint = "the run has not finished" if (path / "experiment.json").is_file() else "give a model or run folder"
        if within := sorted(str(m.parent.parent) for m in path.glob("fold_*/*/model/config.json")):
            hint = f"give one of its folds' models, such as {within[0]}"
        raise UserError(f"{name} holds no model (model.safetensors and config.json): {hint}")
    # runs/clasify is a slip of the finger in a folder of ours, not an organisation on the hub.
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)) and not path.parent.exists():
        return _from_hub(str(name))
    raise UserError(f"{name} is not there: give a model folder, a run folder, or a hub id such as organisation/name")


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    files = ["config.json", "model.safetensors", "README.md"]
    try:
        return find_model(Path(snapshot_download(name, allow_patterns=files)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{name} is no local folder, and the hub did not give it ({first})") from None


def model_hash(name: Path | str) -> str:
    """Twelve hex digits of the weights file."""
    with open(find_model(name) / "model.safetensors", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def load(name: Path | str | Model) -> Model:
    """The model of a folder, a run or a hub id, with everything its folder says about it; one that is loaded, as it is.

    Raises:
        UserError: a folder that is none, is damaged, or does not fit our classes.
    """
    if isinstance(name, Model):
        return name
    path = find_model(name)
    try:
        data = json.loads((path / "config.json").read_text())
        learner, made = as_now(data["learner"], data["provenance"])
        config, provenance = from_json(learner, CLASSES), from_json(made, CLASSES)
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path / 'config.json'} is damaged or not ours: {error}") from None
    if not isinstance(config, LEARNERS):
        raise UserError(f"{path / 'config.json'} describes a {type(config).__name__}, not a model")
    with torch.device("meta"):  # weights that are replaced at once need not be drawn: nearly all the time of loading
        model = config.build()
    try:
        state = load_file(path / "model.safetensors")
    except SafetensorError as error:
        raise UserError(f"{path / 'model.safetensors'} is damaged: {error}") from None
    _load_strictly(model, state, path)
    return Model(model.eval(), config, provenance, path, model_hash(path))


def _load_strictly(model: nn.Module, state: dict[str, Any], path: Path) -> None:
    own = model.state_dict()
    missing, extra = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    if missing or extra or shapes:
        raise UserError(
            f"weights of {path} do not fit: missing {missing}, left over {extra}, of another shape {shapes}"
        )
    broken = [k for k, v in state.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    require(
        not broken, f"weights of {path} are not finite ({', '.join(broken[:3])}): copy the file again, or train again"
    )
    model.load_state_dict(state, assign=True)
