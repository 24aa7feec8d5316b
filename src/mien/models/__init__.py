"""Model folders: load and save, for `mien.load` and every command; published checkpoints, there and back."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.models.convert import Conversion as Conversion
    from mien.models.convert import convert_official as convert_official
    from mien.models.convert import write_official as write_official
    from mien.models.folder import Model as Model
    from mien.models.folder import Provenance as Provenance
    from mien.models.folder import is_saved as is_saved
    from mien.models.folder import load as load
    from mien.models.folder import model_hash as model_hash
    from mien.models.folder import save_model as save_model
    from mien.models.options import ConvertOptions as ConvertOptions

__getattr__ = lazy(
    __name__,
    folder="Model Provenance is_saved load model_hash save_model",
    convert="Conversion convert_official write_official",
    options="ConvertOptions",
)
