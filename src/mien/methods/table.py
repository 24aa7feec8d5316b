"""Every method a recipe may hold. A new one is a file, and a name here."""

from mien.methods.byol import BYOLConfig
from mien.methods.contrawarping import ContraWarpingConfig
from mien.methods.dino import DINOConfig
from mien.methods.lira import LiRAConfig
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.simsiam import SimSiamConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.videomae import VideoMAEConfig

MethodConfig = (
    SVFAPConfig
    | MAEDFERConfig
    | VideoMAEConfig
    | BYOLConfig
    | SimSiamConfig
    | ContraWarpingConfig
    | DINOConfig
    | LiRAConfig
)
