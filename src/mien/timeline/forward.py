"""Windows to the values of every model: the same pixels as evaluation sees, in batches across tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mien.errors import require
from mien.faces.faces import FaceSample
from mien.faces.pack import movements_of
from mien.models import Model
from mien.tasks.movements import MovementTask
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
            WindowShape.of(models[name].config.sees) if task is None else shape_of(task) for name, task in tasks.items()
        ]
        self.moves = {name: moving(name, m.module) for name, m in models.items() if isinstance(m.module, MovementTask)}
        self._transforms = [None if name in self.moves else model.clip.augment for name, model in models.items()]

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
        if name in self.moves:
            return self.moves[name].predict_movements(
                [(times_of(m.clips[k]), movements_of(m.clips[k])) for m in moments]
            )
        transform = self._transforms[k]
        assert transform is not None
        frames = stack_clips([m.clips[k] for m in moments]).to(self.device)
        values = self.models[name].predict(transform.apply(frames, {})).double().cpu()
        return (at_centre(values) if values.ndim == 3 else values).numpy()


def moving(name: str, task: MovementTask) -> MovementTask:
    """Raises UserError for a model that has to know all clips of a person before the first."""
    own = "takes a person's mean over all clips off (--per-person), and a video alone has none"
    require(not task.config.per_person, f"{name} {own}: train one without it to predict")
    return task


def times_of(clip: Sequence[FaceSample]) -> np.ndarray:
    """[T] seconds."""
    return np.array([sample.time_s for sample in clip])


def stack_clips(clips: Sequence[Sequence[FaceSample]]) -> Tensor:
    """uint8 [B, T, S, S, C]."""
    return torch.from_numpy(np.array([[sample.crop for sample in clip] for clip in clips]))
