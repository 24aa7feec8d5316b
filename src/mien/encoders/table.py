"""Every encoder a config may hold. A new one is a file, and a name here."""

from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.encoders.vit import ViTConfig

EncoderConfig = TPSBTConfig | LGIFormerConfig | ViTConfig | ResNetConfig | LipReadingConfig
