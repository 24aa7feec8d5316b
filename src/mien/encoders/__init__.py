"""Encoders: a clip of a face to tokens. Each has a config, and functions that return the config of a published size."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.encoders.lgi_former import LGIFormer as LGIFormer
    from mien.encoders.lgi_former import LGIFormerConfig as LGIFormerConfig
    from mien.encoders.lgi_former import lgi_former_base as lgi_former_base
    from mien.encoders.lgi_former import lgi_former_micro as lgi_former_micro
    from mien.encoders.lgi_former import lgi_former_small as lgi_former_small
    from mien.encoders.lgi_former import lgi_former_tiny as lgi_former_tiny
    from mien.encoders.lip_reading import LipReading as LipReading
    from mien.encoders.lip_reading import LipReadingConfig as LipReadingConfig
    from mien.encoders.lip_reading import lip_reading as lip_reading
    from mien.encoders.lip_reading import lip_reading_micro as lip_reading_micro
    from mien.encoders.output import Encoder as Encoder
    from mien.encoders.output import EncoderOutput as EncoderOutput
    from mien.encoders.resnet import ResNet as ResNet
    from mien.encoders.resnet import ResNetConfig as ResNetConfig
    from mien.encoders.resnet import resnet18 as resnet18
    from mien.encoders.resnet import resnet50 as resnet50
    from mien.encoders.resnet import resnet_micro as resnet_micro
    from mien.encoders.table import EncoderConfig as EncoderConfig
    from mien.encoders.tpsbt import TPSBT as TPSBT
    from mien.encoders.tpsbt import TPSBTConfig as TPSBTConfig
    from mien.encoders.tpsbt import tpsbt_base as tpsbt_base
    from mien.encoders.tpsbt import tpsbt_micro as tpsbt_micro
    from mien.encoders.tpsbt import tpsbt_small as tpsbt_small
    from mien.encoders.tpsbt import tpsbt_tiny as tpsbt_tiny
    from mien.encoders.vit import ViT as ViT
    from mien.encoders.vit import ViTConfig as ViTConfig
    from mien.encoders.vit import vit_512 as vit_512
    from mien.encoders.vit import vit_base as vit_base
    from mien.encoders.vit import vit_micro as vit_micro

__getattr__ = lazy(
    __name__,
    table="EncoderConfig",
    output="Encoder EncoderOutput",
    tpsbt="TPSBT TPSBTConfig tpsbt_base tpsbt_micro tpsbt_small tpsbt_tiny",
    lgi_former="LGIFormer LGIFormerConfig lgi_former_base lgi_former_micro lgi_former_small lgi_former_tiny",
    vit="ViT ViTConfig vit_512 vit_base vit_micro",
    resnet="ResNet ResNetConfig resnet18 resnet50 resnet_micro",
    lip_reading="LipReading LipReadingConfig lip_reading lip_reading_micro",
)
