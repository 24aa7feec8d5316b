"""Recipes of LiRA: what SS-VAERR pins, and what it leaves open (docs/methods/lira.md).

mien prepare VIDEOS --out shards --size 96 --grey --fps 25
mien pretrain lira --data shards --out RUN
"""

from __future__ import annotations

from dataclasses import replace

from mien.data.acoustic import MFCC, Pase
from mien.encoders.lip_reading import lip_reading_micro
from mien.methods.lira import LiRAConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig

# AdamW and its weight decay are SS-VAERR's (decisions: lira), and so is 3e-4, the highest rate it names, here reached at batch
# 32. Batch, epochs, warm-up and clipping are ours: no source gives those of the pretext.
LIRA_OPTIM = OptimConfig(lr=2.4e-3, min_lr=1e-6, betas=(0.9, 0.98), weight_decay=1e-4, clip_norm=5.0)
LIRA_TRAIN = TrainConfig(batch_size=32, epochs=50)


def lira() -> Experiment:
    """SS-VAERR's pretext on LRS3, with log-mel targets: 30,399,504 parameters, 11,182,784 of them kept."""
    return Experiment("lira", LiRAConfig(), LIRA_OPTIM, LIRA_TRAIN)


def lira_mfcc() -> Experiment:
    """The same with MFCC, their first and their second change as targets."""
    recipe = lira()
    return replace(recipe, name="lira-mfcc", learner=replace(recipe.learner, target=MFCC()))


def lira_pase() -> Experiment:
    """The same with LiRA's own targets: give the encoder's weights, --target.file PASE.ckpt."""
    recipe = lira()
    return replace(recipe, name="lira-pase", learner=replace(recipe.learner, target=Pase()))


def lira_micro() -> Experiment:
    """Ours, for two CPU cores: a quarter of the front end's width, 54 of 64 pixels, one second, 2 blocks 128 wide."""
    usual = LiRAConfig().clip
    learner = LiRAConfig(
        lip_reading_micro(), clip=replace(usual, num_frames=25, size=64), crop=54, dim=128, depth=2, kernel=15
    )
    optim = replace(LIRA_OPTIM, lr=1.6e-2)
    return Experiment("lira-micro", learner, optim, TrainConfig(batch_size=16))
