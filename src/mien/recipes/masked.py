"""Recipes of the masked family: SVFAP, MAE-DFER, VideoMAE. Every row of the papers' tables is one of these with an override:

mien pretrain svfap-base --encoder.bottlenecks 4          SVFAP Table 5 (docs/methods has all of them)
"""

from __future__ import annotations

from typing import Any

from mien.encoders.lgi_former import lgi_former_micro, lgi_former_small, lgi_former_tiny
from mien.encoders.tpsbt import tpsbt_base, tpsbt_micro, tpsbt_small, tpsbt_tiny
from mien.encoders.vit import vit_512, vit_base, vit_micro
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.videomae import VideoMAEConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import ClipAugment, ClipSpec

# Ours, for micro models: 96 pixels, a decoder 128 wide with 2 blocks, since the papers' would be nearly all of the cost, and
# no random crops: runs are short, and with them such a model hardly leaves the plateau of its first steps (docs/lab.md).
MICRO: dict[str, Any] = {
    "clip": ClipSpec(size=96), "augment": ClipAugment("multi_scale", scales=(1.0,)),
    "decoder_dim": 128, "decoder_depth": 2, "decoder_heads": 4,
}  # fmt: skip
MICRO_TRAIN = TrainConfig(batch_size=32)
MICRO_OPTIM = OptimConfig(lr=8e-3, min_lr=8e-5)  # per 256 clips, so higher than the papers'
# MAE-DFER 4.2 and SVFAP 4.1.2 agree but for length and batch; VideoMAE is pre-trained "under the same setting".
MAE_DFER_TRAIN = TrainConfig(batch_size=128, epochs=50)


def svfap_base() -> Experiment:
    """SVFAP-B on VoxCeleb2 dev: batch 256, 100 epochs, 5 warm-up, lr 3e-4 (paper 4.1.2; 5 to 6 days on 4 RTX 3090)."""
    return Experiment("svfap-base", SVFAPConfig())


def svfap_small() -> Experiment:
    """SVFAP-S (paper Table 7), otherwise as the base recipe."""
    return Experiment("svfap-small", learner=SVFAPConfig(encoder=tpsbt_small()))


def svfap_tiny() -> Experiment:
    """Ours: 160 pixels, for one modest GPU or a patient laptop."""
    learner = SVFAPConfig(encoder=tpsbt_tiny(), decoder_dim=192, decoder_heads=3)
    return Experiment("svfap-tiny", learner, OptimConfig(lr=6e-4), TrainConfig(batch_size=64))


def svfap_micro() -> Experiment:
    """Ours: for two CPU cores."""
    return Experiment("svfap-micro", SVFAPConfig(encoder=tpsbt_micro(), **MICRO), MICRO_OPTIM, MICRO_TRAIN)


def mae_dfer_base() -> Experiment:
    """MAE-DFER-B on VoxCeleb2 dev: batch 128, 50 epochs, 5 warm-up, lr 3e-4 per 256 clips (paper 4.2)."""
    return Experiment("mae-dfer-base", MAEDFERConfig(), train=MAE_DFER_TRAIN)


def mae_dfer_base_released() -> Experiment:
    """As the published log has it: batch 160, a schedule of 100 epochs stopped at 50.

    (decisions: pre-training-schedule)
    """
    return Experiment(
        "mae-dfer-base-released", MAEDFERConfig(), train=TrainConfig(batch_size=160, epochs=50, schedule_epochs=100)
    )


def mae_dfer_small() -> Experiment:
    """384 wide (paper Table 9)."""
    return Experiment("mae-dfer-small", MAEDFERConfig(encoder=lgi_former_small()), train=MAE_DFER_TRAIN)


def mae_dfer_tiny() -> Experiment:
    """256 wide (paper Table 9)."""
    return Experiment("mae-dfer-tiny", MAEDFERConfig(encoder=lgi_former_tiny()), train=MAE_DFER_TRAIN)


def mae_dfer_micro() -> Experiment:
    """Ours: for two CPU cores."""
    return Experiment("mae-dfer-micro", MAEDFERConfig(encoder=lgi_former_micro(), **MICRO), MICRO_OPTIM, MICRO_TRAIN)


def mae_dfer_vit_base() -> Experiment:
    """VideoMAE with the joint appearance and motion target (MAE-DFER Table 10)."""
    return Experiment("mae-dfer-vit-base", MAEDFERConfig(encoder=vit_base()), train=MAE_DFER_TRAIN)


def mae_dfer_tpsbt_base() -> Experiment:
    """Ours: MAE-DFER's target with SVFAP's encoder and fusion."""
    return Experiment("mae-dfer-tpsbt-base", MAEDFERConfig(encoder=tpsbt_base()), train=MAE_DFER_TRAIN)


def videomae_base() -> Experiment:
    """VideoMAE on VoxCeleb2, pre-trained as MAE-DFER is (its Tables 5 to 7)."""
    return Experiment("videomae-base", VideoMAEConfig(), train=MAE_DFER_TRAIN)


def videomae_512() -> Experiment:
    """The ViT of SVFAP's Table 3, pre-trained as SVFAP is."""
    return Experiment("videomae-512", VideoMAEConfig(encoder=vit_512()))


def videomae_micro() -> Experiment:
    """Ours: for two CPU cores."""
    return Experiment("videomae-micro", VideoMAEConfig(encoder=vit_micro(), **MICRO), MICRO_OPTIM, MICRO_TRAIN)
