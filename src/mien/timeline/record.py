"""``predictions.json``: where the numbers come from, what they mean, and a summary of each track."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mien import __version__
from mien.config import to_json
from mien.timeline.kinds import kinds_of
from mien.timeline.movements import record_of as record_of_movements
from mien.timeline.run import DRAWN_BANNER, Run
from mien.timeline.tracks import Peak, TrackSummary, by_length

LIBRARIES = ("torch", "ai-edge-litert", "numpy", "av", "onnxruntime", "pillow", "pyarrow", "simplejpeg", "plotly")

IT_IS_NOT_FEELING = (
    "They do not say what a person feels, thinks or intends: the same face can go with many feelings, and the same feeling with "
    "many faces."
)


def what_it_is_not(run: Run) -> list[str]:
    """What every reader of the numbers must know about them."""
    kinds = kinds_of(run.models.values(), run.movements is not None)
    return [
        " ".join([*(k.numbers for k in kinds), IT_IS_NOT_FEELING]),
        "They are not made for decisions about people. Use them to describe material, to find moments worth looking at, and "
        "to do research with people who agreed to it. Tell people when a machine reads their faces.",
        "Models of this kind fail differently for different people, cultures, ages, cameras, light, head turns and coverings. "
        + " ".join(k.number for k in kinds),
        "Track numbers follow a face within one video. They are not identities, and nothing here recognises a person.",
    ]


def write_record(run: Run, out: Path) -> dict[str, Any]:
    """Writes ``predictions.json``; returns what it holds."""
    text = json.dumps(record_of(run), indent=1, ensure_ascii=False)
    (out / "predictions.json").write_text(text + "\n", encoding="utf-8")
    return json.loads(text)


def record_of(run: Run) -> dict[str, Any]:
    return {
        "banner": DRAWN_BANNER if run.drawn else None,
        "warnings": run.warnings,
        "video": video_facts(run),
        "models": {name: _model_facts(run, name) for name in run.models},
        **({"movements": record_of_movements(run.movements)} if run.movements else {}),
        "contract": {"hash": run.contract.geometry.hash, **to_json(run.contract)},
        "settings": to_json(run.config),
        "files": files_of(run),
        "rows": run.num_rows,
        "tracks": [_track_facts(t) for t in by_length(run.tracks.values())],
        "columns": [{"name": c.name, "kind": c.kind, "meaning": c.meaning, "range": c.range} for c in run.columns],
        "what_it_is_not": what_it_is_not(run),
        "provenance": {
            "mien": __version__,
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in LIBRARIES},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "frames": run.num_frames,
            "wall_s": round(run.wall_s, 3),
        },
    }


def files_of(run: Run) -> dict[str, Any]:
    """What lies in the folder beside the record."""
    files: dict[str, Any] = {"timeline": ["timeline.csv", "timeline.parquet"], "report": "report.html"}
    if run.movements is not None:
        files |= {"movements": "movements.parquet", "events": "events.csv"}
    return files | ({"annotated": "annotated.mp4"} if run.config.annotate and run.num_rows else {})


def video_facts(run: Run) -> dict[str, Any]:
    v = run.video
    return {
        "name": v.path.name,
        "sha256": _sha256(v.path),
        "width": v.width,
        "height": v.height,
        "fps": round(v.fps, 4),
        "duration_s": None if v.duration_s is None else round(v.duration_s, 3),
        "codec": v.codec,
        "origin": v.origin,
    }


def _sha256(path: Path) -> str | None:
    """None for a folder of images."""
    if path.is_dir():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model_facts(run: Run, name: str) -> dict[str, Any]:
    window_s = None if name in run.delays else run.models[name].clip.window_s  # they have seen all of the track
    facts = {"hash": run.hashes.get(name), "spec": to_json(run.models[name]), "window_s": window_s}
    return facts | ({"delay_s": run.delays[name]} if name in run.delays else {})


def _track_facts(track: TrackSummary) -> dict[str, Any]:
    return {
        "track": track.track,
        "start_s": track.start_s,
        "end_s": track.end_s,
        "seconds": round(track.end_s - track.start_s, 3),
        "rows": track.num_rows,
        "rows_not_ok": track.num_flagged,
        "flags": dict(track.flags),
        "mean_quality": {k: round(v, 4) for k, v in track.mean_quality().items()},
        "models": {name: _scores(track, name) for name in track.specs},
    }


def _scores(track: TrackSummary, model: str) -> dict[str, Any]:
    spec = track.specs[model]
    mean = {k: round(v, 6) for k, v in track.mean(model).items()}
    if spec.classes:
        return {"mean": mean, "peaks": _moments(spec.names, track.peaks[model], "probability")}
    highest, lowest = (_moments(spec.names, found[model], "value") for found in (track.peaks, track.lows))
    return {"mean": mean, "highest": highest, "lowest": lowest}


def _moments(names: Sequence[str], found: Sequence[Sequence[Peak]], word: str) -> dict[str, list[dict[str, float]]]:
    rows = [[{"time_s": p.time_s, word: round(p.value, 6)} for p in peaks] for peaks in found]
    return dict(zip(names, rows, strict=True))
