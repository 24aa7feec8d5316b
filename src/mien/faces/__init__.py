"""Faces: raw video to shards of crops, and a video to the clips that a model sees."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.faces.faces import FaceSample as FaceSample
    from mien.faces.faces import stream_faces as stream_faces
    from mien.faces.from_corpus import plan_corpus as plan_corpus
    from mien.faces.from_corpus import prepare_corpus as prepare_corpus
    from mien.faces.options import PrepareConfig as PrepareConfig
    from mien.faces.options import PrepareOptions as PrepareOptions
    from mien.faces.pipeline import prepare as prepare
    from mien.faces.read import ClipReader as ClipReader

__getattr__ = lazy(
    __name__,
    options="PrepareConfig PrepareOptions",
    pipeline="prepare",
    from_corpus="plan_corpus prepare_corpus",
    faces="FaceSample stream_faces",
    read="ClipReader",
)
