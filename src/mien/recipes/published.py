"""Published fine-tuning settings, one recipe per data set, with what they cost and what score belongs to them.

The name without ending has the papers' values; ``-released`` those of the released code where it differs
(decisions: fine-tuning-settings, fine-tuning-batch).
A recipe is used with its protocol: ``mien finetune classify-dfew --protocol dfew --fold all --init RUN --data SHARDS --out OUT``.
SVFAP, MAE-DFER and VideoMAE share the settings; the pooling follows the encoder (LGI-Former: representative tokens).

Costs are steps per fold, counted from the published list sizes; times were not measured. Scores are UAR / WAR in percent, pooled
over folds, of the papers' models pre-trained on VoxCeleb2; no such run of ours exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mien.data.frames import FrameSampling
from mien.recipes import sequence
from mien.recipes.supervised import RECIPES as BASE
from mien.recipes.supervised import ClassifyRecipe, RegressRecipe, TaskRecipe, single_frames
from mien.train.loop import TrainConfig


def _batch(recipe: ClassifyRecipe, batch_size: int) -> ClassifyRecipe:
    return replace(recipe, train=replace(recipe.train, batch_size=batch_size))


def classify() -> TaskRecipe:
    """Classification with the papers' settings: 100 epochs, batch 96, learning rate 1e-3 per 256 clips, stride 4."""
    return BASE["classify"]


def regress() -> TaskRecipe:
    """Regression with HiCMAE's settings: mean squared error, 30 epochs, batch 96, no mixing.

    (decisions: regression-settings)
    """
    return BASE["regress"]


def classify_dfew() -> TaskRecipe:
    """DFEW as in both papers (SVFAP 4.1.2, MAE-DFER 4.2); MAE-DFER's code has the same.

    mien finetune classify-dfew --protocol dfew --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of 9,746 steps of 96 clips. Expected: SVFAP-B 62.83 / 74.27 (Table 8), SVFAP-S 60.45 / 72.67, MAE-DFER
    63.41 / 74.43 (Table 5), VideoMAE 63.60 / 74.60.
    """
    return ClassifyRecipe()


def classify_dfew_svfap_released() -> TaskRecipe:
    """DFEW as SVFAP's script has it: 4 GPUs x 16 = batch 64, so a learning rate of 2.5e-4.

    mien finetune classify-dfew-svfap-released --protocol dfew --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of 14,619 steps of 64 clips. Expected: SVFAP-B 63.89 / 74.81 (read-me; paper 62.83 / 74.27).
    """
    return _batch(ClassifyRecipe(), 64)


def classify_ferv39k() -> TaskRecipe:
    """FERV39k as in both papers: stride 1.

    mien finetune classify-ferv39k --protocol ferv39k --fold all --init RUN --data SHARDS --out OUT
    Cost: 32,383 steps of 96 clips. Expected: SVFAP-B 42.14 / 52.29 (Table 9), MAE-DFER 43.12 / 52.07 (Table 6), VideoMAE
    43.33 / 52.39.
    """
    return ClassifyRecipe(stride=1)


def classify_ferv39k_svfap_released() -> TaskRecipe:
    """FERV39k as SVFAP's script has it: batch 64, stride 1.

    mien finetune classify-ferv39k-svfap-released --protocol ferv39k --fold all --init RUN --data SHARDS --out OUT
    Cost: 48,575 steps of 64 clips. Expected: SVFAP-B 43.05 / 52.86 (read-me; paper 42.14 / 52.29).
    """
    return _batch(ClassifyRecipe(stride=1), 64)


def classify_ferv39k_mae_dfer_released() -> TaskRecipe:
    """FERV39k as MAE-DFER's script and log have it: 3 GPUs x 40 = batch 120 (learning rate 4.6875e-4), stride 1.

    mien finetune classify-ferv39k-mae-dfer-released --protocol ferv39k --fold all --init RUN --data SHARDS --out OUT
    Cost: 25,907 steps of 120 clips. Expected: MAE-DFER 43.29 / 52.50 (read-me; paper 43.12 / 52.07).
    """
    return _batch(ClassifyRecipe(stride=1), 120)


def classify_mafw() -> TaskRecipe:
    """MAFW, 11 single classes, as in both papers; MAE-DFER's code has the same.

    mien finetune classify-mafw --protocol mafw --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of 7,639 steps of 96 clips. Expected: SVFAP-B 41.19 / 54.28 (Table 10), MAE-DFER 41.62 / 54.31 (Table 7; read-me
    42.36 / 55.03).
    """
    return ClassifyRecipe()


def classify_mafw_svfap_released() -> TaskRecipe:
    """MAFW as SVFAP's script has it: batch 64.

    mien finetune classify-mafw-svfap-released --protocol mafw --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of 11,458 steps of 64 clips. Expected: SVFAP-B 43.51 / 56.31 (read-me; paper 41.19 / 54.28).
    """
    return _batch(ClassifyRecipe(), 64)


def classify_crema_d() -> TaskRecipe:
    """CREMA-D, 5 folds by actor: "same as for DFEW" (the author in an issue, decisions: fine-tuning-settings).

    mien finetune classify-crema-d --protocol crema-d --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of 6,228 steps of 96 clips. Expected: SVFAP-B 77.31 / 77.37 (Table 11), MAE-DFER 77.33 / 77.38 (Table 8).
    """
    return ClassifyRecipe()


def classify_ravdess() -> TaskRecipe:
    """RAVDESS, 6 folds by actor: "same as for DFEW".

    mien finetune classify-ravdess --protocol ravdess --fold all --init RUN --data SHARDS --out OUT
    Cost: 6 folds of 1,250 steps of 96 clips. Expected: SVFAP-B 75.15 / 75.01 (Table 12), MAE-DFER 75.91 / 75.56 (Table 8).
    """
    return ClassifyRecipe()


def classify_enterface05() -> TaskRecipe:
    """eNTERFACE05, 5 folds by subject: "same as for DFEW".

    mien finetune classify-enterface05 --protocol enterface05 --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of 1,059 steps of 96 clips. Expected: SVFAP-B 60.58 / 60.54 (Table 13), MAE-DFER 61.67 / 61.64 (Table 8).
    """
    return ClassifyRecipe()


def classify_avcaffe() -> TaskRecipe:
    """AVCAffe arousal or valence in five classes; SVFAP names no settings of its own for it, so DFEW's are taken.

    mien finetune classify-avcaffe --protocol avcaffe-arousal --fold all --init RUN --data SHARDS --out OUT
    Cost: about 49,000 steps of 96 clips (some 47,000 training segments, from 58,112 and 86 of 106 people). Expected: SVFAP-B
    weighted F1 40.36 arousal, 41.49 valence (Table 15).
    """
    return ClassifyRecipe()


def regress_werewolf_xl() -> TaskRecipe:
    """Werewolf-XL, pleasure, arousal and dominance of speakers: HiCMAE's settings (30 epochs, stride 3, mean squared error).

    mien finetune regress-werewolf-xl --protocol werewolf-xl --fold all --init RUN --data SHARDS --out OUT
    Cost: 5 folds of about 3,600 steps of 96 clips. Expected CCC: SVFAP-B 0.1896 arousal, 0.6427 valence, 0.2969
    dominance (Table 14).
    """
    return RegressRecipe(stride=3, range=(0.0, 1.0))


def regress_first_impressions() -> TaskRecipe:
    """First Impressions, five apparent traits; no settings are published, so HiCMAE's for regression are taken (stride 4).

    mien finetune regress-first-impressions --allow-personality --protocol first-impressions --init RUN --data SHARDS --out OUT
    Cost: 1,875 steps of 96 clips. Expected: SVFAP-B mean CCC 0.6645, mean ACC 0.9175 (Tables 16, 17).
    """
    return RegressRecipe(range=(0.0, 1.0), train=TrainConfig(batch_size=96, epochs=30))


def frames() -> TaskRecipe:
    """Aff-Wild2 expressions frame by frame as the ABAW5 solution's best Res-18: SRP, three stages frozen, one frame in ten.

    mien finetune frames --protocol aff-wild2-expr --init RUN --data SHARDS --out OUT
    Cost: 8,000 steps of 128 images. Expected: macro F1 34.85 of Res-18 pre-trained by ContraWarping (ABAW5 solution Tables 1 to
    4); 30.92 with global pooling, 32.23 on all frames.

    Settings of the released code (decisions: single-frame-settings). Of the paper's tables: SRP, freezing and remainders drawn
    anew each epoch.
    Two things are ours: frames are resized to 224 before the random crop, not after, and norms and biases do not decay.
    """
    return BASE["frames"]


def frames_released() -> TaskRecipe:
    """Aff-Wild2 expressions as the released Res-18 configuration: global pooling, nothing frozen, frames chosen once.

    mien finetune frames-released --protocol aff-wild2-expr --init RUN --data SHARDS --out OUT
    Cost: 8,000 steps of 128 images. Expected: macro F1 30.92 (ABAW5 solution Table 2, global pooling; which configuration was
    behind it is not known).
    """
    sampling = FrameSampling(redraw=False)
    return replace(single_frames(), pool="tokens", frozen_stages=-1, frames=sampling)


def frames_resnet50_released() -> TaskRecipe:
    """Aff-Wild2 expressions as the released Res-50 configuration: SRP, stem and two stages frozen, frames chosen once.

    mien finetune frames-resnet50-released --protocol aff-wild2-expr --init RUN --data SHARDS --out OUT
    Cost: 8,000 steps of 128 images. Expected: macro F1 37.57 (ABAW5 solution Table 5).
    """
    return replace(single_frames(), frozen_stages=2, frames=FrameSampling(redraw=False))


RECIPES: dict[str, Callable[[], TaskRecipe]] = {
    recipe.__name__.replace("_", "-"): recipe
    for recipe in (
        classify, regress,
        classify_dfew, classify_dfew_svfap_released,
        classify_ferv39k, classify_ferv39k_svfap_released, classify_ferv39k_mae_dfer_released,
        classify_mafw, classify_mafw_svfap_released,
        classify_crema_d, classify_ravdess, classify_enterface05, classify_avcaffe,
        regress_werewolf_xl, regress_first_impressions,
        frames, frames_released, frames_resnet50_released,
    )
} | sequence.RECIPES  # fmt: skip


def descriptions() -> dict[str, str]:
    """First line of each recipe's docstring, by name."""
    return {name: (recipe.__doc__ or "").strip().splitlines()[0] for name, recipe in RECIPES.items()}
