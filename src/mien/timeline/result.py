"""What `mien.predict` gives of a video: the rows, what is said about them, and the files that hold both."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mien.errors import require

FILES = (
    "timeline.csv",
    "timeline.parquet",
    "movements.parquet",
    "events.csv",
    "predictions.json",
    "report.html",
    "annotated.mp4",
)


class Folder:
    """Where the files of a timeline lie: `path`, or a temporary folder that is removed with this object."""

    def __init__(self, path: Path | str | None = None):
        self.path = Path(tempfile.mkdtemp(prefix="mien-") if path is None else path)
        if path is None:
            weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True)
class Track:
    """One face, as long as it was followed; a person who comes back has another number."""

    number: int
    """As in the column `track`."""
    start_s: float
    end_s: float
    rows: int
    flagged: int
    """Rows whose `quality` is not ok."""
    means: dict[str, dict[str, float]]
    """By model, then by class or target: the mean probability or value."""

    @property
    def mean(self) -> dict[str, float]:
        """By class or target, where there is one model.

        Raises:
            UserError: there are several.
        """
        require(len(self.means) == 1, f"several models saw this face: take means[NAME], of {', '.join(self.means)}")
        return next(iter(self.means.values()))


@dataclass(frozen=True, eq=False)
class Timeline:
    """One video as the models see it."""

    video: Path
    status: Literal["ok", "no_face", "unreadable", "empty"]
    """That of a manifest row; without a face there are no rows, of a video that cannot be read no files either."""
    reason: str
    """Why there are no rows; "" where there are some."""
    schema: pa.Schema = field(repr=False)
    """The columns of the table, each with its meaning."""
    record: dict[str, Any] = field(repr=False)
    """What ``predictions.json`` holds; {} of a video that cannot be read."""
    folder: Folder = field(repr=False)

    @cached_property
    def table(self) -> pa.Table:
        """The rows of ``timeline.parquet``, in order of time."""
        return pq.ParquetFile(self.file("timeline.parquet")).read() if self.record else self.schema.empty_table()

    @cached_property
    def events(self) -> pa.Table:
        """The rows of ``events.csv``. Raises UserError where no movements were read."""
        path = self.file("events.csv")
        require(path.is_file(), "no movements were read: predict without a model, or with movements=True")
        return pa_csv.read_csv(path)

    def to_pandas(self) -> Any:
        """The table as a DataFrame. Raises UserError where pandas is not installed."""
        require(find_spec("pandas") is not None, "to_pandas needs pandas: pip install pandas")
        return self.table.to_pandas()

    @property
    def tracks(self) -> list[Track]:
        """Those seen longest first."""
        return [
            Track(
                t["track"], t["start_s"], t["end_s"], t["rows"], t["rows_not_ok"],
                {name: said["mean"] for name, said in t["models"].items()},
            )
            for t in self.record.get("tracks", [])
        ]  # fmt: skip

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know."""
        return self.record.get("warnings", [])

    def file(self, name: str) -> Path:
        """One of its files, such as ``report.html``.

        Raises:
            UserError: the video cannot be read, or another one's files lie in the folder by now.
        """
        require(bool(self.record), f"{self.video}: {self.reason}, so there are no files")
        written = self.folder.path / "predictions.json"
        found = json.loads(written.read_text(encoding="utf-8")) if written.is_file() else {}
        own = all(found.get(part) == self.record[part] for part in ("video", "provenance"))
        require(own, f"{self.folder.path} no longer holds the files of {self.video}: predict it again")
        return self.folder.path / name

    def save(self, out: Path | str) -> None:
        """Copies its files to the folder `out`, where they replace those of an earlier video. Raises as `file` does."""
        files = [path for path in map(self.file, FILES) if path.is_file()]
        with all_or_nothing(Path(out)) as unfinished:
            for path in files:
                shutil.copyfile(path, unfinished / path.name)


@contextmanager
def all_or_nothing(out: Path) -> Iterator[Path]:
    """A folder in `out`, whose files replace those of an earlier video in `out` once all are there; it is gone afterwards."""
    unfinished = out / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        for file in unfinished.iterdir():
            file.replace(out / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
