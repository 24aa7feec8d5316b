"""Methods: what is learnt without labels. A method is a file with its config and its module."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.methods.byol import BYOL as BYOL
    from mien.methods.byol import BYOLConfig as BYOLConfig
    from mien.methods.contrawarping import ContraWarping as ContraWarping
    from mien.methods.contrawarping import ContraWarpingConfig as ContraWarpingConfig
    from mien.methods.dino import DINO as DINO
    from mien.methods.dino import DINOConfig as DINOConfig
    from mien.methods.lira import LiRA as LiRA
    from mien.methods.lira import LiRAConfig as LiRAConfig
    from mien.methods.mae_dfer import MAEDFER as MAEDFER
    from mien.methods.mae_dfer import MAEDFERConfig as MAEDFERConfig
    from mien.methods.masked import MaskedAutoencoder as MaskedAutoencoder
    from mien.methods.masked import MaskedConfig as MaskedConfig
    from mien.methods.simsiam import SimSiam as SimSiam
    from mien.methods.simsiam import SimSiamConfig as SimSiamConfig
    from mien.methods.svfap import SVFAP as SVFAP
    from mien.methods.svfap import SVFAPConfig as SVFAPConfig
    from mien.methods.table import MethodConfig as MethodConfig
    from mien.methods.videomae import VideoMAEConfig as VideoMAEConfig

__getattr__ = lazy(
    __name__,
    table="MethodConfig",
    svfap="SVFAP SVFAPConfig",
    mae_dfer="MAEDFER MAEDFERConfig",
    videomae="VideoMAEConfig",
    masked="MaskedAutoencoder MaskedConfig",
    byol="BYOL BYOLConfig",
    simsiam="SimSiam SimSiamConfig",
    contrawarping="ContraWarping ContraWarpingConfig",
    dino="DINO DINOConfig",
    lira="LiRA LiRAConfig",
)
