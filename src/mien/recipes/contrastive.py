"""Recipes of the contrastive family: BYOL, SimSiam, ContraWarping on ResNets; BYOL and DINO on the lip-reading front end.

The published batches of 4,096 clips with LARS need dozens of GPUs. The recipes here are ours for a handful: batch 256, SGD as
SimSiam has it, 100 epochs; ``-published`` has the paper's batch and LARS.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mien.encoders.lip_reading import lip_reading, lip_reading_micro
from mien.encoders.resnet import resnet18, resnet50, resnet_micro
from mien.methods.byol import BYOLConfig
from mien.methods.contrawarping import ContraWarpingConfig
from mien.methods.dino import DINOConfig
from mien.methods.simsiam import SimSiamConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import GREY_MEAN, GREY_STD, ClipSpec
from mien.transforms.contrastive import Look
from mien.transforms.warp import Warp

# SimSiam's optimizer (decisions: simsiam-settings). Ours for BYOL and ContraWarping too.
SMALL_BATCH = OptimConfig("sgd", lr=0.05, min_lr=0.0, weight_decay=1e-4)
SMALL_TRAIN = TrainConfig(batch_size=256, warmup_epochs=10)
# BYOL's of 100 epochs (decisions: byol-settings).
LARS = OptimConfig("lars", lr=0.45, min_lr=0.0, weight_decay=1e-6)
LARS_TRAIN = TrainConfig(batch_size=4096, warmup_epochs=10)
# Ours, for two CPU cores: 64 pixels, narrow heads. In runs of some hundred steps SGD moves nothing but the predictor, and a
# target with the published momentum stays where it began (200 steps on drawn faces): hence AdamW, and 0.9.
MICRO_OPTIM = OptimConfig("adamw", lr=4e-3, min_lr=0.0, weight_decay=0.05, betas=(0.9, 0.999))
MICRO_TRAIN = TrainConfig(batch_size=64, warmup_epochs=10)
MICRO_HEADS: dict[str, Any] = {"projector_hidden": 512, "projection": 128, "predictor_hidden": 512, "momentum": 0.9}
MICRO_PICTURE = ClipSpec(1, 1, size=64)
MICRO_SECOND = Look(blur=0.1, solarize=0.2)
# Global transformations that leave a warp to be seen at 64 pixels: with the crops, aspects and blur above even a classifier
# trained to tell warped faces gets no further than 54 % in 200 steps; with these it gets to 72 % (docs/lab.md).
MILD = Look(crop_area=(0.8, 1.0), crop_aspect=(1.0, 1.0), rotate=4.0, translate=0.02, scale=(1.0, 1.0), blur=0.0)
STRONG_WARP = Warp(moves=(3, 6), magnitude=(0.15, 0.3))
# Grey clips at 25 frames per second, as SS-VAERR prepares them; the length is ours (methods/siamese.py). On grey pictures hue,
# saturation and grey conversion do nothing.
CLIP = ClipSpec(8, 1, size=96, mean=GREY_MEAN, std=GREY_STD)
MICRO_CLIP = replace(CLIP, size=64)
MICRO_DINO: dict[str, Any] = {
    "second": MICRO_SECOND, "first": Look(), "local": Look(size=32, crop_area=(0.15, 0.5), blur=0.5),
    "num_local": 2, "hidden": 256, "bottleneck": 64, "prototypes": 256, "momentum": 0.99,
}  # fmt: skip
ADAMW = OptimConfig("adamw", lr=1e-3, min_lr=1e-6, weight_decay=0.04, betas=(0.9, 0.999), clip_norm=3.0)
VIDEO_TRAIN = TrainConfig(batch_size=64, warmup_epochs=10)
MICRO_VIDEO_TRAIN = TrainConfig(batch_size=16, warmup_epochs=10)


def byol_resnet18() -> Experiment:
    """BYOL on a ResNet-18 (ABAW5 Table 1)."""
    return Experiment("byol-resnet18", BYOLConfig(resnet18()), SMALL_BATCH, SMALL_TRAIN)


def byol_resnet50() -> Experiment:
    """BYOL on a ResNet-50, small batch."""
    return Experiment("byol-resnet50", BYOLConfig(resnet50()), SMALL_BATCH, SMALL_TRAIN)


def byol_resnet50_published() -> Experiment:
    """BYOL as published for 100 epochs: batch 4096, LARS, 224 pixels, crops from 0.08 on, no affine.

    (decisions: byol-settings)
    """
    first = Look(crop_area=(0.08, 1.0), rotate=0.0, translate=0.0, scale=(1.0, 1.0))
    learner = BYOLConfig(
        resnet50(), ClipSpec(1, 1, size=224), first=first, second=replace(first, blur=0.1, solarize=0.2)
    )
    return Experiment("byol-resnet50-published", learner, LARS, LARS_TRAIN)


def byol_micro() -> Experiment:
    """Ours: for two CPU cores."""
    learner = BYOLConfig(resnet_micro(), MICRO_PICTURE, second=MICRO_SECOND, **MICRO_HEADS)
    return Experiment("byol-micro", learner, MICRO_OPTIM, MICRO_TRAIN)


def simsiam_resnet18() -> Experiment:
    """SimSiam on a ResNet-18 (ABAW5 Table 1)."""
    return Experiment("simsiam-resnet18", SimSiamConfig(resnet18()), SMALL_BATCH, SMALL_TRAIN)


def simsiam_resnet50() -> Experiment:
    """SimSiam on a ResNet-50: its own optimizer, at 96 pixels.

    (decisions: simsiam-settings)
    """
    return Experiment("simsiam-resnet50", SimSiamConfig(resnet50()), SMALL_BATCH, SMALL_TRAIN)


def simsiam_micro() -> Experiment:
    """Ours: for two CPU cores."""
    learner = SimSiamConfig(resnet_micro(), MICRO_PICTURE, second=MICRO_SECOND, projection=512, predictor_hidden=128)
    return Experiment("simsiam-micro", learner, MICRO_OPTIM, MICRO_TRAIN)


def contrawarping_resnet18() -> Experiment:
    """ContraWarping on a ResNet-18 (ABAW5 Tables 1 to 4). Its checkpoint's name says 50 epochs; the batch is ours."""
    return Experiment(
        "contrawarping-resnet18", ContraWarpingConfig(resnet18()), SMALL_BATCH, replace(SMALL_TRAIN, epochs=50)
    )


def contrawarping_resnet50() -> Experiment:
    """ContraWarping on a ResNet-50 (ABAW5 Table 5)."""
    return Experiment(
        "contrawarping-resnet50", ContraWarpingConfig(resnet50()), SMALL_BATCH, replace(SMALL_TRAIN, epochs=50)
    )


def contrawarping_micro() -> Experiment:
    """Ours: for two CPU cores. Milder global transformations and stronger warps than the larger recipes have."""
    views = {"first": MILD, "second": MILD, "third": MILD}
    learner = ContraWarpingConfig(resnet_micro(), MICRO_PICTURE, warp=STRONG_WARP, **views, **MICRO_HEADS)
    return Experiment("contrawarping-micro", learner, MICRO_OPTIM, MICRO_TRAIN)


def byol_video() -> Experiment:
    """Video-BYOL of SS-VAERR on the lip-reading front end."""
    return Experiment("byol-video", BYOLConfig(lip_reading(), CLIP), SMALL_BATCH, VIDEO_TRAIN)


def byol_video_micro() -> Experiment:
    """Ours: for two CPU cores. Mild views, as for ContraWarping: strong ones hide the expression at 64 pixels (docs/lab.md)."""
    learner = BYOLConfig(lip_reading_micro(), MICRO_CLIP, first=MILD, second=MILD, **MICRO_HEADS)
    return Experiment("byol-video-micro", learner, MICRO_OPTIM, MICRO_VIDEO_TRAIN)


def dino_video() -> Experiment:
    """DINO of SS-VAERR on the lip-reading front end: AdamW, weight decay 0.04 to 0.4, clipped at 3; 4,096 prototypes,
    for data smaller than ImageNet (decisions: dino-settings)."""
    learner = DINOConfig(lip_reading(), CLIP, prototypes=4096)
    return Experiment("dino-video", learner, replace(ADAMW, lr=5e-4, final_weight_decay=0.4), VIDEO_TRAIN)


def dino_video_micro() -> Experiment:
    """Ours: for two CPU cores. With the mild views of `byol_video_micro` it does worse (docs/lab.md)."""
    learner = DINOConfig(lip_reading_micro(), MICRO_CLIP, **MICRO_DINO)
    return Experiment("dino-video-micro", learner, replace(ADAMW, lr=4e-3, final_weight_decay=0.4), MICRO_VIDEO_TRAIN)


def dino_micro() -> Experiment:
    """Ours: DINO on single pictures, for two CPU cores."""
    learner = DINOConfig(resnet_micro(), MICRO_PICTURE, **MICRO_DINO)
    return Experiment("dino-micro", learner, replace(ADAMW, lr=4e-3, final_weight_decay=0.4), MICRO_TRAIN)
