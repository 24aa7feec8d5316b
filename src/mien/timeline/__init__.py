"""A video and trained models to a timeline and a report."""

from mien.timeline.options import Outcome, PredictConfig
from mien.timeline.pipeline import predict_video

__all__ = ["Outcome", "PredictConfig", "predict_video"]
