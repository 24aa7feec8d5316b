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
        results: list[dict[str, np.ndarray]] = [{} for _ in moments]
        for k, (name, model) in enumerate(self.models.items()):
            if name in self.sequences:
                for result, row in zip(results, self.sequences[name](moments), strict=True):
                    result[name] = row
                continue
            frames = stack_clips([m.clips[k] for m in moments]).to(self.device)
            clip = self._transforms[k].apply(frames, {})
            values = model.predict(clip).double().cpu()
            values = at_centre(values) if values.ndim == 3 else values
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
