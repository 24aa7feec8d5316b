"""Parameters and FLOPs against the papers' tables and the measurements of the published code."""

from __future__ import annotations

import json

import pytest
import torch

from mien.verbs.main import run
from mien.verbs.profile_rows import (
    BILLION,
    MILLION,
    Variant,
    agrees,
    mae_dfer_tables,
    profile,
    rows,
    svfap_tables,
    variants,
)

PRINTED = [*svfap_tables(), *mae_dfer_tables()]

# Measured on the published code: parameters, fine-tuning and pre-training GFLOPs
# (decisions: parameter-counts, flop-counting).
EXACT = {
    "svfap-base": (77_635_351, 43.602, 12.946),
    "svfap-small": (29_678_615, 18.067, 10.166),
    "svfap-mask-75": (77_635_351, 43.602, 18.448),
    "svfap-mask-85": (77_635_351, 43.602, 14.740),
    "svfap-mask-95": (77_635_351, 43.602, 11.193),
    "svfap-bottleneck-4": (77_634_319, 43.186, 12.572),
    "svfap-bottleneck-16": (77_637_415, 44.442, 13.704),
    "svfap-no-tp-no-sbt": (None, 76.854, 14.919),
    "svfap-tp-only": (None, 53.134, 13.122),
    "svfap-sbt-only": (None, 49.938, 13.480),
    "svfap-average": (None, 43.287, 12.915),
    "mae-dfer-base": (84_878_343, 49.752, 14.052),
    "mae-dfer-small": (47_930_119, 28.393, 11.562),
    "mae-dfer-tiny": (21_467_655, 12.981, 9.734),
    "mae-dfer-intra": (51_225_607, 42.700, None),
    "mae-dfer-intra-inter": (68_043_783, 42.836, None),
    "mae-dfer-intra-lgi": (68_060_167, 49.616, None),
    "mae-dfer-region-1x5x10": (84_882_439, 49.810, None),
    "mae-dfer-region-2x2x10": (84_884_487, 50.036, None),
    "mae-dfer-region-2x10x10": (84_876_295, 50.707, None),
    "mae-dfer-region-4x5x10": (84_876_295, 50.707, None),
    "videomae-base": (86_232_583, 80.762, 15.954),
}


@pytest.mark.parametrize("variant", PRINTED, ids=lambda v: v.name)
def test_every_row_agrees_with_the_papers_digits(variant: Variant):
    row = profile(variant, latency=False)
    assert agrees(row.params, MILLION, variant.params_m)
    assert agrees(row.flops, BILLION, variant.flops_g)
    if variant.flops_pretrain_g is not None:
        assert row.flops_pretrain is not None
        assert agrees(row.flops_pretrain, BILLION, variant.flops_pretrain_g)


@pytest.mark.parametrize(("name", "exact"), EXACT.items(), ids=EXACT)
def test_counts_equal_those_of_the_published_code(name, exact):
    row = profile(variants()[name], latency=False)
    params, flops, pretrain = exact
    assert params in (None, row.params)
    assert row.flops / BILLION == pytest.approx(flops, abs=6e-4)
    assert pretrain is None or (row.flops_pretrain or 0) / BILLION == pytest.approx(pretrain, abs=6e-4)


# Parameters of the pre-training models (decisions: parameter-counts).
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("svfap-base", 85_517_200),
        ("svfap-small", 37_512_208),
        ("mae-dfer-base", 92_760_192),
        ("mae-dfer-small", 55_763_712),
        ("mae-dfer-tiny", 29_252_992),
        ("videomae-base", 94_210_944),
    ],
)
def test_pre_training_models_have_the_published_number_of_parameters(name, parameters):
    with torch.device("meta"):
        model = variants()[name].method.build()
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_printed_digits_are_what_is_compared():
    assert agrees(77_635_351, MILLION, 77.6)
    assert agrees(77_635_351, MILLION, 78)
    assert not agrees(77_635_351, MILLION, 77.7)
    assert agrees(77_635_351, MILLION, None) is None


def test_json_has_a_row_per_variant(capsys):
    assert run(["profile", "svfap-micro", "mae-dfer-tiny", "--json", "--no-latency"]) == 0
    micro, tiny = json.loads(capsys.readouterr().out)
    assert micro["name"] == "svfap-micro"
    assert [micro[k] for k in ("paper", "table", "paper_params_m", "paper_flops_g")] == [None] * 4
    assert (tiny["params"], tiny["paper_params_m"], tiny["table"]) == (21_467_655, 21.5, "Table 9")


def test_latency_is_measured(capsys):
    assert run(["profile", "svfap-micro"]) == 0
    assert "svfap-micro" in capsys.readouterr().out
    row = profile(variants()["svfap-micro"])
    assert row.latency_s is not None
    assert 0 < row.latency_s < 60
    assert 0 < (profile(rows()["srp-resnet18"]).latency_s or 0) < 60


# Parameters as published (decisions: parameter-counts, flop-counting).
# Multiply-adds by hand: ResNets have the widely published 1.814 and 4.089 G less the classifier's, and
# 2 per element of what passes a BatchNorm. The published front end's 69.694 G hold its average pooling too, 0.001 G.
PARTS = {
    "resnet18": (11_176_512, 1.81356 + 2 * 2.483712e-3),
    "resnet50": (23_508_032, 4.087136 + 2 * 11.113984e-3),
    "srp-resnet18": (787_456, ((36 * 512 + 9 * 256) * 256 * 4 + 2 * 45 * 256) / 1e9),
    "srp-resnet50": (2_360_320, ((36 * 2048 + 9 * 256) * 256 * 4 + 2 * 45 * 256) / 1e9),
    "lipreading-resnet18": (11_182_784, 69.694 - 200 * 9 * 512 / 1e9),
    "lipreading-resnet18-prelu": (11_186_688, 69.694 - 200 * 9 * 512 / 1e9),
}


def test_rows_of_parts(capsys):
    assert run(["profile", *PARTS, "--json", "--no-latency"]) == 0
    for row, (name, (params, flops)) in zip(json.loads(capsys.readouterr().out), PARTS.items(), strict=True):
        assert (row["name"], row["params"], row["flops_pretrain"], row["latency_s"]) == (name, params, None, None)
        assert row["flops"] / BILLION == pytest.approx(flops, abs=6e-4)


def test_an_unknown_row_is_the_users_error(capsys):
    assert run(["profile", "svfap-huge"]) == 2
    assert "no row svfap-huge; there are: svfap-mask-75" in capsys.readouterr().err
