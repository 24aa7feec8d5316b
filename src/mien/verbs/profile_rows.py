"""The rows of the papers' tables and their counts beside the printed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from mien.data.labels import LabelSpec
from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.lip_reading import LipReadingConfig, lip_reading
from mien.encoders.resnet import resnet18, resnet50
from mien.encoders.tpsbt import tpsbt_base, tpsbt_small
from mien.errors import UserError
from mien.layers.spatial_reserve import SpatialReserve
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.masked import MaskedConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.table import MethodConfig
from mien.models.count import count_flops, count_parameters, forward_seconds, meta_clip
from mien.recipes import index, recipe
from mien.tasks.classify import ClassifyConfig
from mien.transforms.clip import ClipSpec

SEVEN = tuple("abcdefg")  # the papers count the classifier of DFEW's seven classes
BILLION, MILLION = 1e9, 1e6


@dataclass(frozen=True)
class Variant:
    """A row of a paper's table, or a recipe of ours (paper None). Paper numbers keep the printed digits: 30 is not 30.0."""

    name: str
    method: MethodConfig
    paper: str | None = None
    table: str | None = None
    params_m: float | None = None
    flops_g: float | None = None
    flops_pretrain_g: float | None = None

    @property
    def classifier(self) -> ClassifyConfig:
        """What the papers fine-tune on DFEW."""
        method = self.method
        clip = ClipSpec(method.clip.num_frames, size=method.clip.size)
        spec = LabelSpec(SEVEN, clip=clip)
        return ClassifyConfig(spec, method.encoder, pool=method.encoder.pools[0])


@dataclass(frozen=True)
class Part:
    """A row of a part that several methods and tasks share, without a classifier: an encoder, a pooling."""

    name: str
    module: Callable[[], nn.Module]
    shape: tuple[int, ...]
    """Of its input."""


@dataclass(frozen=True)
class Profile:
    """A measured row: counts, the paper's printed numbers (None where it prints none), seconds of a forward pass."""

    name: str
    paper: str | None
    table: str | None
    params: int
    flops: int
    flops_pretrain: int | None
    paper_params_m: float | None
    paper_flops_g: float | None
    paper_flops_pretrain_g: float | None
    latency_s: float | None


def _tpsbt(**switches: Any) -> MethodConfig:
    return SVFAPConfig(encoder=replace(tpsbt_base(), **switches))


def _lgi(**switches: Any) -> MethodConfig:
    return MAEDFERConfig(encoder=LGIFormerConfig(**switches))


STANDARD = {"spatial_bottleneck": False, "depths": (12, 8, 4)}


def svfap_tables() -> Iterator[Variant]:
    """SVFAP Tables 2, 3, 5, 6 and its own two rows of 7, as printed."""
    for percent, flops in ((75, 18.4), (85, 14.7), (90, 12.9), (95, 11.2)):
        method = SVFAPConfig(mask_ratio=percent / 100)
        yield Variant(f"svfap-mask-{percent}", method, "SVFAP", "Table 2", 77.6, 43.6, flops)
    for name, switches, params, flops, pretrain in (
        ("svfap-no-tp-no-sbt", {"temporal_pyramid": False, **STANDARD}, 76.4, 76.9, 14.9),
        ("svfap-tp-only", STANDARD, 77.5, 53.1, 13.1),
        ("svfap-sbt-only", {"temporal_pyramid": False}, 76.6, 49.9, 13.5),
        ("svfap-tp-and-sbt", {}, 77.6, 43.6, 12.9),
    ):
        yield Variant(name, _tpsbt(**switches), "SVFAP", "Table 3", params, flops, pretrain)
    for tokens, flops, pretrain in ((4, 43.2, 12.6), (8, 43.6, 12.9), (16, 44.4, 13.7)):
        name = f"svfap-bottleneck-{tokens}"
        yield Variant(name, _tpsbt(bottlenecks=tokens), "SVFAP", "Table 5", 77.6, flops, pretrain)
    for kind, params, flops in (("average", 76.6, 43.3), ("max", 76.6, 43.3), ("conv", 77.6, 43.6)):
        yield Variant(f"svfap-{kind}", _tpsbt(downsample=kind), "SVFAP", "Table 6", params, flops, 12.9)
    yield Variant("svfap-small", SVFAPConfig(encoder=tpsbt_small()), "SVFAP", "Table 7", 30, 18)
    yield Variant("svfap-base", SVFAPConfig(), "SVFAP", "Table 7", 78, 44)


def mae_dfer_tables() -> Iterator[Variant]:
    """MAE-DFER Tables 3, 4, 5 (VideoMAE and its own) and 9, as printed."""
    vit = recipe("videomae-base").method
    for name, switches, params, flops in (
        ("mae-dfer-intra", {"inter_region": False, "local_global": False}, 51.2, 42.7),
        ("mae-dfer-intra-inter", {"local_global": False}, 68.0, 42.8),
        ("mae-dfer-intra-lgi", {"inter_region": False}, 68.1, 49.6),
        ("mae-dfer-intra-inter-lgi", {}, 84.9, 49.8),
    ):
        yield Variant(name, _lgi(**switches), "MAE-DFER", "Table 3", params, flops)
    joint = recipe("mae-dfer-vit-base").method
    yield Variant("mae-dfer-vit-base", joint, "MAE-DFER", "Table 3", 86.2, 80.8)
    for region, flops in (
        ((1, 5, 10), 49.8),
        ((2, 2, 10), 50.0),
        ((2, 5, 10), 49.8),
        ((2, 10, 10), 50.7),
        ((4, 5, 10), 50.7),
    ):
        name = "mae-dfer-region-" + "x".join(map(str, region))
        yield Variant(name, _lgi(region=region), "MAE-DFER", "Table 4", 84.9, flops)
    yield Variant("videomae-base", vit, "MAE-DFER", "Table 5", 86, 81)
    yield Variant("mae-dfer-base", MAEDFERConfig(), "MAE-DFER", "Table 5", 85, 50)
    for size, params, flops in (("tiny", 21.5, 13.0), ("small", 47.9, 28.4)):
        yield Variant(f"mae-dfer-{size}", recipe(f"mae-dfer-{size}").method, "MAE-DFER", "Table 9", params, flops)
    yield Variant("mae-dfer-size-base", MAEDFERConfig(), "MAE-DFER", "Table 9", 84.9, 49.8)


def variants() -> dict[str, Variant]:
    """The papers' rows, then the recipes that are in no table, by name."""
    rows = {v.name: v for v in (*svfap_tables(), *mae_dfer_tables())}
    return rows | {name: Variant(name, recipe(name).method) for name in index(("masked",)) if name not in rows}


RESNET_MAP = 7  # rows and columns of the last map of a ResNet at 224 pixels


def _parts() -> Iterator[Part]:
    """Counts to compare with are published (decisions: parameter-counts)."""
    for depth, encoder in ((18, resnet18()), (50, resnet50())):
        grid = RESNET_MAP, RESNET_MAP
        yield Part(f"resnet{depth}", encoder.build, (1, 3, 1, 224, 224))
        yield Part(f"srp-resnet{depth}", partial(SpatialReserve, encoder.dim, grid), (1, RESNET_MAP**2, encoder.dim))
    yield Part("lipreading-resnet18", lip_reading().build, (1, 1, 200, 96, 96))
    yield Part("lipreading-resnet18-prelu", LipReadingConfig("prelu").build, (1, 1, 200, 96, 96))


def rows() -> dict[str, Variant | Part]:
    """All rows of the table, by name."""
    return {**variants(), **{part.name: part for part in _parts()}}


def chosen(names: Sequence[str]) -> list[Variant | Part]:
    """The rows of these names (all without one). Raises UserError for a name that is none."""
    table = rows()
    if unknown := [name for name in names if name not in table]:
        raise UserError(f"no row {', '.join(unknown)}; there are: {', '.join(table)}")
    return [table[name] for name in names or table]


def profile(variant: Variant | Part, latency: bool = True) -> Profile:
    """Counts without computing anything and, if wanted, the seconds of a forward pass."""
    if isinstance(variant, Part):
        return _profile_part(variant, latency)
    params, flops = _counts(variant.classifier)
    return Profile(
        variant.name, variant.paper, variant.table, params, flops, _pretrain_flops(variant.method),
        variant.params_m, variant.flops_g, variant.flops_pretrain_g, _latency(variant.classifier) if latency else None,
    )  # fmt: skip


@lru_cache
def _counts(config: ClassifyConfig) -> tuple[int, int]:
    with torch.device("meta"):
        model = config.build().eval()
    return count_parameters(model), count_flops(
        lambda: model(meta_clip(config.spec.clip.size, config.spec.clip.num_frames))
    )


@lru_cache
def _pretrain_flops(config: MethodConfig) -> int:
    """Of the whole forward pass, decoder included, on one masked clip."""
    assert isinstance(config, MaskedConfig), "rows with a method are masked autoencoders"
    with torch.device("meta"):
        model = config.build().eval()
        keep = torch.zeros(1, config.mask().num_visible, dtype=torch.int64)
    return count_flops(lambda: model.reconstruct(meta_clip(config.clip.size, config.clip.num_frames), keep))


def _profile_part(part: Part, latency: bool) -> Profile:
    with torch.device("meta"):
        module = part.module().eval()
    flops = count_flops(lambda: module(torch.zeros(part.shape, device="meta")))
    seconds = forward_seconds(part.module(), part.shape) if latency else None
    return Profile(part.name, None, None, count_parameters(module), flops, None, None, None, None, seconds)


@lru_cache
def _latency(config: ClassifyConfig) -> float:
    return forward_seconds(
        config.build(), (1, 3, config.spec.clip.num_frames, config.spec.clip.size, config.spec.clip.size)
    )


def agrees(count: int, unit: float, printed: float | None) -> bool | None:
    """Whether a count rounds to the digits the paper prints; None where it prints nothing."""
    if printed is None:
        return None
    return round(count / unit, 0 if isinstance(printed, int) else 1) == printed
