"""SVFAP: masked facial video autoencoding with multi-scale fusion (Sun et al., "SVFAP: Self-supervised Video Facial Affect
Perceiver", 3.1).

    clip -> visible 10 % of the tubes -> TPSBT -> X1 + up2(X2) + up4(X3) -> LayerNorm -> decoder -> masked tubes

Deviations from the released code, towards the paper: the reverse block does not see masked tubes and the up-sampling
repeats whole slices (decisions: reverse-block, temporal-upsampling). From the paper, towards the code: the target is the
normalised tube (decisions: masked-target).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from mien.encoders.output import EncoderOutput
from mien.encoders.table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.methods.masked import MaskedAutoencoder, MaskedConfig


@dataclass(frozen=True)
class SVFAPConfig(MaskedConfig):
    """Defaults: SVFAP-B of the paper."""

    encoder: EncoderConfig = field(default_factory=TPSBTConfig)
    fusion: bool = True
    """Add the stages up for the decoder (Table 4); without it only the last stage, repeated over time, is decoded."""

    def build(self) -> SVFAP:
        return SVFAP(self)


class SVFAP(MaskedAutoencoder):
    """See the module's docstring."""

    config: SVFAPConfig

    def visible(self, out: EncoderOutput) -> Tensor:
        """Fused tokens ``[B, t*K, D]`` (paper Eq. 9, 10)."""
        return out.fused() if self.config.fusion else out.repeated()
