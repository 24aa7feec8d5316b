"""Shards: Arrow IPC files, one record batch per clip, memory-mapped, so that only the frames asked for are touched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.config import class_table, from_json, to_json, write_json
from mien.contract import CropContract
from mien.data.manifest import MAX_ROW_FRAMES, Manifest
from mien.data.movements import MOVEMENTS, Movements
from mien.errors import UserError

ANNOTATION = "annotation.parquet"  # of frames, written by `corpora._annotation`
SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("frames", pa.list_(pa.binary())),  # JPEG files
        ("times_s", pa.list_(pa.float64())),
        ("boxes", pa.list_(pa.list_(pa.float32(), 4))),  # x0 y0 x1 y1 of the face in source pixels
        ("points", pa.list_(pa.list_(pa.float32(), 10))),  # 5 x (x, y): eyes, nose, mouth corners (image left first)
        ("scores", pa.list_(pa.float32())),
        ("audio", pa.list_(pa.int16())),  # 16 kHz mono; empty without sound
        ("audio_start_s", pa.float64()),
    ]
)


@dataclass
class ShardRow:
    """What prepare hands to the writer: T frames of one track.

    Args:
        frames: T JPEG files.
        times_s: [T] seconds.
        boxes: [T, 4]. points: [T, 10]. scores: [T].
        audio: [S] int16 at 16 kHz from `audio_start_s` on.
        targets: per-frame targets by column name, [T] float32, NaN = unlabelled.
        movements: where the file keeps them.
    """

    clip_id: str
    frames: list[bytes]
    times_s: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    audio: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int16))
    audio_start_s: float = 0.0
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    movements: Movements | None = None


class ShardWriter:
    """Streams rows to one file. Use as a context manager; the file appears under its name only when all went well.

    Args:
        targets: names of the per-frame target columns, the same for every row of the file.
        movements: rows have them.
    """

    def __init__(self, path: Path, targets: tuple[str, ...] = (), movements: bool = False):
        self.path, self.targets = path, targets
        self.num_rows = 0
        self._temporary = path.with_suffix(".tmp")
        extra = [(name, pa.list_(pa.float32())) for name in targets]
        fixed = [*SCHEMA, *MOVEMENTS] if movements else [*SCHEMA]
        self.schema = pa.schema([*fixed, *[pa.field(n, t) for n, t in extra]])

    def __enter__(self) -> ShardWriter:
        self._writer = pa.ipc.new_file(str(self._temporary), self.schema)
        return self

    def add(self, row: ShardRow) -> int:
        """Appends a row and returns its number."""
        count = len(row.frames)
        assert 0 < count <= MAX_ROW_FRAMES, count
        assert len(row.times_s) == len(row.boxes) == len(row.points) == len(row.scores) == count
        values = [
            [row.clip_id],
            [row.frames],
            [row.times_s],
            [row.boxes.reshape(count, 4).astype(np.float32).tolist()],
            [row.points.reshape(count, 10).astype(np.float32).tolist()],
            [row.scores.astype(np.float32)],
            [row.audio],
            [row.audio_start_s],
        ]
        moved = [] if row.movements is None else row.movements.arrays()
        targets = [pa.array([row.targets[name].astype(np.float32)], pa.list_(pa.float32())) for name in self.targets]
        arrays = [pa.array(v, f.type) for v, f in zip(values, SCHEMA, strict=True)] + moved + targets
        self._writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        self.num_rows += 1
        return self.num_rows - 1

    def __exit__(self, kind, value, trace) -> None:
        self._writer.close()
        if kind is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)


class Clip:
    """One row of a shard; every array is a view of the mapped file."""

    def __init__(self, batch: pa.RecordBatch):
        self.batch = batch
        self._frames = batch.column("frames").values
        self._offset = batch.column("frames").offsets[0].as_py()

    def __len__(self) -> int:
        return len(self._frames)

    def jpeg(self, k: int) -> memoryview:
        """The bytes of frame k, without a copy."""
        return memoryview(self._frames[self._offset + k].as_buffer()).cast("B")

    def target(self, name: str) -> np.ndarray:
        """A per-frame target [T] float32. Raises UserError where these shards have none of that name."""
        if name not in self.batch.schema.names:
            fixed = {*SCHEMA.names, *MOVEMENTS.names}
            have = ", ".join(n for n in self.batch.schema.names if n not in fixed) or "none"
            raise UserError(
                f"no per-frame target {name!r} in the shards; there are: {have} (ratings of your own: mien prepare "
                "--corpus folder, docs/corpora.md)"
            )
        return self.numbers(name)

    def movements(self) -> Movements:
        """Raises UserError for shards without."""
        return Movements.read(self.batch)

    def numbers(self, column: str) -> np.ndarray:
        """A list column as [T] or [T, n]."""
        values = self.batch.column(column).values
        if isinstance(values, pa.FixedSizeListArray):
            return values.flatten().to_numpy().reshape(-1, values.type.list_size)
        return values.to_numpy()


class Shards:
    """A folder written by `mien prepare`: manifest, contract, and clips by manifest row."""

    def __init__(self, root: Path | str):
        self.root = Path(root)
        self.manifest = Manifest.read(self.root)
        self.contract = read_contract(self.root)
        self._readers: dict[str, pa.ipc.RecordBatchFileReader] = {}

    @classmethod
    def of(cls, place: Shards | Path | str) -> Shards:
        """A folder, or shards as they are."""
        return place if isinstance(place, Shards) else cls(place)

    def __repr__(self) -> str:
        rows, good = len(self.manifest), self.manifest.column("status").count("ok")
        return f"Shards {self.root}: {good} clips of {self.contract.store.size} pixels, {rows - good} failed"

    @cached_property
    def hash(self) -> str:
        """Names the data: the manifest's hash, and with annotation by frame (which is no part of the manifest) a hash of both."""
        path = self.root / ANNOTATION
        if not path.is_file():
            return self.manifest.hash
        table, sink = pq.read_table(path), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as stream:
            stream.write_table(table.replace_schema_metadata(None).combine_chunks())
        return hashlib.sha256(self.manifest.hash.encode() + sink.getvalue()).hexdigest()[:12]

    def clip(self, shard: str, row: int) -> Clip:
        """The clip at record batch `row` of file `shard` (both from the manifest).

        Raises:
            UserError: the file is not there or damaged, as in a folder that was copied in part.
        """
        reader = self._readers.get(shard)
        if reader is None:
            path = self.root / "shards" / shard
            if not path.is_file():
                raise UserError(
                    f"{path} is missing, the manifest names it: copy the folder as a whole, or prepare it again"
                )
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(path)))
            except pa.ArrowInvalid:
                raise UserError(f"{path} is damaged: copy it again, or prepare its videos again") from None
            self._readers[shard] = reader
        return Clip(reader.get_batch(row))

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_readers": {}}  # workers map the files themselves


CONTRACT_CLASSES = class_table(CropContract)


def read_contract(root: Path) -> CropContract:
    path = root / "contract.json"
    if not path.is_file():
        raise UserError(f"{root} has no contract.json: it was not written by `mien prepare`, or not to its end")
    try:
        return from_json(json.loads(path.read_text()), CONTRACT_CLASSES)
    except ValueError as error:
        raise UserError(f"{path} is damaged or not ours: {error}") from None


def write_contract(root: Path, contract: CropContract) -> None:
    write_json(root / "contract.json", to_json(contract))
