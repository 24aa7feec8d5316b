"""The model folder: load and save, for `mien.load` and every command."""

from mien.models.folder import Model, Provenance, is_saved, load, model_hash, save_model

__all__ = ["Model", "Provenance", "is_saved", "load", "model_hash", "save_model"]
