"""The model folder: load and save, for `mien.load` and every command."""

from mien.models.folder import ModelFolder, Provenance, load, load_folder, model_hash, save_model

__all__ = ["ModelFolder", "Provenance", "load", "load_folder", "model_hash", "save_model"]
