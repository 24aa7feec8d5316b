"""What happened, as a table for the console."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from mien.data.manifest import STATUSES, Manifest

MAX_REASONS = 12


def show(manifest: Manifest, console: Console) -> None:
    """Clips, files and minutes by status; then the files that gave nothing or only a part, with the reason."""
    rows = manifest.rows()
    table = Table(title="prepare")
    for name in ("status", "files", "clips", "tracks", "frames", "minutes"):
        table.add_column(name, justify="left" if name == "status" else "right")
    for status in STATUSES:
        group = [r for r in rows if r["status"] == status]
        if not group:
            continue
        files = len({r["source"] for r in group})
        good = [r for r in group if r["num_frames"]]
        tracks = len({(r["source"], r["track"]) for r in good})
        frames = sum(r["num_frames"] for r in good)
        minutes = sum(r["end_s"] - r["start_s"] for r in good) / 60
        table.add_row(status, *map(str, (files, len(good), tracks, frames)), f"{minutes:.1f}")
    console.print(table)
    reasons = Counter((r["source"], r["status"], r["reason"]) for r in rows if r["reason"])
    for source, status, reason in list(reasons)[:MAX_REASONS]:
        console.print(f"  {source}: {status}, {reason}")
    if len(reasons) > MAX_REASONS:
        console.print(f"  and {len(reasons) - MAX_REASONS} more: see status and reason in manifest.parquet")
