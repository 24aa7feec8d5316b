"""A video and trained models to a timeline and a report."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.timeline.moving import predict_movements as predict_movements
    from mien.timeline.options import PredictConfig as PredictConfig
    from mien.timeline.pipeline import predict_video as predict_video
    from mien.timeline.result import Timeline as Timeline
    from mien.timeline.result import Track as Track

__getattr__ = lazy(
    __name__,
    options="PredictConfig",
    pipeline="predict_video",
    moving="predict_movements",
    result="Timeline Track",
)
