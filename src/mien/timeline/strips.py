"""Film strips as in SVFAP's Fig. 6: original, masked and reconstructed frames of a few clips in one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from mien.contract import CropContract
from mien.data import sampling
from mien.data.dataset import ClipSet
from mien.data.shards import Shards
from mien.errors import UserError
from mien.layers.mask import TubeMask
from mien.methods.masked import MaskedAutoencoder
from mien.rng import generator
from mien.timeline.frames import CropStream
from mien.timeline.windows import Windower, WindowShape
from mien.transforms.clip import Augment

GAP_PX, LABEL_PX, PAPER, INK = 3, 180, (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class StripClip:
    """One clip to be drawn: frames uint8 [T, H, W, C] and where it is from."""

    frames: np.ndarray
    title: str


def as_reconstructor(name: str, model: nn.Module) -> MaskedAutoencoder:
    """Raises UserError for a model that reconstructs nothing."""
    if not isinstance(model, MaskedAutoencoder):
        raise UserError(
            f"{name} holds a {type(model).__name__}; reconstruct takes a masked pre-training model (`mien pretrain`)"
        )
    return model


def clips_of_video(
    path: Path,
    model: MaskedAutoencoder,
    contract: CropContract,
    num_clips: int,
    seed: int,
) -> list[StripClip]:
    """`num_clips` of the video's clips, drawn at random from all its tracks in one pass, in order of time. Clips at the ends of
    a track, where frames are repeated, are left out; a video without whole clips gives its fullest.

    Raises:
        VideoError: the video cannot be read.
        UserError: no face in it.
    """
    shape = WindowShape.of(model.config.clip)
    windower, rng = Windower([shape], shape.period_s * shape.num_frames / 2), generator("reconstruct", seed)
    kept: list[tuple[float, StripClip]] = []
    most, number = 0.0, 0
    with CropStream(path, contract) as stream:
        for moment in _moments(stream, windower):
            if moment.seen[0] < most:
                continue
            if moment.seen[0] > most:
                most, number, kept = moment.seen[0], 0, []
            place = number if number < num_clips else int(rng.integers(number + 1))  # reservoir sampling
            number += 1
            if place < num_clips:
                frames = np.stack([s.crop for s in moment.clips[0]])
                clip = StripClip(frames, f"{path.name}, track {moment.track}, {moment.time_s:.2f} s")
                kept[place : place + 1] = [(moment.time_s, clip)]
    if not kept:
        raise UserError(f"{path}: no face found in {stream.num_frames} frames; give a video with a face")
    return [clip for _, clip in sorted(kept, key=lambda pair: pair[0])]


def _moments(stream: CropStream, windower: Windower) -> Iterator[Any]:
    for faces in stream:
        yield from windower.push(faces)
    yield from windower.finish()


def clips_of_shards(shards: Shards, model: MaskedAutoencoder, num_clips: int, seed: int) -> list[StripClip]:
    """`num_clips` rows of the shards, drawn at random, each with the clip at its middle.

    Raises:
        UserError: shards without a clip.
    """
    clips, seen = ClipSet(shards), model.config.clip
    rows = generator("reconstruct", seed).permutation(len(clips))[:num_clips]
    found = []
    for row in sorted(rows.tolist()):
        clip = clips[row]
        index = sampling.test_indices(len(clip), seen.num_frames, seen.stride, 0, 1)
        frames = np.empty((seen.num_frames, clips.height, clips.width, seen.channels), np.uint8)
        clips.read(row, clip, index, frames, strict=False)
        found.append(StripClip(frames, clips.clip_ids[row]))
    return found


def reconstruct(
    model: MaskedAutoencoder, clips: Sequence[StripClip], mask_ratio: float | None, seed: int
) -> list[dict[str, np.ndarray]]:
    """Rows of pictures of each clip by name, uint8 [T, S, S, C] each: what the method shows (`pictures`).

    Args:
        mask_ratio: share of masked tubes; None takes that of pre-training.

    Raises:
        UserError: a ratio that leaves nothing to see or nothing to guess.
    """
    config = model.config
    try:
        mask = config.mask(mask_ratio)
    except UserError as error:
        raise UserError(f"--mask-ratio {mask_ratio}: {error}") from None
    augment = config.clip.plain()
    model.eval()
    return [_reconstruct(model, augment, mask, clip, seed + k) for k, clip in enumerate(clips)]


def _reconstruct(
    model: MaskedAutoencoder, augment: Augment, mask: TubeMask, clip: StripClip, seed: int
) -> dict[str, np.ndarray]:
    device = next(model.parameters()).device
    pixels = augment.apply(torch.from_numpy(clip.frames)[None].to(device), {})
    keep = torch.from_numpy(mask.draw(generator("reconstruct mask", seed)))[None].to(device)
    return {name: _bytes(x[0]) for name, x in model.pictures(pixels, keep).items()}


def _bytes(x: Tensor) -> np.ndarray:
    """[C, T, H, W] in 0..1 to uint8 [T, H, W, C]."""
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 3, 0).cpu().numpy()


def draw_strips(strips: Sequence[dict[str, np.ndarray]], titles: Sequence[str], num_frames: int) -> Image.Image:
    """The labelled rows of each clip, with `num_frames` frames spread over the clip."""
    first = next(iter(strips[0].values()))
    count, size = first.shape[:2]
    index = np.unique(np.linspace(0, count - 1, min(num_frames, count)).round().astype(int))
    font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(15))
    head, cell = 30, size + GAP_PX
    block = head + len(strips[0]) * cell + 12
    picture = Image.new("RGB", (LABEL_PX + len(index) * cell + GAP_PX, len(strips) * block), PAPER)
    draw = ImageDraw.Draw(picture)
    for k, (strip, title) in enumerate(zip(strips, titles, strict=True)):
        top = k * block
        draw.text((LABEL_PX, top + 7), title, INK, font)
        for r, (name, frames) in enumerate(strip.items()):
            y = top + head + r * cell
            draw.text((LABEL_PX - 10, y + size / 2), name, INK, font, anchor="rm")
            for c, t in enumerate(index):
                picture.paste(_image(frames[t]), (LABEL_PX + c * cell, y))
    return picture


def _image(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
