"""Procedural faces: videos of people who do not exist, with exact labels (docs/synthetic.md)."""

from mien.corpora.synthetic.actor import AUS, HAIR_STYLES, TRAITS, Actor, make_actor
from mien.corpora.synthetic.clip import ClipLabels, Placed, Scene, SynthConfig, clip_labels, draw_clip, draw_scene
from mien.corpora.synthetic.motion import DYNAMICS, EXPRESSIONS, Motion, envelope
from mien.corpora.synthetic.picture import draw_picture
from mien.corpora.synthetic.voice import speak
from mien.corpora.synthetic.write import COMMENT, splits, write_clips, write_video

__all__ = [
    "AUS",
    "COMMENT",
    "DYNAMICS",
    "EXPRESSIONS",
    "HAIR_STYLES",
    "TRAITS",
    "Actor",
    "ClipLabels",
    "Motion",
    "Placed",
    "Scene",
    "SynthConfig",
    "clip_labels",
    "draw_clip",
    "draw_picture",
    "draw_scene",
    "envelope",
    "make_actor",
    "speak",
    "splits",
    "write_clips",
    "write_video",
]
