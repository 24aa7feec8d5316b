"""Recipes of classification and regression, with the papers' settings; what they cost and what score belongs to them.

A name without ending has the papers' values; ``-released`` those of the released code where it differs
(decisions: fine-tuning-settings, fine-tuning-batch).
`mien benchmark` runs a recipe over the folds of a published protocol, which knows its usual one. SVFAP, MAE-DFER and VideoMAE
share the settings; the pooling follows the encoder (LGI-Former: representative tokens).

Costs are steps per fold, counted from the published list sizes; times were not measured. Scores are UAR / WAR in percent, pooled
over folds, of the papers' models pre-trained on VoxCeleb2; no such run of ours exists.
"""

from __future__ import annotations

from dataclasses import replace

from mien.data.frames import FrameSampling
from mien.data.labels import LabelSpec
from mien.encoders.resnet import resnet18
from mien.encoders.tpsbt import tpsbt_micro
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.train.experiment import Experiment
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.clip import UNSEEN, ClipAugment
from mien.transforms.mix import Mix

# SVFAP 4.1.2 (decisions: fine-tuning-settings).
OPTIM = OptimConfig(lr=1e-3, min_lr=1e-6, betas=(0.9, 0.999), layer_decay=0.75)
TRAIN = TrainConfig(batch_size=96, evaluations=20)
AUGMENT = ClipAugment("random_resized", flip=0.5, randaugment=True, erase=0.25)


def classify() -> Experiment:
    """Classes of clips, with the papers' settings: 100 epochs, batch 96, learning rate 1e-3 per 256 clips, stride 4.

    SVFAP 4.1.2 and MAE-DFER 4.2, and the released code of MAE-DFER. DFEW, MAFW, CREMA-D, RAVDESS and eNTERFACE05 have them all
    ("same as for DFEW", the author in an issue, decisions: fine-tuning-settings); SVFAP names none of its own for AVCAffe, so
    they are taken.
    """
    learner = ClassifyConfig(LabelSpec(clip=UNSEEN), tpsbt_micro(), augment=AUGMENT)
    return Experiment("classify", learner, OPTIM, TRAIN)


def _batch(name: str, experiment: Experiment, batch_size: int) -> Experiment:
    return replace(experiment, name=name, train=replace(experiment.train, batch_size=batch_size))


def classify_svfap_released() -> Experiment:
    """DFEW and MAFW as SVFAP's scripts have them: 4 GPUs x 16 = batch 64, so a learning rate of 2.5e-4.

    Cost: 5 folds of 14,619 steps on DFEW, of 11,458 on MAFW. Expected: SVFAP-B 63.89 / 74.81 on DFEW (read-me; paper
    62.83 / 74.27), 43.51 / 56.31 on MAFW (paper 41.19 / 54.28).
    """
    return _batch("classify-svfap-released", classify(), 64)


def classify_ferv39k() -> Experiment:
    """FERV39k as in both papers: stride 1.

    Cost: 32,383 steps of 96 clips. Expected: SVFAP-B 42.14 / 52.29 (Table 9), MAE-DFER 43.12 / 52.07 (Table 6), VideoMAE
    43.33 / 52.39.
    """
    spec = LabelSpec(clip=replace(UNSEEN, stride=1))
    return replace(classify().learning(spec=spec), name="classify-ferv39k")


def classify_ferv39k_svfap_released() -> Experiment:
    """FERV39k as SVFAP's script has it: batch 64, stride 1.

    Cost: 48,575 steps of 64 clips. Expected: SVFAP-B 43.05 / 52.86 (read-me; paper 42.14 / 52.29).
    """
    return _batch("classify-ferv39k-svfap-released", classify_ferv39k(), 64)


def classify_ferv39k_mae_dfer_released() -> Experiment:
    """FERV39k as MAE-DFER's script and log have it: 3 GPUs x 40 = batch 120 (learning rate 4.6875e-4), stride 1.

    Cost: 25,907 steps of 120 clips. Expected: MAE-DFER 43.29 / 52.50 (read-me; paper 43.12 / 52.07).
    """
    return _batch("classify-ferv39k-mae-dfer-released", classify_ferv39k(), 120)


def regress() -> Experiment:
    """Numbers of clips, with HiCMAE's settings: mean squared error, 30 epochs, batch 96, no mixing.

    (decisions: regression-settings)
    """
    learner = RegressConfig(LabelSpec(kind="dimensional", clip=UNSEEN), tpsbt_micro(), augment=AUGMENT)
    return Experiment("regress", learner, OPTIM, replace(TRAIN, epochs=30))


def regress_werewolf_xl() -> Experiment:
    """Werewolf-XL, pleasure, arousal and dominance of speakers: HiCMAE's settings (30 epochs, stride 3, mean squared error).

    Cost: 5 folds of about 3,600 steps of 96 clips. Expected CCC: SVFAP-B 0.1896 arousal, 0.6427 valence, 0.2969
    dominance (Table 14).
    """
    spec = LabelSpec(kind="dimensional", clip=replace(UNSEEN, stride=3), range=(0.0, 1.0))
    return replace(regress().learning(spec=spec), name="regress-werewolf-xl")


def regress_first_impressions() -> Experiment:
    """First Impressions, five apparent traits; no settings are published, so HiCMAE's for regression are taken (stride 4).

    Needs --allow-personality. Cost: 1,875 steps of 96 clips. Expected: SVFAP-B mean CCC 0.6645, mean ACC 0.9175 (Tables 16, 17).
    """
    spec = LabelSpec(kind="dimensional", clip=UNSEEN, range=(0.0, 1.0))
    return replace(regress().learning(spec=spec), name="regress-first-impressions")


def frames() -> Experiment:
    """Aff-Wild2 expressions frame by frame as the ABAW5 solution's best Res-18: SRP, three stages frozen, one frame in ten.

    Cost: 8,000 steps of 128 images. Expected: macro F1 34.85 of Res-18 pre-trained by ContraWarping (ABAW5 solution Tables 1 to
    4); 30.92 with global pooling, 32.23 on all frames.

    Settings of the released code (decisions: single-frame-settings). Of the paper's tables: SRP, freezing and remainders drawn
    anew each epoch.
    Rates are per 256 images: 0.005 at its batch of 128. Two things are ours: frames are resized to 224 before the random crop,
    not after, and norms and biases do not decay.
    """
    spec = LabelSpec(per="frame", clip=replace(UNSEEN, num_frames=1, stride=1, size=224), views=1)
    augment = ClipAugment("random_resized", crop_area=(0.6, 1.0), crop_aspect=(1.0, 1.0), flip=0.5)
    learner = ClassifyConfig(
        spec, resnet18(), pool="srp", head_norm="none", drop_path=0.0, frozen_stages=3, augment=augment, test_resize=256,
        label_smoothing=0.0, mix=Mix(0.0, 0.0), frames=FrameSampling(),
    )  # fmt: skip
    optim = OptimConfig(kind="sgd", lr=1e-2, min_lr=2e-5, warmup_from=0.1, momentum=0.9, weight_decay=0.01)
    # 8,000 steps, not epochs; 1 in 80 of them is warm-up
    train = TrainConfig(batch_size=128, steps=8000, epochs=80, warmup_epochs=1, evaluations=2)
    return Experiment("frames", learner, optim, train)


def frames_released() -> Experiment:
    """Aff-Wild2 expressions as the released Res-18 configuration: global pooling, nothing frozen, frames chosen once.

    Cost: 8,000 steps of 128 images. Expected: macro F1 30.92 (ABAW5 solution Table 2, global pooling; which configuration was
    behind it is not known).
    """
    changed = frames().learning(pool="tokens", frozen_stages=-1, frames=FrameSampling(redraw=False))
    return replace(changed, name="frames-released")


def frames_resnet50_released() -> Experiment:
    """Aff-Wild2 expressions as the released Res-50 configuration: SRP, stem and two stages frozen, frames chosen once.

    Start it from a ResNet-50. Cost: 8,000 steps of 128 images. Expected: macro F1 37.57 (ABAW5 solution Table 5).
    """
    changed = frames().learning(frozen_stages=2, frames=FrameSampling(redraw=False))
    return replace(changed, name="frames-resnet50-released")
