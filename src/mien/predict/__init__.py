"""A video and trained models to a timeline and a report."""

from mien.predict.config import Outcome, PredictConfig
from mien.predict.pipeline import predict_video

__all__ = ["Outcome", "PredictConfig", "predict_video"]
