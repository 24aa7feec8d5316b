"""`mien reconstruct MODEL --data VIDEO|SHARDS --out PICTURE.png`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mien.errors import UserError, require
from mien.options import Arg
from mien.options.shared import OnDevice, Seeded
from mien.verbs.command import OfModel, command, function

if TYPE_CHECKING:
    from PIL.Image import Image

    from mien.data.shards import Shards


@dataclass(frozen=True, kw_only=True)
class Reconstruct(OfModel, OnDevice, Seeded):
    """Film strips of a masked pre-training model: original, masked and reconstructed frames (SVFAP, Fig. 6); of MAE-DFER
    appearance and motion (its Fig. 4)."""

    HELP: ClassVar = {
        "what goes in": ("MODEL", "--data", "--clips", "--seed"),
        "what comes out": ("--out", "--frames", "--mask-ratio"),
        "how it runs": ("--device",),
    }

    data: Annotated[Shards | Path, Arg(metavar="VIDEO|SHARDS")]
    """A video, or a folder written by mien prepare."""
    out: Annotated[Path | None, Arg(metavar="PNG", required=True)] = None
    """Picture to write."""
    clips: int = 3
    """Clips to draw, three rows each; seven of MAE-DFER."""
    frames: int = 8
    """Frames of each clip, spread over it."""
    mask_ratio: float | None = None
    """Share of masked tubes; that of pre-training by default."""

    def __post_init__(self) -> None:
        pictures = (".png", ".jpg", ".jpeg", ".webp")
        drawable = self.out is None or self.out.suffix.lower() in pictures
        require(drawable, f"--out {self.out}; allowed are pictures: .png, .jpg, .webp")
        for name, value in (("clips", self.clips), ("frames", self.frames)):
            require(value >= 1, f"--{name} {value}; allowed 1 or more")


def work(options: Reconstruct) -> Image:
    from mien.models import load
    from mien.timeline.strips import as_reconstructor, draw_strips, reconstruct
    from mien.train.distributed import pick_device

    folder = load(options.model)
    model = as_reconstructor(str(folder.path), folder.module).to(pick_device(options.device))
    clips = clips_of(options, folder, model)
    strips = reconstruct(model, clips, options.mask_ratio, options.seed)
    picture = draw_strips(strips, [c.title for c in clips], options.frames)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        picture.save(options.out)
    return picture


def clips_of(options: Reconstruct, folder: Any, model: Any) -> list[Any]:
    """The clips to draw. Raises UserError for data that is neither a video nor shards."""
    from mien.contract import CropContract
    from mien.data.shards import Shards
    from mien.data.video import VideoError
    from mien.timeline.strips import clips_of_shards, clips_of_video

    data, made = options.data, folder.provenance
    if not isinstance(data, Path) or (data / "manifest.parquet").is_file():
        return clips_of_shards(Shards.of(data), model, options.clips, options.seed)
    contract = made.contracts[0] if made.contracts else CropContract()
    try:
        return clips_of_video(data, model, contract, options.clips, options.seed)
    except VideoError as error:
        raise UserError(f"{data}: {error.reason}; give a video or a folder written by mien prepare") from None


def show(picture: Image, options: Reconstruct) -> None:
    print(f"{options.clips} clips of {options.data} -> {options.out}")


reconstruct = function(Reconstruct, work)
main = command(Reconstruct, work, show)
