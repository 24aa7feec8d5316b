"""Recipes of SS-VAERR's downstream task: valence and arousal of every frame (docs/ss-vaerr.md).

    mien prepare --corpus sewa SEWA --out shards --size 96 --grey --fps 25
    mien finetune sequence-sewa --init LIRA_RUN --data shards --out RUN [--frozen first]
    mien evaluate RUN --data shards

Defaults are what SS-VAERR pins, or our choice (docs/ss-vaerr.md). The targets are arousal and valence, in this order, unless
--target names others. Rates are per 256 segments, as everywhere: the paper's 7e-5 to 3e-4 at batches of 3 to 20.
"""

from __future__ import annotations

from dataclasses import replace

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import lip_reading
from mien.losses.composite import CompositeLoss
from mien.tasks.sequence import SequenceConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import UNSEEN
from mien.transforms.sequence import SequenceAugment

LR = 1.5e-4  # middle of the paper's range, on a logarithmic scale
CLIP = replace(UNSEEN, num_frames=200, stride=1, frame_period_s=1 / 25)

TABLE_III = {
    "ccc": CompositeLoss(),
    "mse": CompositeLoss(ccc=(0.0,), mse=(1.0,)),
    "ccc-ce": CompositeLoss(ccc=(0.5,), ce=(0.5,)),
    "ccc-ce-mse": CompositeLoss(ccc=(0.5,), ce=(0.25,), mse=(0.25,)),
    "arousal-ce": CompositeLoss(ccc=(0.66, 1.0), ce=(0.34, 0.0)),
    "arousal-ce-mse": CompositeLoss(ccc=(0.66, 1.0), ce=(0.17, 0.0), mse=(0.17, 0.0)),
    "ccc-ncce": CompositeLoss(ccc=(0.5,), ncce=(0.5,)),
    "ccc-ncce-mse": CompositeLoss(ccc=(0.5,), ncce=(0.25,), mse=(0.25,)),
}
"""The loss of every row of SS-VAERR's Table III, for arousal and valence."""

TABLE_IV = {
    "none": SequenceAugment(),
    "flip": SequenceAugment(flip=0.5),
    "crop": SequenceAugment(crop=80),
    "crop-out": SequenceAugment(squares=0.25),
    "missing": SequenceAugment(missing=0.2),
    "solarize": SequenceAugment(solarize=0.2),
    "salt-pepper": SequenceAugment(salt_pepper=0.05),
    "crop+flip": SequenceAugment(crop=80, flip=0.5),
    "crop+missing": SequenceAugment(crop=80, missing=0.2),
    "flip+missing": SequenceAugment(flip=0.5, missing=0.2),
    "flip+solarize": SequenceAugment(flip=0.5, solarize=0.2),
    "flip+crop-out": SequenceAugment(flip=0.5, squares=0.25),
    "flip+salt-pepper": SequenceAugment(flip=0.5, salt_pepper=0.05),
}
"""The augmentations of every row of Table IV, for frames of 96 pixels."""


def _optim(batch_size: int) -> OptimConfig:
    """AdamW with the paper's weight decay; cosine from the start ("initial learning rate" is all that it says)."""
    return OptimConfig(lr=LR * 256 / batch_size, min_lr=0.0, betas=(0.9, 0.999), weight_decay=1e-4)


def _train(batch_size: int) -> TrainConfig:
    return TrainConfig(batch_size=batch_size, epochs=10, warmup_epochs=0, evaluations=10)


def _experiment(name: str, num_frames: int, loss: CompositeLoss, batch_size: int) -> Experiment:
    clip = replace(CLIP, num_frames=num_frames)
    spec = LabelSpec((), "dimensional", "frame", ("arousal", "valence"), (-1.0, 1.0), clip, views=1)
    learner = SequenceConfig(spec, lip_reading(), loss=loss, statistics="own")
    return Experiment(name, learner, _optim(batch_size), _train(batch_size))


def sequence() -> Experiment:
    """Valence and arousal of every frame: front end, GRU and the concordance alone (SS-VAERR's Tables I and II)."""
    return _experiment("sequence", 200, TABLE_III["ccc"], 8)


def sequence_sewa() -> Experiment:
    """SEWA, best row of SS-VAERR's Table III: concordance 0.5, bins 0.25, squares 0.25; segments of 200 frames.

    Expected CCC, arousal / valence: 0.716 / 0.731 (Table III); with --flip 0.5 0.713 / 0.771 (Tables I, IV).
    """
    return _experiment("sequence-sewa", 200, TABLE_III["ccc-ce-mse"], 8)


def sequence_recola() -> Experiment:
    """RECOLA, best row of SS-VAERR's Table III: bins for arousal alone (1 : 0.66 and 0.34); segments of 500 frames.

    Expected CCC, arousal / valence, on the development set: 0.675 / 0.626 (Tables I, III and IV).
    """
    return _experiment("sequence-recola", 500, TABLE_III["arousal-ce"], 4)


def sequence_micro() -> Experiment:
    """Ours, for two CPU cores: short segments, a small GRU, a higher rate."""
    base = _experiment("sequence-micro", 40, TABLE_III["ccc"], 8)
    small = base.learning(gru_layers=1, gru_hidden=64, feature_norm="batch", activation="tanh")
    return replace(small, optim=replace(base.optim, lr=2e-3 * 256 / 8))
