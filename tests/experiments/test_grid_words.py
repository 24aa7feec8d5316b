from __future__ import annotations

from pathlib import Path

import pytest
from grid_words import stretches

SEGMENTS = """path,split,slot,label,start_s,end_s
clips/a.mp4,train,letter,f,1.000,1.200
clips/a.mp4,train,digit,two,1.200,1.600
clips/a.mp4,train,command,bin,0.040,0.300
"""


def times(folder: Path, margin_s: float | None) -> dict[str, tuple[float, float]]:
    (folder / "segments.csv").write_text(SEGMENTS)
    rows = stretches(folder, ("letter", "digit", "command"), margin_s)
    return {
        r[s]: (float(r["start_s"]), float(r["end_s"])) for r in rows for s in ("letter", "digit", "command") if r[s]
    }


def test_words_of_one_length_or_of_their_own(tmp_path: Path):
    assert times(tmp_path, None)["f"] == pytest.approx((0.7, 1.5))
    own = times(tmp_path, 0.08)
    assert own["f"] == pytest.approx((0.92, 1.28))
    assert own["two"] == pytest.approx((1.12, 1.68))
    assert own["bin"][0] == 0  # a clip begins at 0
