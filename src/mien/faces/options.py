"""What `mien prepare` can be told. The crop contract decides what a crop is; the rest, how faces are looked for."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

from mien.contract import CropContract, CropKind, DetectorName, Geometry, Store
from mien.errors import UserError
from mien.options import Arg

Landmarks = Literal[5, 68]
TEMPLATE: dict[Landmarks, str] = {5: "five-point-1", 68: "sixty-eight-1"}


@dataclass(frozen=True, kw_only=True)
class GivenFaces:
    boxes: Annotated[str | None, Arg(metavar="CSV")] = None
    """Face boxes to use instead of the detector (docs/prepare.md)."""


@dataclass(frozen=True, kw_only=True)
class Search(GivenFaces):
    """How faces are looked for, and what of the inputs is read."""

    every_s: float = 0.15
    """Seconds between detections; faces are tracked in between."""
    detect_side: int = 480
    """Longer side of the picture that the detector sees, in pixels. Larger finds smaller faces and costs its square."""
    min_score: float = 0.5
    """Weakest detection that counts, between 0 and 1."""
    min_face: float = 24.0
    """Smallest face taken: longer side of its box in pixels of the video."""
    gap_s: float = 0.5
    """Longest time in seconds that a face may be lost and keep its track; the frames between are interpolated."""
    frames: Literal["clip", "stills"] | None = None
    """What images in folders are: each folder one clip, or each image a clip of one frame; refused by default."""
    image_fps: float | None = None
    """Frames per second of a folder of images; 25 by default, or what the corpus says."""
    audio: bool = True
    """Keep the sound."""

    @property
    def fps_of_images(self) -> float:
        return 25.0 if self.image_fps is None else self.image_fps


@dataclass(frozen=True)
class PrepareConfig(Search):
    """Settings of one run of prepare, or of the face stream of predict."""

    contract: CropContract = field(default_factory=CropContract)
    first_number: int | None = None
    """Images of a folder are at (number in the name - this) / image_fps; None: at their position / image_fps."""
    targets: tuple[str, ...] = ()
    """Per-frame target columns of the shards."""


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(Search):
    """What a user of prepare says; `config` says it as a contract."""

    crop: CropKind | None = None
    """face: aligned on landmarks. box: square around the face box. voxceleb2: the fixed patch of ready-made VoxCeleb2 frames.
    none: the whole frame is the face. By default face, or what the corpus says."""
    landmarks: Landmarks = 5
    """Points that --crop face aligns on. 68: found by the package face-alignment (pip install 'mien[face-alignment]'; it
    downloads its weights) on every frame and smoothed over 12 frames, or given by --boxes."""
    size: int = 160
    """Side of the crop in pixels."""
    grey: bool = False
    """Store grey pictures."""
    fps: float | None = None
    """Frames per second to keep, by time; all frames by default."""
    margin: float | None = None
    """Extra space on each side as a fraction of the crop; 0 for face and 0.15 for box by default."""
    quality: int = 90
    """Of the JPEGs, 1 to 100."""
    subsampling: Literal["420", "444"] = "420"
    """Colour resolution of the JPEGs."""
    movements: bool = False
    """Store the mesh and the 52 coefficients of each face and frame beside its crop, for --encoder movements of mien finetune."""

    def contract(self, crop: CropKind) -> CropContract:
        """Of this kind of crop."""
        store = Store(
            self.size, not self.grey, self.fps, quality=self.quality, subsampling=self.subsampling, movements=self.movements
        )  # fmt: skip
        return contract_for(crop, self.margin, self.boxes is not None, store, self.landmarks)

    def config(self, contract: CropContract | None = None) -> PrepareConfig:
        """These settings under `contract`, or under that of --crop."""
        search = {f.name: getattr(self, f.name) for f in fields(Search)}
        return PrepareConfig(contract or self.contract(self.crop or "face"), **search)


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
    if not 0.1 <= config.fps_of_images <= 1000:
        raise UserError(f"--image-fps {config.fps_of_images:g}; allowed 0.1 to 1000")
