"""Which rows of a manifest a task trains on and is scored on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.contract import Origin
from mien.data.manifest import Manifest
from mien.errors import UserError
from mien.rng import generator

LIKE_MAIN = 0.5  # ours: people who appear in the background while the main one is away are smaller


def item_of(clip_id: str) -> str:
    """The labelled stretch of video a row belongs to (clip ids end in ``/<track>/<segment>``)."""
    return clip_id.rsplit("/", 2)[0]


def main_tracks(manifest: Manifest) -> Manifest:
    """Of each labelled stretch the one face track that is seen longest and largest: a label speaks of one person."""
    weight: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    rows = manifest.rows()
    for row in rows:
        weight[item_of(row["clip_id"])][row["track"]] += row["num_frames"] * max(row["face_px"] or 0.0, 1.0)
    chosen = {item: max(tracks, key=lambda t: (tracks[t], -t)) for item, tracks in weight.items()}
    return manifest.take([i for i, row in enumerate(rows) if chosen[item_of(row["clip_id"])] == row["track"]])


def annotated_tracks(manifest: Manifest) -> Manifest:
    """Of each labelled stretch, for annotation by frame: the main track, and those that go on with it where it breaks off (a face
    that was lost, a cut, a black frame): no other frame of the person that the annotation follows must be lost.

    Those are, the heaviest first, the tracks that overlap no chosen one in time and whose face is at least `LIKE_MAIN` as large
    as the main one's. Rows of a stretch are in order of time.
    """
    rows, items = manifest.rows(), defaultdict(lambda: defaultdict(list))
    for i, row in enumerate(rows):
        items[item_of(row["clip_id"])][row["track"]].append(i)
    return manifest.take([i for tracks in items.values() for i in _going_on(rows, list(tracks.values()))])


def _going_on(rows: list[dict[str, Any]], tracks: list[list[int]]) -> list[int]:
    """Row numbers of the chosen tracks (row numbers each) of one stretch, by time."""

    def frames(track: list[int]) -> int:
        return sum(rows[i]["num_frames"] for i in track)

    def pixels(track: list[int]) -> float:
        return sum(rows[i]["num_frames"] * max(rows[i]["face_px"] or 0.0, 1.0) for i in track)

    def span(track: list[int]) -> tuple[float, float]:
        return min(rows[i]["start_s"] for i in track), max(rows[i]["end_s"] for i in track)

    ranked = sorted(tracks, key=pixels, reverse=True)
    least = LIKE_MAIN * pixels(ranked[0]) / max(frames(ranked[0]), 1)
    chosen: list[list[int]] = []
    for track in ranked:
        start, end = span(track)
        apart = all(end < s or start > e for s, e in map(span, chosen))
        if apart and pixels(track) / max(frames(track), 1) >= least:
            chosen.append(track)
    return sorted((i for track in chosen for i in track), key=lambda i: rows[i]["start_s"])


def labelled(manifest: Manifest, target: str) -> Manifest:
    """Rows whose `target` is filled in. Raises UserError when the column is missing or empty."""
    values = manifest.column(target)
    rows = manifest.take([i for i, v in enumerate(values) if v is not None and v != ""])
    if not len(rows):
        raise UserError(f"column {target!r} is empty in every row")
    return rows


def in_split(manifest: Manifest, split: str, column: str = "split") -> Manifest:
    """Rows whose split column says `split`. Raises UserError naming the splits there are."""
    values = manifest.column(column)
    rows = manifest.take([i for i, v in enumerate(values) if str(v) == split])
    if not len(rows):
        have = ", ".join(sorted({str(v) for v in values if v})) or "none (add a column to the --labels CSV)"
        raise UserError(f"no rows with {column} {split!r}; there are: {have}")
    return rows


def class_names(manifest: Manifest, target: str) -> tuple[str, ...]:
    """Classes in sorted order (numeric where they are numbers). Raises UserError for fewer than two."""
    values = {label_name(v) for v in manifest.column(target)}
    if len(values) < 2:
        raise UserError(f"column {target!r} holds {len(values)} class(es) {sorted(values)}; at least two are needed")
    numeric = all(v.lstrip("-").isdigit() for v in values)
    return tuple(sorted(values, key=int) if numeric else sorted(values))


def class_indices(manifest: Manifest, target: str, names: Sequence[str]) -> np.ndarray:
    """``[n]`` int64. Raises UserError for a label that is not one of `names`."""
    index = {name: i for i, name in enumerate(names)}
    labels = [label_name(v) for v in manifest.column(target)]
    if unknown := sorted(set(labels) - set(index)):
        raise UserError(f"column {target!r} holds {unknown}, the model knows {list(names)}")
    return np.array([index[v] for v in labels], np.int64)


def label_name(value: object) -> str:
    """A label as the name of its class: 3.0 is "3"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def label_fraction(manifest: Manifest, target: str, fraction: float, seed: int) -> Manifest:
    """A random part of each class, at least one clip of each.

    Raises:
        UserError: a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise UserError(f"--label-fraction {fraction}: give a number above 0 and up to 1")
    rng, chosen = generator("labels", seed), []
    values = [label_name(v) for v in manifest.column(target)]
    for name in sorted(set(values)):
        members = np.array([i for i, v in enumerate(values) if v == name])
        chosen += rng.permutation(members)[: max(1, round(fraction * len(members)))].tolist()
    return manifest.take(sorted(chosen))


def any_fraction(manifest: Manifest, fraction: float, seed: int) -> Manifest:
    """A random part of the rows, at least one. Raises UserError for a fraction outside (0, 1]."""
    if not 0 < fraction <= 1:
        raise UserError(f"--label-fraction {fraction}: give a number above 0 and up to 1")
    order = generator("labels", seed).permutation(len(manifest))
    return manifest.take(sorted(order[: max(1, round(fraction * len(manifest)))].tolist()))


def clip_values(manifest: Manifest, names: Sequence[str]) -> np.ndarray:
    """``[n, K]`` float32 targets, NaN where a cell is empty. Raises UserError for a column that holds no numbers."""
    columns = [manifest.column(name) for name in names]
    for name, column in zip(names, columns, strict=True):
        if words := sorted({v for v in column if isinstance(v, str)})[:3]:
            raise UserError(f"column {name!r} holds words ({', '.join(words)}), a regression needs numbers")
    return np.array([[np.nan if v is None else v for v in column] for column in columns], np.float32).T


def vote_shares(manifest: Manifest, names: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """``[n, K]`` float32: the share of the annotators' votes for each class, or all on the label where nobody voted.

    Raises:
        UserError: a class without a column ``votes_<class>``.
    """
    missing = [n for n in names if f"votes_{n}" not in manifest.table.column_names]
    if missing:
        raise UserError(f"--soft-labels: no column {', '.join(f'votes_{n}' for n in missing)} in the manifest")
    votes = np.nan_to_num(clip_values(manifest, [f"votes_{n}" for n in names]))
    votes[votes.sum(axis=1) == 0] = np.eye(len(names), dtype=np.float32)[labels[votes.sum(axis=1) == 0]]
    return votes / votes.sum(axis=1, keepdims=True)


def hold_out(manifest: Manifest, fraction: float, seed: int) -> tuple[Manifest, Manifest]:
    """(train, validation): whole subjects where they are named, else whole sources, never half of one."""
    groups = [row["subject"] or row["source"] for row in manifest.rows()]
    names = generator("hold out", seed).permutation(sorted(set(groups)))
    held = set(names[: max(1, round(fraction * len(names)))].tolist())
    if len(held) == len(names):
        raise UserError(f"{len(names)} subject(s) or source(s) cannot be divided into a training and a validation part")
    train = [i for i, g in enumerate(groups) if g not in held]
    return manifest.take(train), manifest.take([i for i, g in enumerate(groups) if g in held])


def origin_of(manifests: Sequence[Manifest]) -> Origin:
    """Whether the faces were drawn by code, recorded, or both."""
    origins = {v or "recorded" for m in manifests for v in m.column("origin")}
    if len(origins) > 1:
        return "mixed"
    return "drawn" if origins == {"drawn"} else "recorded"


def median_fps(manifest: Manifest) -> float:
    """Of rows with at least two frames; 30 when there are none (stills)."""
    rates = [v for v in manifest.column("fps") if v]
    return float(np.median(rates)) if rates else 30.0


def rates_differ(manifest: Manifest, fps: float) -> bool:
    """Whether some row's frame rate is more than 5 % off: then frames are picked by time, not by number."""
    return any(abs(v / fps - 1) > 0.05 for v in manifest.column("fps") if v)
