"""What `mien prepare` can be told. The crop contract decides what a crop is; the rest, how faces are looked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mien.contract import CropContract, CropKind, DetectorName, Geometry, Store
from mien.errors import UserError

Landmarks = Literal[5, 68]
TEMPLATE: dict[Landmarks, str] = {5: "five-point-1", 68: "sixty-eight-1"}


@dataclass(frozen=True)
class PrepareConfig:
    """Settings of one run of prepare, or of the face stream of predict."""

    contract: CropContract = field(default_factory=CropContract)
    every_s: float = 0.15
    """Seconds between detections; faces are tracked in between."""
    detect_side: int = 480
    """The detector sees the frame shrunk to this longer side. Larger finds smaller faces and costs its square."""
    min_score: float = 0.5
    """Detections below are ignored."""
    min_face: float = 24.0
    """Smallest face taken: longer side of its box in source pixels."""
    gap_s: float = 0.5
    """A face lost for at most this long keeps its track; the frames between are interpolated."""
    boxes: str | None = None
    """CSV of given boxes; only with detector "given"."""
    frames: Literal["clip", "stills"] | None = None
    """What a folder of images is: one clip, or single pictures. None: folders of images are an error."""
    image_fps: float = 25.0
    """Frame rate of a folder of images."""
    audio: bool = True
    """Keep the sound of each row."""
    first_number: int | None = None
    """Images of a folder are at (number in the name - this) / image_fps; None: at their position / image_fps."""
    targets: tuple[str, ...] = ()
    """Per-frame target columns of the shards."""


def contract_for(
    crop: CropKind = "face",
    margin: float | None = None,
    boxes: bool = False,
    store: Store | None = None,
    landmarks: Landmarks = 5,
) -> CropContract:
    """The contract of a kind of crop: which detector and template go with it.

    Args:
        margin: None = 0 for `face` (its template already holds forehead and chin), 0.15 for `box`.
        boxes: boxes come from a file.
        landmarks: how many of them `face` is aligned on.

    Raises:
        UserError: a combination that has no meaning.
    """
    if crop in ("none", "voxceleb2") and (margin or boxes):
        raise UserError(f"--crop {crop} looks for no faces: leave out --margin and --boxes")
    if margin is not None and not -0.3 <= margin <= 2:
        raise UserError(f"--margin {margin:g}; allowed -0.3 to 2 (a fraction of the crop's side)")
    if landmarks != 5 and crop != "face":
        raise UserError(f"--landmarks {landmarks} is for --crop face; --crop {crop} aligns on none: leave it out")
    detector: DetectorName = "none" if crop in ("none", "voxceleb2") else "given" if boxes else "centerface"
    default = 0.15 if crop == "box" else 0.0
    template = TEMPLATE[landmarks] if crop == "face" else ""
    geometry = Geometry(detector, crop, template, default if margin is None else margin)
    return CropContract(geometry, store or Store())


def check(config: PrepareConfig) -> None:
    """Raises UserError for values that cannot work."""
    store = config.contract.store
    if not 16 <= store.size <= 1024:
        raise UserError(f"--size {store.size}; allowed 16 to 1024 pixels")
    if store.fps is not None and not 0.1 <= store.fps <= 240:
        raise UserError(f"--fps {store.fps:g}; allowed 0.1 to 240")
    if not 1 <= store.quality <= 100:
        raise UserError(f"--quality {store.quality}; allowed 1 to 100")
    if not 0 <= config.every_s <= 2:
        raise UserError(f"--every-s {config.every_s:g}; allowed 0 (every frame) to 2 seconds")
    if not 0 <= config.gap_s <= 5:
        raise UserError(f"--gap-s {config.gap_s:g}; allowed 0 to 5 seconds")
    if not 64 <= config.detect_side <= 4096:
        raise UserError(f"--detect-side {config.detect_side}; allowed 64 to 4096 pixels")
    if not 0 < config.min_score < 1:
        raise UserError(f"--min-score {config.min_score:g}; allowed above 0 and below 1")
    if config.min_face < 1:
        raise UserError(f"--min-face {config.min_face:g}; allowed 1 pixel or more")
    if not 0.1 <= config.image_fps <= 1000:
        raise UserError(f"--image-fps {config.image_fps:g}; allowed 0.1 to 1000")
