"""The faces of a video as the models know them from shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import simplejpeg

from mien.contract import CropContract, Store
from mien.data.frame import Frame
from mien.faces.faces import FaceSample, stream_faces
from mien.faces.mesh import landmarker_file
from mien.faces.movements import MovementReader
from mien.faces.options import PrepareConfig
from mien.faces.pack import with_meshes
from mien.timeline.options import Progress


def through_store(crop: np.ndarray, store: Store) -> np.ndarray:
    """The crop ``[S, S, 1 or 3]`` uint8 as shards would give it back: through a JPEG of the contract's quality.

    Models are trained and evaluated on such pixels.
    """
    space, subsampling = ("GRAY", "Gray") if crop.shape[-1] == 1 else ("RGB", store.subsampling)
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(crop), store.quality, space, subsampling)
    return simplejpeg.decode_jpeg(data, space)


class CropStream(Iterator[list[FaceSample]]):
    """One list of faces per frame, with `num_frames` counted. A context manager.

    Args:
        contract: how to crop.
        boxes: the CSV of a contract with detector "given".
        movements: also find the mesh of each face.

    Raises:
        VideoError: the video has no frame to give (the first one is read here).
    """

    def __init__(
        self,
        path: Path,
        contract: CropContract,
        boxes: str | None = None,
        progress: Progress | None = None,
        movements: bool = False,
    ):
        self._meshes = MovementReader(landmarker_file()) if movements else None
        self._faces = stream_faces(path, PrepareConfig(contract, boxes=boxes))
        self._store, self._progress = contract.store, progress
        self.num_frames = 0
        self.also: Callable[[Frame, list[FaceSample]], None] | None = None
        """Called with each frame and its faces."""
        every = self._with_meshes() if movements else self._faces
        self._rest = chain(list(islice(every, 1)), every)

    def _with_meshes(self) -> Iterator[list[FaceSample]]:
        for faces in self._faces:
            frame = self._faces.frame
            assert frame is not None
            assert self._meshes is not None
            yield with_meshes(self._meshes, frame, faces)

    @property
    def problem(self) -> str:
        """After the last frame: what of the video could not be read, "" when all could."""
        return self._faces.problem

    def __next__(self) -> list[FaceSample]:
        faces = next(self._rest)
        self.num_frames += 1
        if self.also is not None and self._faces.frame is not None:
            self.also(self._faces.frame, faces)
        if self._progress is not None:
            self._progress(self.num_frames)
        return [replace(f, crop=through_store(f.crop, self._store)) for f in faces]

    def __enter__(self) -> CropStream:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self._faces.close()
