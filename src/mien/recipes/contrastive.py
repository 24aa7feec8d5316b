"""Recipes of the contrastive family: BYOL, SimSiam, ContraWarping on ResNets; BYOL and DINO on the lip-reading front end.

The published batches of 4,096 clips with LARS need dozens of GPUs. The recipes here are ours for a handful: batch 256, SGD as
SimSiam has it, 100 epochs; ``-published`` has the paper's batch and LARS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mien.encoders.lip_reading import lip_reading, lip_reading_micro
from mien.encoders.resnet import resnet18, resnet50, resnet_micro
from mien.methods.byol import BYOLConfig
from mien.methods.contrawarping import ContraWarpingConfig
from mien.methods.dino import DINOConfig
from mien.methods.simsiam import SimSiamConfig
from mien.recipes.experiment import PretrainRecipe
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.contrastive import Look
from mien.transforms.warp import Warp
from mien.types import GREY_MEAN, GREY_STD, Geometry

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
MICRO = Look(size=64)
MICRO_SECOND = Look(size=64, blur=0.1, solarize=0.2)
# Global transformations that leave a warp to be seen at 64 pixels: with the crops, aspects and blur above even a classifier
# trained to tell warped faces gets no further than 54 % in 200 steps; with these it gets to 72 % (docs/lab.md).
MILD = Look(
    size=64, crop_area=(0.8, 1.0), crop_aspect=(1.0, 1.0), rotate=4.0, translate=0.02, scale=(1.0, 1.0), blur=0.0
)  # fmt: skip
STRONG_WARP = Warp(moves=(3, 6), magnitude=(0.15, 0.3))
# Grey clips at 25 frames per second, as SS-VAERR prepares them; the length is ours (methods/_siamese.py). On grey pictures hue,
# saturation and grey conversion do nothing.
CLIPS: dict[str, Any] = {"num_frames": 8, "stride": 1, "mean": GREY_MEAN, "std": GREY_STD}
ADAMW = OptimConfig("adamw", lr=1e-3, min_lr=1e-6, weight_decay=0.04, betas=(0.9, 0.999), clip_norm=3.0)
VIDEO_TRAIN = TrainConfig(batch_size=64, warmup_epochs=10)
MICRO_VIDEO_TRAIN = TrainConfig(batch_size=16, warmup_epochs=10)


def warp_of(warp: Warp, geometries: Sequence[Geometry]) -> Warp:
    """Layout "auto" made definite: muscles on crops that are all aligned alike, else a plain lattice."""
    if warp.layout != "auto":
        return warp
    aligned = all(g.crop == "face" and g == geometries[0] for g in geometries)
    return replace(warp, layout="face", margin=geometries[0].margin) if aligned else replace(warp, layout="grid")


def for_crops(method: Any, geometries: Sequence[Geometry]) -> Any:
    """The method as it suits crops of these geometries: where its warps act."""
    if not isinstance(method, ContraWarpingConfig):
        return method
    return replace(method, warp=warp_of(method.warp, geometries))


def byol_resnet18() -> PretrainRecipe:
    """BYOL on a ResNet-18 (ABAW5 Table 1)."""
    return PretrainRecipe("byol-resnet18", BYOLConfig(resnet18()), SMALL_BATCH, SMALL_TRAIN)


def byol_resnet50() -> PretrainRecipe:
    """BYOL on a ResNet-50, small batch."""
    return PretrainRecipe("byol-resnet50", BYOLConfig(resnet50()), SMALL_BATCH, SMALL_TRAIN)


def byol_resnet50_published() -> PretrainRecipe:
    """BYOL as published for 100 epochs: batch 4096, LARS, 224 pixels, crops from 0.08 on, no affine.

    (decisions: byol-settings)
    """
    first = Look(size=224, crop_area=(0.08, 1.0), rotate=0.0, translate=0.0, scale=(1.0, 1.0))
    method = BYOLConfig(resnet50(), first=first, second=replace(first, blur=0.1, solarize=0.2))
    return PretrainRecipe("byol-resnet50-published", method, LARS, LARS_TRAIN)


def byol_micro() -> PretrainRecipe:
    """Ours: for two CPU cores."""
    method = BYOLConfig(resnet_micro(), first=MICRO, second=MICRO_SECOND, **MICRO_HEADS)
    return PretrainRecipe("byol-micro", method, MICRO_OPTIM, MICRO_TRAIN)


def simsiam_resnet18() -> PretrainRecipe:
    """SimSiam on a ResNet-18 (ABAW5 Table 1)."""
    return PretrainRecipe("simsiam-resnet18", SimSiamConfig(resnet18()), SMALL_BATCH, SMALL_TRAIN)


def simsiam_resnet50() -> PretrainRecipe:
    """SimSiam on a ResNet-50: its own optimizer, at 96 pixels.

    (decisions: simsiam-settings)
    """
    return PretrainRecipe("simsiam-resnet50", SimSiamConfig(resnet50()), SMALL_BATCH, SMALL_TRAIN)


def simsiam_micro() -> PretrainRecipe:
    """Ours: for two CPU cores."""
    method = SimSiamConfig(resnet_micro(), first=MICRO, second=MICRO_SECOND, projection=512, predictor_hidden=128)
    return PretrainRecipe("simsiam-micro", method, MICRO_OPTIM, MICRO_TRAIN)


def contrawarping_resnet18() -> PretrainRecipe:
    """ContraWarping on a ResNet-18 (ABAW5 Tables 1 to 4). Its checkpoint's name says 50 epochs; the batch is ours."""
    return PretrainRecipe(
        "contrawarping-resnet18", ContraWarpingConfig(resnet18()), SMALL_BATCH, replace(SMALL_TRAIN, epochs=50)
    )


def contrawarping_resnet50() -> PretrainRecipe:
    """ContraWarping on a ResNet-50 (ABAW5 Table 5)."""
    return PretrainRecipe(
        "contrawarping-resnet50", ContraWarpingConfig(resnet50()), SMALL_BATCH, replace(SMALL_TRAIN, epochs=50)
    )


def contrawarping_micro() -> PretrainRecipe:
    """Ours: for two CPU cores. Milder global transformations and stronger warps than the larger recipes have."""
    views = {"first": MILD, "second": MILD, "third": MILD}
    method = ContraWarpingConfig(resnet_micro(), warp=STRONG_WARP, **views, **MICRO_HEADS)
    return PretrainRecipe("contrawarping-micro", method, MICRO_OPTIM, MICRO_TRAIN)


def byol_video() -> PretrainRecipe:
    """Video-BYOL of SS-VAERR on the lip-reading front end."""
    return PretrainRecipe("byol-video", BYOLConfig(lip_reading(), **CLIPS), SMALL_BATCH, VIDEO_TRAIN)


def byol_video_micro() -> PretrainRecipe:
    """Ours: for two CPU cores. Mild views, as for ContraWarping: strong ones hide the expression at 64 pixels (docs/lab.md)."""
    method = BYOLConfig(lip_reading_micro(), first=MILD, second=MILD, **CLIPS, **MICRO_HEADS)
    return PretrainRecipe("byol-video-micro", method, MICRO_OPTIM, MICRO_VIDEO_TRAIN)


def dino_video() -> PretrainRecipe:
    """DINO of SS-VAERR on the lip-reading front end: AdamW, weight decay 0.04 to 0.4, clipped at 3; 4,096 prototypes,
    for data smaller than ImageNet (decisions: dino-settings)."""
    method = DINOConfig(lip_reading(), prototypes=4096, **CLIPS)
    return PretrainRecipe("dino-video", method, replace(ADAMW, lr=5e-4, final_weight_decay=0.4), VIDEO_TRAIN)


def dino_video_micro() -> PretrainRecipe:
    """Ours: for two CPU cores. With the mild views of `byol_video_micro` it does worse (docs/lab.md)."""
    method = DINOConfig(
        lip_reading_micro(), first=MICRO, second=MICRO_SECOND, local=Look(size=32, crop_area=(0.15, 0.5), blur=0.5),
        num_local=2, hidden=256, bottleneck=64, prototypes=256, momentum=0.99, **CLIPS,
    )  # fmt: skip
    return PretrainRecipe(
        "dino-video-micro", method, replace(ADAMW, lr=4e-3, final_weight_decay=0.4), MICRO_VIDEO_TRAIN
    )


def dino_micro() -> PretrainRecipe:
    """Ours: DINO on single pictures, for two CPU cores."""
    method = DINOConfig(
        resnet_micro(), first=MICRO, second=MICRO_SECOND, local=Look(size=32, crop_area=(0.15, 0.5), blur=0.5),
        num_local=2, hidden=256, bottleneck=64, prototypes=256, momentum=0.99,
    )  # fmt: skip
    return PretrainRecipe("dino-micro", method, replace(ADAMW, lr=4e-3, final_weight_decay=0.4), MICRO_TRAIN)


RECIPES = {
    recipe().name: recipe
    for recipe in (
        byol_resnet18, byol_resnet50, byol_resnet50_published, byol_micro,
        simsiam_resnet18, simsiam_resnet50, simsiam_micro,
        contrawarping_resnet18, contrawarping_resnet50, contrawarping_micro,
        byol_video, byol_video_micro, dino_video, dino_video_micro, dino_micro,
    )
}  # fmt: skip
