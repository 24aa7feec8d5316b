"""A video as clips, made as they were for training: found, followed, aligned, cropped, stored, sampled and normalised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from mien.contract import CropContract
from mien.data.dataset import ClipSet
from mien.data.loader import EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.select import main_tracks
from mien.data.shards import Shards
from mien.data.view import evaluation_view
from mien.errors import UserError, require
from mien.faces.options import PrepareConfig
from mien.faces.pipeline import prepare
from mien.transforms.clip import ClipSpec


@dataclass(frozen=True)
class ClipReader:
    """What a model sees of a face, and how it is read from a video.

    Args:
        spec: how many frames, how far apart, how large.
        contract: how its training faces were cropped.
        augment: the transform of evaluation.
        views: clips per video.
    """

    spec: ClipSpec
    contract: CropContract
    augment: Any
    views: int

    def read(self, video: Path | str, views: int | None = None) -> Tensor:
        """Normalised float32 clips ``[n, C, T, H, W]`` of the person who is seen longest and largest.

        They are what evaluation would see of shards made from this video: `views` clips, spread evenly, of every 512 frames.

        Raises:
            UserError: no such video, no face in it, a folder (which may hold several people), no views.
        """
        views = self.views if views is None else views
        require(views >= 1, f"views={views}: give 1 or more")
        require(not Path(video).is_dir(), f"{video} is a folder: give one video")
        with TemporaryDirectory() as folder:
            store = replace(self.contract.store, movements=False)
            config = PrepareConfig(replace(self.contract, geometry=self._geometry, store=store), audio=False)
            found = prepare([video], folder, config, workers=0)
            rows = main_tracks(found.ok())
            if not len(rows):
                raise UserError(f"{video}: {next((r['reason'] for r in found.rows() if r['reason']), 'no face found')}")
            return self._clips(Shards(folder), rows, views)

    @property
    def _geometry(self) -> Any:
        return self.contract.stand_in or self.contract.geometry

    def _clips(self, shards: Shards, rows: Manifest, views: int) -> Tensor:
        looks = {"clip": evaluation_view(self.spec, self.augment, rows)}
        loader = EvalLoader(ClipSet(shards, rows), looks, len(rows) * views, num_views=views, workers=0)
        return torch.cat([prepare_batch(batch, looks, "cpu")["clip"] for batch in loader])
