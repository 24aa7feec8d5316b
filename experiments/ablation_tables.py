"""What the papers' ablations vary, at micro size: a table per ablation, a variant per row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from mien.encoders.output import Pool

# 16 tubes a slice: of the tight crop a patch of 16 pixels is as much face as in a usual crop of 107.
NUM_FRAMES, STRIDE, SIZE = 8, 4, 64
Expected = Literal["reference", "better", "worse", "alike", "unknown"]


@dataclass(frozen=True)
class Pretrained:
    """What fine-tuning starts from; whatever is left out is the micro recipe's."""

    recipe: str = "svfap-micro"
    method: tuple[tuple[str, Any], ...] = ()
    encoder: tuple[tuple[str, Any], ...] = ()
    length: float = 1.0
    """Share of `PRETRAIN_STEPS`; 0 is from scratch."""
    data: float = 1.0
    """Share of the pre-training clips, at equal steps."""

    @property
    def name(self) -> str:
        usual = {"length": 1.0, "data": 1.0}
        fields = [*self.method, *self.encoder, *((k, getattr(self, k)) for k in usual)]
        parts = [f"{k}-{v}" for k, v in fields if k not in usual or v != usual[k]]
        return "_".join([self.recipe, *parts]).replace(" ", "").translate(str.maketrans("(),", "  x")).replace(" ", "")


@dataclass(frozen=True)
class Variant:
    """A row of a table: what is pre-trained, how it is fine-tuned."""

    start: Pretrained = Pretrained()
    pool: Pool | None = None
    labels: float = 1.0

    @property
    def name(self) -> str:
        pool, labels = (
            (f"_pool-{self.pool}" if self.pool else ""),
            (f"_labels-{self.labels}" if self.labels < 1 else ""),
        )
        return self.start.name + pool + labels


@dataclass(frozen=True)
class Row:
    label: str
    variant: Variant
    paper: str
    """UAR printed in the paper (DFEW, fold 1), "" where there is no number."""
    expected: Expected
    """The paper's finding about this row against the reference."""


@dataclass(frozen=True)
class Ablation:
    title: str
    source: str
    finding: str
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def reference(self) -> Row:
        return next(r for r in self.rows if r.expected == "reference")


SCRATCH = (
    "From scratch means Xavier weights here, as pre-training begins; the papers' normal weights of standard deviation 0.02 "
    "are too small for width 128 (lab.md)."
)


def svfap(**changes: Any) -> Pretrained:
    return pretrained("svfap-micro", changes)


def mae_dfer(**changes: Any) -> Pretrained:
    side = SIZE // 16
    usual = {"grid": (NUM_FRAMES // 2, side, side), "region": (2, side // 2, side)}
    return pretrained("mae-dfer-micro", usual | changes)


def pretrained(recipe: str, changes: dict[str, Any]) -> Pretrained:
    """Sorts the changes into fields of the run, of the method and of its encoder."""
    from mien.recipes import recipe as named

    of_method = vars(named(recipe).method)
    run = {k: changes[k] for k in ("length", "data") if k in changes}
    method = tuple((k, v) for k, v in changes.items() if k in of_method)
    encoder = tuple((k, v) for k, v in changes.items() if k not in of_method and k not in run)
    return Pretrained(recipe, method, encoder, **run)


def ablations() -> tuple[Ablation, ...]:
    """Every table; numbers are the papers' UAR on DFEW, fold 1."""
    base, mae = Variant(svfap()), Variant(mae_dfer())
    blocks = (4, 3, 2)  # standard blocks that have about the parameters of the (4, 2, 2) with bottleneck blocks
    joint = Pretrained("mae-dfer-vit-micro")
    return (
        Ablation(
            "Pre-training or not, and how long (SVFAP)", "SVFAP Fig. 4, 5",
            "pre-training beats training from scratch by far, and longer is better",
            (
                Row("full length", base, "62.63", "reference"),
                Row("3/5", Variant(svfap(length=0.6)), "", "worse"),
                Row("1/5", Variant(svfap(length=0.2)), "", "worse"),
                Row("from scratch", Variant(svfap(length=0.0)), "about 21", "worse"),
            ),
            SCRATCH,
        ),
        Ablation(
            "Pre-training or not, and how long (MAE-DFER)", "MAE-DFER Table 2",
            "nearly chance from scratch; saturates at 50 epochs",
            (
                Row("7/5 (70 epochs)", Variant(mae_dfer(length=1.4)), "61.93", "worse"),
                Row("full length (50 epochs)", mae, "62.59", "reference"),
                Row("3/5 (30 epochs)", Variant(mae_dfer(length=0.6)), "60.46", "worse"),
                Row("1/5 (10 epochs)", Variant(mae_dfer(length=0.2)), "58.05", "worse"),
                Row("from scratch", Variant(mae_dfer(length=0.0)), "15.08", "worse"),
            ),
            SCRATCH,
        ),
        Ablation(
            "Mask ratio", "SVFAP Table 2", "90 % is best, 95 % clearly worse",
            (
                Row("75 %", Variant(svfap(mask_ratio=0.75)), "60.89", "worse"),
                Row("85 %", Variant(svfap(mask_ratio=0.85)), "61.87", "worse"),
                Row("90 %", base, "62.63", "reference"),
                Row("95 %", Variant(svfap(mask_ratio=0.95)), "59.93", "worse"),
            ),
            "Of 16 positions 12, 13, 14 and 15 are hidden.",
        ),
        Ablation(
            "Appearance weight (lambda)", "MAE-DFER Fig. 3", "both targets together beat either alone",
            (
                Row("1 (appearance alone)", Variant(mae_dfer(appearance_weight=1.0)), "60.90", "worse"),
                Row("0.75", Variant(mae_dfer(appearance_weight=0.75)), "", "unknown"),
                Row("0.5", mae, "62.59", "reference"),
                Row("0.25", Variant(mae_dfer(appearance_weight=0.25)), "", "unknown"),
                Row("0 (motion alone)", Variant(mae_dfer(appearance_weight=0.0)), "60.82", "worse"),
            ),
        ),
        Ablation(
            "Labels", "SVFAP Fig. 7", "fewer labels are worse; with a tenth more than 50 % UAR is left",
            (
                Row("100 %", base, "62.63", "reference"),
                Row("50 %", Variant(svfap(), labels=0.5), "", "worse"),
                Row("20 %", Variant(svfap(), labels=0.2), "", "worse"),
                Row("10 %", Variant(svfap(), labels=0.1), "above 50", "worse"),
                Row("100 %, from scratch", Variant(svfap(length=0.0)), "about 21", "worse"),
                Row("50 %, from scratch", Variant(svfap(length=0.0), labels=0.5), "", "worse"),
                Row("20 %, from scratch", Variant(svfap(length=0.0), labels=0.2), "", "worse"),
                Row("10 %, from scratch", Variant(svfap(length=0.0), labels=0.1), "", "worse"),
            ),
            "Equal steps for all: fewer labels are seen more often. The paper has no rows from scratch with fewer labels.",
        ),
        Ablation(
            "Pre-training set at equal cost", "SVFAP Table 1", "the more clips, the better",
            (
                Row("100 %", base, "62.63", "reference"),
                Row("20 %", Variant(svfap(data=0.2)), "61.54", "worse"),
                Row("5 %", Variant(svfap(data=0.05)), "60.34", "worse"),
                Row("1 %", Variant(svfap(data=0.01)), "57.65", "worse"),
            ),
        ),
        Ablation(
            "Variants of TPSBT", "SVFAP Table 3",
            "with or without the temporal pyramid alike; the bottleneck is a little better than none, at less cost",
            (
                Row("neither", Variant(svfap(temporal_pyramid=False, spatial_bottleneck=False, depths=blocks)), "61.71", "worse"),
                Row("pyramid", Variant(svfap(spatial_bottleneck=False, depths=blocks)), "60.84", "worse"),
                Row("bottleneck", Variant(svfap(temporal_pyramid=False)), "62.66", "alike"),
                Row("both", base, "62.63", "reference"),
            ),
            "Without the bottleneck the depths are (4, 3, 2) for (4, 2, 2): similar parameters, as in the paper.",
        ),
        Ablation(
            "Fusion of the stages (pre-training / fine-tuning)", "SVFAP Table 4",
            "fusion helps at pre-training and does not at fine-tuning",
            (
                Row("no / no", Variant(svfap(fusion=False)), "61.78", "worse"),
                Row("no / yes", Variant(svfap(fusion=False), pool="fused"), "61.24", "worse"),
                Row("yes / no", base, "62.63", "reference"),
                Row("yes / yes", Variant(svfap(), pool="fused"), "62.39", "alike"),
            ),
        ),
        Ablation(
            "Bottleneck tokens", "SVFAP Table 5", "too few hurt, more do not help",
            (
                Row("2 (paper: 4)", Variant(svfap(bottlenecks=2)), "61.76", "worse"),
                Row("4 (paper: 8)", base, "62.63", "reference"),
                Row("8 (paper: 16)", Variant(svfap(bottlenecks=8)), "62.86", "alike"),
            ),
        ),
        Ablation(
            "Temporal down-sampling", "SVFAP Table 6", "convolution is a little better than pooling",
            (
                Row("average", Variant(svfap(downsample="average")), "62.04", "worse"),
                Row("max", Variant(svfap(downsample="max")), "62.25", "worse"),
                Row("convolution", base, "62.63", "reference"),
            ),
        ),
        Ablation(
            "Region size", "MAE-DFER Table 4", "it matters little",
            (
                Row("1 x 2 x 4 (paper: 1 x 5 x 10)", Variant(mae_dfer(region=(1, 2, 4))), "62.36", "alike"),
                Row("2 x 2 x 4 (paper: 2 x 5 x 10)", mae, "62.59", "reference"),
                Row("2 x 4 x 4 (paper: 2 x 10 x 10)", Variant(mae_dfer(region=(2, 4, 4))), "61.27", "worse"),
                Row("4 x 2 x 4 (paper: 4 x 5 x 10)", Variant(mae_dfer(region=(4, 2, 4))), "62.36", "alike"),
            ),
            "All hide 14 of 16 positions, equally many in each region. Nothing like the paper's 2 x 2 x 10 can do that here.",
        ),
        Ablation(
            "Tokens that are classified", "MAE-DFER Table 11", "representative tokens are slightly better",
            (
                Row("representative", mae, "62.59", "reference"),
                Row("original", Variant(mae_dfer(), pool="tokens"), "62.16", "worse"),
            ),
        ),
        Ablation(
            "Modules of LGI-Former", "MAE-DFER Table 3", "each exchange of information helps; the ViT is no better for its cost",
            (
                Row("intra-region only", Variant(mae_dfer(inter_region=False, local_global=False)), "59.66", "worse"),
                Row("without local-global", Variant(mae_dfer(local_global=False)), "60.43", "worse"),
                Row("without inter-region", Variant(mae_dfer(inter_region=False)), "60.98", "worse"),
                Row("all", mae, "62.59", "reference"),
            ),
        ),
        Ablation(
            "Joint target with a ViT", "MAE-DFER Table 10", "motion beside appearance helps VideoMAE too",
            (
                Row("motion alone", Variant(replace(joint, method=(("appearance_weight", 0.0),))), "60.86", "worse"),
                Row("appearance alone", Variant(Pretrained("videomae-micro")), "61.34", "worse"),
                Row("both", Variant(joint), "62.85", "reference"),
            ),
            "The encoder is the micro ViT; appearance alone is `videomae-micro`, which predicts both frames, as in the paper.",
        ),
    )  # fmt: skip
