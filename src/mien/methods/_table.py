"""Every method a recipe may hold. A new one is a file, and a name here."""

from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.videomae import VideoMAEConfig

MethodConfig = SVFAPConfig | MAEDFERConfig | VideoMAEConfig
