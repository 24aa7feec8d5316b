"""The model folder: load and save, for `mien.load` and every command."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.models.folder import Model as Model
    from mien.models.folder import Provenance as Provenance
    from mien.models.folder import is_saved as is_saved
    from mien.models.folder import load as load
    from mien.models.folder import model_hash as model_hash
    from mien.models.folder import save_model as save_model

__getattr__ = lazy(__name__, folder="Model Provenance is_saved load model_hash save_model")
