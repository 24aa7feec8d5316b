"""Windows to the values of every model: the same pixels as evaluation sees, in batches across tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mien.faces.faces import FaceSample
from mien.models import Model
from mien.timeline.sequences import SequenceRunner, as_sequence, shape_of
from mien.timeline.windows import Moment, WindowShape


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

    def __init__(self, models: Mapping[str, Model], device: torch.device):
        self.models, self.device = models, device
        for model in models.values():
            model.to(device).module.eval()
        tasks = {name: as_sequence(name, model.module) for name, model in models.items()}
        self.sequences = {name: SequenceRunner(task) for name, task in tasks.items() if task is not None}
        self.shapes = [
            WindowShape.of(models[name].clip.spec) if task is None else shape_of(task) for name, task in tasks.items()
        ]
        self._transforms = [model.clip.augment for model in models.values()]

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
        found = {name: self._values(k, name, moments) for k, name in enumerate(self.models)}
        return [{name: values[m] for name, values in found.items()} for m in range(len(moments))]

    def _values(self, k: int, name: str, moments: Sequence[Moment]) -> np.ndarray:
        """[n, K] of one model, which is the k-th."""
        if name in self.sequences:
            return self.sequences[name](moments)
        frames = stack_clips([m.clips[k] for m in moments]).to(self.device)
        values = self.models[name].predict(self._transforms[k].apply(frames, {})).double().cpu()
        return (at_centre(values) if values.ndim == 3 else values).numpy()


def stack_clips(clips: Sequence[Sequence[FaceSample]]) -> Tensor:
    """uint8 [B, T, S, S, C]."""
    return torch.from_numpy(np.array([[sample.crop for sample in clip] for clip in clips]))
