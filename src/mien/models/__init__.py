"""The model folder: load and save, for `mien.load` and every command."""

from mien.models.folder import ModelFolder, Provenance, is_saved, load, load_folder, model_hash, save_model

__all__ = ["ModelFolder", "Provenance", "is_saved", "load", "load_folder", "model_hash", "save_model"]
