"""A video and trained models to a timeline and a report."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.timeline.options import PredictConfig as PredictConfig
    from mien.timeline.pipeline import predict_video as predict_video
    from mien.timeline.run import Outcome as Outcome

__getattr__ = lazy(__name__, options="PredictConfig", pipeline="predict_video", run="Outcome")
