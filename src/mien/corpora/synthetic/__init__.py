"""Procedural faces: videos of people who do not exist, with exact labels (docs/synthetic.md)."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.corpora.synthetic.clip import Placed as Placed
    from mien.corpora.synthetic.clip import clip_labels as clip_labels
    from mien.corpora.synthetic.clip import draw_clip as draw_clip
    from mien.corpora.synthetic.clip import draw_scene as draw_scene
    from mien.corpora.synthetic.options import SynthConfig as SynthConfig
    from mien.corpora.synthetic.picture import draw_picture as draw_picture
    from mien.corpora.synthetic.voice import speak as speak
    from mien.corpora.synthetic.write import write_clips as write_clips
    from mien.corpora.synthetic.write import write_video as write_video

__getattr__ = lazy(
    __name__, clip="Placed clip_labels draw_clip draw_scene", options="SynthConfig", picture="draw_picture",
    voice="speak", write="write_clips write_video",
)  # fmt: skip
