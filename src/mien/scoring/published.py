"""Rows of the papers' tables, as printed there. A "-" is a number that was not given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One method in one table: its printed numbers by metric (percent where the table has percent)."""

    method: str
    modality: str
    values: dict[str, float]
    source: str


def rows(source: str, metrics: str, text: str, modality: str = "video") -> tuple[Row, ...]:
    """Rows from lines ``method | numbers`` or ``method | modality | numbers``; `metrics` names the numbers."""
    found = []
    for line in text.strip().splitlines():
        method, *middle, numbers = (part.strip() for part in line.split("|"))
        pairs = zip(metrics.split(), numbers.split(), strict=True)
        values = {name: float(number) for name, number in pairs if number != "-"}
        found.append(Row(method, middle[0] if middle else modality, values, source))
    return tuple(found)


_README = "{} repository read-me, one reproduced run"  # (decisions: published-scores)
_UW = "uar war"

DFEW = rows("SVFAP Table 8", _UW, """
3D ResNet-18 | 46.52 58.27
EC-STFL | 45.35 56.51
ResNet-18+LSTM | 51.32 63.85
ResNet-18+GRU | 51.68 64.02
Former-DFER | 53.69 65.70
CEFLNet | 51.14 65.35
EST | 53.43 65.85
STT | 54.58 66.65
DPCNet | 57.11 66.32
NR-DFERNet | 54.21 68.19
IAL | 55.71 69.24
M3DFEL | 56.10 69.25
SVFAP-S | 60.45 72.67
SVFAP-B | 62.83 74.27
""") + rows("MAE-DFER Table 5", _UW, """
C3D | 42.74 53.54
R(2+1)D-18 | 42.79 53.22
VideoMAE (Kinetics-400) | 58.49 70.61
VideoMAE (VoxCeleb2) | 63.60 74.60
MAE-DFER | 63.41 74.43
""") + rows(_README.format("SVFAP"), _UW, "SVFAP-B, reproduced | 63.89 74.81")  # fmt: skip

FERV39K = rows("SVFAP Table 9", _UW, """
C3D | 22.68 31.69
P3D | 30.48 40.81
R(2+1)D | 31.55 41.28
3D ResNet-18 | 26.67 37.57
ResNet-18+LSTM | 30.92 42.59
VGG-13+LSTM | 32.42 43.37
Two C3D | 30.72 41.77
Two ResNet-18+LSTM | 31.28 43.20
Two VGG-13+LSTM | 32.79 44.54
Former-DFER | 37.20 46.85
STT | 37.76 48.11
NR-DFERNet | 33.99 45.97
IAL | 35.82 48.54
M3DFEL | 35.94 47.67
SVFAP-S | 41.19 51.34
SVFAP-B | 42.14 52.29
""") + rows("MAE-DFER Table 6", _UW, """
VideoMAE (Kinetics-400) | 38.50 49.61
VideoMAE (VoxCeleb2) | 43.33 52.39
MAE-DFER | 43.12 52.07
""") + rows(_README.format("SVFAP"), _UW, "SVFAP-B, reproduced | 43.05 52.86") + rows(
    _README.format("MAE-DFER"), _UW, "MAE-DFER, reproduced | 43.29 52.50"
)  # fmt: skip

MAFW = rows("SVFAP Table 10", _UW, """
ResNet-18 | 25.58 36.65
ViT | 32.36 45.04
C3D | 31.17 42.25
ResNet-18+LSTM | 28.08 39.38
ViT+LSTM | 32.67 45.56
C3D+LSTM | 29.75 43.76
Former-DFER | 31.16 43.27
T-ESFL | 33.28 48.18
SVFAP-S | 39.82 53.89
SVFAP-B | 41.19 54.28
""") + rows("MAE-DFER Table 7", _UW, """
VideoMAE (Kinetics-400) | 38.43 51.74
VideoMAE (VoxCeleb2) | 40.87 53.51
MAE-DFER | 41.62 54.31
""") + rows(_README.format("SVFAP"), _UW, "SVFAP-B, reproduced | 43.51 56.31") + rows(
    _README.format("MAE-DFER"), _UW, "MAE-DFER, reproduced | 42.36 55.03"
)  # fmt: skip

CREMA_D = rows("SVFAP Table 11", _UW, """
VO-LSTM | - 66.80
Goncalves et al. | - 62.20
Lei et al. | 64.68 64.76
AV-LSTM | video + audio | - 72.90
AV-Gating | video + audio | - 74.00
TFN | video + audio | - 63.09
EF-GRU | video + audio | - 57.06
LF-GRU | video + audio | - 58.53
MuT Base | video + audio | - 68.87
MuT Large | video + audio | - 70.22
Goncalves et al. | video + audio | - 77.30
SVFAP-S | 74.58 74.58
SVFAP-B | 77.31 77.37
""") + rows("MAE-DFER Table 8", _UW, "MAE-DFER | 77.33 77.38")  # fmt: skip

RAVDESS = rows("SVFAP Table 12", _UW, """
VO-LSTM | - 60.50
3D ResNeXt-50 | - 62.99
AV-LSTM | video + audio | - 65.80
AV-Gating | video + audio | - 67.70
MCBP | video + audio | - 71.32
MMTM | video + audio | - 73.12
MSAF | video + audio | - 74.86
CFN-SR | video + audio | - 75.76
SVFAP-S | 73.59 73.90
SVFAP-B | 75.15 75.01
""") + rows("MAE-DFER Table 8", _UW, "MAE-DFER | 75.91 75.56")  # fmt: skip

ENTERFACE05 = rows("SVFAP Table 13", _UW, """
Mansoorzadeh et al. | - 37.00
3DCNN | - 41.05
3DCNN-DAP | - 41.36
Zhalehpour et al. | - 42.16
FAN | - 51.44
STA-FER | - 42.98
TSA-FER | - 43.72
C-LSTM | - 45.29
EC-LSTM | - 49.26
Graph-Tran | - 54.62
SVFAP-S | 57.16 57.12
SVFAP-B | 60.58 60.54
""") + rows("MAE-DFER Table 8", _UW, "MAE-DFER | 61.67 61.64")  # fmt: skip

# PCC and CCC of the audio-visual row are printed the other way round than possible (CCC never exceeds PCC): kept as printed.
WEREWOLF_XL = rows(
    "SVFAP Table 14", "pcc:arousal ccc:arousal pcc:valence ccc:valence pcc:dominance ccc:dominance", """
HOG | 0.2082 0.1443 0.5254 0.3456 0.2476 0.1690
VGGFace-LSTM | 0.0724 0.0461 0.6296 0.6038 0.1430 0.0820
Zhang et al. (CCC above PCC as printed) | video + audio | 0.1641 0.2770 0.6314 0.6234 0.3540 0.3840
SVFAP-S | 0.2211 0.1786 0.6566 0.6374 0.3202 0.2799
SVFAP-B | 0.2351 0.1896 0.6711 0.6427 0.3461 0.2969
""",
)  # fmt: skip


def _avcaffe(column: int) -> tuple[Row, ...]:
    text = """
MC3-18 | video | 34.00 38.80
3D ResNet-18 | video | 30.90 39.50
R(2+1)D-18 | video | 33.30 34.90
MC3-18+VGG-16 | video + audio | 38.90 41.70
3D ResNet-18+VGG-16 | video + audio | 37.30 39.40
R(2+1)D-18+VGG-16 | video + audio | 40.50 39.50
MC3-18+ResNet-18 | video + audio | 36.00 39.20
3D ResNet-18+ResNet-18 | video + audio | 35.10 39.10
R(2+1)D-18+ResNet-18 | video + audio | 39.50 37.70
SVFAP-S | video | 39.24 40.22
SVFAP-B | video | 40.36 41.49
"""
    lines = [line.split("|") for line in text.strip().splitlines()]
    one = "\n".join(f"{method} | {modality} | {numbers.split()[column]}" for method, modality, numbers in lines)
    return rows("SVFAP Table 15", "weighted_f1", one)


AVCAFFE_AROUSAL, AVCAFFE_VALENCE = _avcaffe(0), _avcaffe(1)

_BIG_FIVE = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
_CCC = rows("SVFAP Tables 16, 17", " ".join([*(f"ccc:{t}" for t in _BIG_FIVE), "ccc"]), """
DAN | 0.5693 0.6254 0.6070 0.4855 0.6025 0.5779
ResNet | 0.1561 0.1902 0.1355 0.0838 0.1373 0.1406
CRNet | 0.3748 0.3646 0.3987 0.2390 0.3226 0.3399
CAM-DAN+ | 0.5882 0.6550 0.6326 0.5003 0.6199 0.5992
PersEmoN | 0.2067 0.2441 0.2675 0.1369 0.1768 0.2064
Amb-Fac | 0.5858 0.6750 0.5997 0.4971 0.5765 0.5868
SENet | 0.5300 0.5580 0.5815 0.4493 0.5708 0.5379
HRNet | 0.5923 0.6912 0.6436 0.5195 0.6273 0.6148
Swin | 0.2223 0.2426 0.2531 0.1224 0.1942 0.2069
3D ResNet | 0.3248 0.3601 0.3601 0.2120 0.3352 0.3185
Slow-Fast | 0.0256 0.0320 0.0185 0.0105 0.0184 0.0210
TPN | 0.4427 0.4767 0.4998 0.3230 0.4675 0.4420
VAT | 0.6216 0.6753 0.6836 0.5228 0.6456 0.6298
SVFAP-S | 0.6313 0.6974 0.7210 0.5427 0.6648 0.6514
SVFAP-B | 0.6511 0.7141 0.7351 0.5498 0.6724 0.6645
""")  # fmt: skip
_ACC = {
    row.method: row.values
    for row in rows("", "one_minus_mae", """
DAN | 0.9093
CNN-LSTM | 0.8811
ResNet | 0.8873
CRNet | 0.8960
CAM-DAN+ | 0.9118
PersEmoN | 0.8920
Amb-Fac | 0.9091
SENet | 0.9075
HRNet | 0.9113
Swin | 0.8909
3D ResNet | 0.8948
Slow-Fast | 0.8650
TPN | 0.9003
VAT | 0.9118
SVFAP-S | 0.9159
SVFAP-B | 0.9175
""")
}  # fmt: skip
FIRST_IMPRESSIONS = tuple(
    Row(r.method, r.modality, r.values | _ACC.get(r.method, {}), r.source) for r in _CCC
) + (Row("CNN-LSTM", "video", _ACC["CNN-LSTM"], "SVFAP Table 17"),)  # fmt: skip

AFF_WILD2_EXPR = rows("ABAW5 solution Table 1 (Res-18)", "macro_f1", """
Res-18, supervised MS1M | 27.71
Res-18, SimSiam | 25.40
Res-18, BYOL | 31.74
Res-18, ContraWarping | 34.85
""", "frames") + rows("ABAW5 solution Table 5", "macro_f1", """
IR-50, supervised MS1M | 30.78
APViT, supervised MS1M | 35.48
APViT, supervised RAF-DB | 35.63
Res-50, ContraWarping | 37.57
""", "frames")  # fmt: skip

_AV = "ccc:arousal ccc:valence"
SEWA = rows("SS-VAERR Table I", _AV, """
HO-CPConv | 0.520 0.750
Affective Processes (AP+Det.+Att.) | 0.662 0.672
Affective Processes, best | 0.640 0.750
3Dconv+ResNet18+GRU from scratch | 0.588 0.609
SS-VAERR backbone | 0.678 0.737
SS-VAERR (+ augmentations + composite loss) | 0.713 0.771
""") + rows("SS-VAERR Table II", _AV, """
Video-BYOL, fine-tuned | 0.604 0.757
DINO-ResNet, fine-tuned | 0.648 0.667
""")  # fmt: skip

RECOLA = rows("SS-VAERR Table I (development set)", _AV, """
End-to-end visual ResNet-50 | 0.371 0.637
TS-SATCN | 0.659 0.690
3Dconv+ResNet18+GRU from scratch | 0.344 0.538
SS-VAERR backbone | 0.630 0.607
SS-VAERR (+ augmentations + composite loss) | 0.675 0.626
""") + rows("SS-VAERR Table II (development set)", _AV, """
Video-BYOL, fine-tuned | 0.307 0.446
DINO-ResNet, fine-tuned | 0.420 0.520
""")  # fmt: skip
