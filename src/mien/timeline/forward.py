"""Windows to the values of every model: the same pixels as evaluation sees, in batches across tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.labels import LabelSpec
from mien.errors import UserError
from mien.faces.faces import FaceSample
from mien.timeline.sequences import SequenceRunner, as_sequence, shape_of
from mien.timeline.windows import Moment, WindowShape
from mien.transforms.clip import Augment


class ClipModel(Protocol):
    """What `predict` needs of a model."""

    @property
    def spec(self) -> LabelSpec: ...

    def predict(self, clip: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` normalised float32 to probabilities or values ``[B, K]``, or ``[B, T, K]`` per frame."""
        ...

    def plain_augment(self) -> Augment:
        """Resize and normalise: the transform of evaluation."""
        ...


def as_clip_model(name: str, model: nn.Module) -> ClipModel:
    """Raises UserError for a model that has nothing to predict."""
    if getattr(model, "spec", None) is None:
        raise UserError(
            f"{name} is a pre-training model: it has no classes to predict; fine-tune it first (`mien finetune`)"
        )
    return cast(ClipModel, model)


def at_centre(values: Tensor) -> Tensor:
    """``[B, T, K]`` to ``[B, K]`` at the middle of the clip, which is the time of the row.

    The middle frame's value; where T is even the middle lies between two frames, and the mean of the two is taken.
    """
    last = values.shape[1] - 1
    return (values[:, last // 2] + values[:, last - last // 2]) / 2


class BatchRunner:
    """Runs every model on the windows it is given.

    Args:
        models: by name; each is moved to `device`.
    """

    def __init__(self, models: Mapping[str, ClipModel], device: torch.device):
        self.models, self.device = dict(models), device
        self.sequences: dict[str, SequenceRunner] = {}
        self.shapes = []
        for name, model in models.items():
            sequence = as_sequence(name, model)
            self.shapes.append(WindowShape.of(model.spec.clip) if sequence is None else shape_of(sequence))
            if sequence is not None:
                self.sequences[name] = SequenceRunner(sequence)
        self._transforms = [m.plain_augment() for m in models.values()]
        for model in models.values():
            if isinstance(model, nn.Module):
                model.to(device).eval()

    def see(self, faces: Sequence[FaceSample]) -> None:
        """The faces of the next frame, for models that look at every one."""
        for runner in self.sequences.values():
            runner.see(faces)

    def forget(self, before_s: float) -> None:
        """No row before this time is asked for any more."""
        for runner in self.sequences.values():
            runner.forget(before_s)

    @torch.inference_mode()
    def __call__(self, moments: Sequence[Moment]) -> list[dict[str, np.ndarray]]:
        """Probabilities or values [K] by model for each moment."""
        results: list[dict[str, np.ndarray]] = [{} for _ in moments]
        for k, (name, model) in enumerate(self.models.items()):
            if name in self.sequences:
                for result, row in zip(results, self.sequences[name](moments), strict=True):
                    result[name] = row
                continue
            frames = stack_clips([m.clips[k] for m in moments]).to(self.device)
            clip = self._transforms[k].apply(frames, {})
            values = model.predict(clip).double().cpu()
            values = at_centre(values) if model.spec.per == "frame" else values
            for result, row in zip(results, values.numpy(), strict=True):
                result[name] = row
        return results


def stack_clips(clips: Sequence[Sequence[FaceSample]]) -> Tensor:
    """uint8 [B, T, S, S, C]."""
    first = clips[0][0].crop
    frames = np.empty((len(clips), len(clips[0]), *first.shape), np.uint8)
    for b, clip in enumerate(clips):
        for t, sample in enumerate(clip):
            frames[b, t] = sample.crop
    return torch.from_numpy(frames)
