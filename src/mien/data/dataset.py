"""Clips by row number over one or several shard folders, decoded straight into the caller's buffer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import simplejpeg
import torch

from mien.data.manifest import Manifest
from mien.data.shards import Clip, Shards
from mien.data.view import View
from mien.errors import UserError
from mien.rng import generator


class FrameError(Exception):
    """A stored frame or clip cannot be read; the message names the clip."""


@dataclass(frozen=True)
class Sample:
    """What decides everything random about one element of a batch, together with the seed and the name of the view.

    `epoch` is the pass over the data for training, and -1 for evaluation. `view_idx` counts the clips per video that
    evaluation averages.
    """

    epoch: int
    index: int
    view_idx: int = 0
    num_views: int = 1


class Names(Protocol):
    """Names by number."""

    def __getitem__(self, index: int, /) -> str: ...


class Items(Protocol):
    """What batches are made of: the clips of a `ClipSet`, or single frames of them (`data.frames.FrameSet`)."""

    height: int
    width: int

    @property
    def clip_ids(self) -> Names: ...

    @property
    def order(self) -> Callable[[int], np.ndarray] | None:
        """The items of an epoch where they are not all; None for a permutation."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Clip: ...

    def read(self, index: int, clip: Clip, positions: np.ndarray, out: np.ndarray, strict: bool) -> int: ...


class ClipSet:
    """Read access to clips.

    Args:
        shards: folders written by `mien prepare`.
        manifest: the rows wanted of each, all with status ok; None takes every ok row. Row numbers ("index" in batches)
            count through the given manifests in order.

    Raises:
        UserError: no rows, rows without frames, nothing that can be decoded, or folders whose crops differ in size.
    """

    order: Callable[[int], np.ndarray] | None = None
    """All of them, in every epoch."""

    def __init__(self, shards: Shards | Sequence[Shards], manifest: Manifest | Sequence[Manifest] | None = None):
        self.shards = [shards] if isinstance(shards, Shards) else list(shards)
        if manifest is None:
            manifest = [s.manifest.ok() for s in self.shards]
        parts = [manifest] if isinstance(manifest, Manifest) else list(manifest)
        if len(parts) != len(self.shards):
            raise UserError(f"received {len(self.shards)} shard folders and {len(parts)} manifests; give one for each")
        self.clip_ids: list[str] = []
        self._where: list[tuple[int, str, int]] = []
        for number, part in enumerate(parts):
            if set(part.column("status")) - {"ok"}:
                raise UserError("the manifest holds rows without frames; allowed are rows with status ok: use .ok()")
            self.clip_ids += part.column("clip_id")
            self._where += [(number, s, r) for s, r in zip(part.column("shard"), part.column("row"), strict=True)]
        if not self._where:
            raise UserError("no clip to read: the manifest, after filtering, has no rows with status ok")
        self._lock = threading.Lock()
        self.height, self.width = self._common_size([len(p) for p in parts])

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: int) -> Clip:
        number, shard, row = self._where[index]
        with self._lock:  # Arrow does not promise that one file reader serves several threads
            return self.shards[number].clip(shard, row)

    def _common_size(self, counts: list[int]) -> tuple[int, int]:
        starts = [sum(counts[:k]) for k in range(len(counts))]
        sizes = {self._size(range(s, s + n)) for s, n in zip(starts, counts, strict=True) if n}
        if len(sizes) > 1:
            have = " and ".join(f"{h} x {w}" for h, w in sorted(sizes))
            raise UserError(f"the shards hold crops of {have}; one size is allowed: prepare again with one --size")
        return sizes.pop()

    def _size(self, rows: range) -> tuple[int, int]:
        """Height and width of the first frame of a folder that can be read."""
        for clip in (self[index] for index in rows):
            for k in range(len(clip)):
                try:
                    height, width, _, _ = simplejpeg.decode_jpeg_header(clip.jpeg(k))
                except ValueError:
                    continue
                return int(height), int(width)
        raise UserError(f"none of the {len(rows)} clips can be decoded; prepare the videos again")

    def read(self, index: int, clip: Clip, positions: np.ndarray, out: np.ndarray, strict: bool) -> int:
        """Decodes frames of `clip` (row `index`) into `out` uint8 [T, H, W, C]; C = 1 decodes the luma alone.

        Returns:
            How many frames were replaced by the nearest one that can be decoded (the earlier of two), if not `strict`.

        Raises:
            FrameError: `strict` and a frame is broken, or every frame is.
        """
        color = "GRAY" if out.shape[-1] == 1 else "RGB"
        replaced = 0
        for t, k in enumerate(positions.tolist()):
            if t and k == positions[t - 1]:
                out[t] = out[t - 1]  # stills and padding repeat frames
                continue
            reason = decode(clip, k, out[t], color)
            if reason and (strict or not any(decode(clip, n, out[t], color) is None for n in neighbours(k, len(clip)))):
                raise FrameError(f"clip {self.clip_ids[index]!r}, frame {k}: {reason}")
            replaced += reason is not None
        return replaced


def decode(clip: Clip, k: int, out: np.ndarray, color: str) -> str | None:
    """Frame k into `out` [H, W, C]; None, or the reason why not.

    The exact inverse DCT and chroma upsampling are used: on 160-pixel crops simplejpeg's `fastdct` gains a fifth and
    changes pixels by 1 level on average, 4 at most; `fastupsample` gains a tenth and changes them by up to 27.
    """
    try:
        frame = simplejpeg.decode_jpeg(clip.jpeg(k), color, buffer=out)
    except ValueError as error:
        return str(error)
    return None if frame.shape == out.shape else f"its size is {frame.shape[:2]}, not {out.shape[:2]}"


def neighbours(k: int, n: int) -> list[int]:
    """The other frames of a clip, nearest first, the earlier of two first."""
    return sorted((j for j in range(n) if j != k), key=lambda j: (abs(j - k), j))


def empty(shape: tuple[int, ...], pin: bool) -> torch.Tensor:
    """Uninitialised uint8. NumPy asks Linux for huge pages where torch does not: a fresh batch of 32 clips costs 4 ms
    of page faults instead of 16 (measured), a fifth of the time of decoding it.
    """
    if pin:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
    return torch.from_numpy(np.empty(shape, np.uint8))


class Reader:
    """Sampling, parameters and pixels of samples, as pure functions of (seed, sample, name of the view)."""

    def __init__(self, clips: Items, views: dict[str, View], seed: int, strict: bool):
        self.clips, self.views, self.seed, self.strict = clips, views, seed, strict

    def buffers(self, count: int, pin: bool) -> dict[str, torch.Tensor]:
        """Uninitialised uint8 frames [count, T, H, W, C] per view."""
        return {
            name: empty((count, v.num_frames, self.clips.height, self.clips.width, 1 if v.augment.grey else 3), pin)
            for name, v in self.views.items()
        }

    def fill(self, sample: Sample, out: dict[str, np.ndarray]) -> tuple[int, int, dict[str, dict[str, np.ndarray]]]:
        """Decodes one sample into `out` (per view [T, H, W, C]).

        Returns:
            The row it came from, the number of frames replaced, and per view its parameters. In training a clip of
            which nothing can be decoded is replaced by the next row that can.

        Raises:
            FrameError: strict and something is broken.
            UserError: no clip at all can be decoded.
        """
        n = len(self.clips)
        for index in ((sample.index + k) % n for k in range(n)):
            try:
                replaced, params = self._fill(index, sample, out)
            except FrameError:
                if self.strict:
                    raise
                continue
            moved = sum(v.num_frames for v in self.views.values()) if index != sample.index else 0
            return index, max(replaced, moved), params
        raise UserError(f"none of the {n} clips can be decoded; prepare the videos again")

    def _fill(
        self, index: int, sample: Sample, out: dict[str, np.ndarray]
    ) -> tuple[int, dict[str, dict[str, np.ndarray]]]:
        try:
            clip = self.clips[index]
        except (pa.ArrowException, OSError) as error:
            raise FrameError(f"clip {self.clips.clip_ids[index]!r}: its shard cannot be read ({error})") from error
        replaced, params = 0, {}
        for name, view in self.views.items():
            rng = generator("view", name, self.seed, sample.epoch + 1, index, sample.view_idx)
            picked = view.pick(clip, rng, sample.view_idx, sample.num_views)
            params[name] = view.draw(rng)
            if view.frame_targets:
                params[name]["frame_targets"] = view.targets(clip, picked.positions)
            if view.hearing:
                params[name] |= view.hearing.cut(clip, picked)
            replaced += self.clips.read(index, clip, picked.positions, out[name], self.strict)
        return replaced, params
