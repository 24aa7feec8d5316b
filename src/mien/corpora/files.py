"""What the parsers share: reading somebody else's files with one clear line when they are not what they should be."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from mien.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mien.errors import UserError, require

Split = Literal["train", "val", "test"]
# Names listed in one problem line before it says how many more there are.
NAMED = 5


def check_root(root: Path, corpus: str, source: str) -> None:
    """Raises UserError unless `root` is a folder."""
    state = "is a file" if root.is_file() else "is not there"
    require(root.is_dir(), f"{root} {state}: give the folder that holds {corpus} ({source})")


def holds(root: Path) -> str:
    """The first entries of a folder, for messages about what was found instead."""
    names = sorted(p.name + "/" * p.is_dir() for p in root.iterdir()) if root.is_dir() else []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (", ".join(names[:NAMED]) + more) if names else "nothing"


def missing(root: Path, wanted: str, corpus: str, source: str) -> UserError:
    """The error for a root that lacks `wanted`."""
    return UserError(f"{root} is not {corpus}: looked for {wanted}, found {holds(root)}; {source}")


def read_text(path: Path) -> str:
    """UTF-8 text, with or without a byte order mark.

    Raises:
        UserError: unreadable or in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def read_names(path: Path) -> list[str]:
    """The lines of a list, stripped, without empty ones."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_table(path: Path, columns: Sequence[str], separator: str | None = None) -> list[dict[str, str]]:
    """Rows of a table with a header; names and cells without outer spaces and quotes.

    Args:
        columns: must be there.
        separator: None = the one of ``; , tab`` that the header holds most of.

    Raises:
        UserError: a column is missing, or a row has more or fewer cells than the header.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    require(bool(lines), f"{path} is empty; it has a header with {', '.join(columns)}")
    separator = separator or max(";,\t", key=lines[0].count)
    header, *rows = [[clean(c) for c in row] for row in csv.reader(lines, delimiter=separator)]
    if absent := [c for c in columns if c not in header]:
        raise UserError(f"{path} has no column {', '.join(absent)}; it has {', '.join(header)}")
    for line, row in enumerate(rows, 2):
        if len(row) == len(header) + 1 and not row[-1]:  # a separator at the end of the line
            row.pop()
        require(len(row) == len(header), f"{path} line {line} has {len(row)} cells, its header {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def clean(text: str) -> str:
    """Without outer spaces and one pair of quotes."""
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def number(text: str, where: str) -> float:
    """Raises UserError when `text` is no number."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where} is {text!r}; it is a number") from None


def safe_name(name: str, where: str) -> str:
    """A name from an annotation file as one part of a path.

    Raises:
        UserError: it would lead elsewhere, or cannot be a file's name.
    """
    if name in ("", ".", "..") or any(c in name for c in "/\\\0\n\r"):
        raise UserError(f"{where} names {name!r}, which cannot be the name of a file: the annotation is damaged")
    return name


def safe_path(text: str, where: str) -> str:
    """A relative path from a list, with forward slashes; the same errors as `safe_name` for each of its parts."""
    return PurePosixPath(*[safe_name(part, where) for part in text.replace("\\", "/").split("/")]).as_posix()


def folders(path: Path) -> list[str]:
    """Names of the folders directly in `path`, sorted; links to folders count, hidden ones do not."""
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".") and _is_text(e.name))


def files(path: Path, suffixes: Collection[str]) -> list[str]:
    """Names of the files directly in `path` with one of `suffixes` (lower case), sorted."""
    with os.scandir(path) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and _is_text(e.name)]
    return sorted(n for n in names if os.path.splitext(n)[1].lower() in suffixes)


def _is_text(name: str) -> bool:
    """Names that are no UTF-8 (surrogates) or break lines cannot stand in a manifest."""
    return not any(c < " " or "\ud800" <= c <= "\udfff" for c in name)


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """(folder relative to root with slashes, its folders, its files) of everything below, links followed once."""
    seen: set[str] = set()
    for place, inner, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(n for n in inner if not n.startswith(".") and _is_text(n))
        relative = Path(place).relative_to(root).as_posix()
        yield "" if relative == "." else relative, inner, sorted(n for n in names if _is_text(n))


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def videos_by_stem(root: Path) -> dict[str, list[str]]:
    """Stem of every video below `root` to its paths, relative to root."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder, _, names in walk(root):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                found[stem].append(join(folder, name))
    return found


def image_folders(root: Path) -> list[str]:
    """Folders below `root` that hold images directly, relative to root."""
    return [f for f, _, names in walk(root) if any(os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES for n in names)]


def read_splits(path: str, root: Path) -> dict[str, dict[str, str]]:
    """A table of one's own with the columns name, split (train, val or test) and any others, by name.

    Args:
        path: as given, or below `root`.

    Raises:
        UserError: not there, another split, a name twice.
    """
    place = next((p for p in (Path(path), root / path) if p.is_file()), None)
    if place is None:
        raise UserError(f"splits={path}: no such file; it is a CSV with the columns name and split")
    rows = read_table(place, ("name", "split"))
    for row in rows:
        require(row["split"] in ("train", "val", "test"), f"{place}: {row['name']} has the split {row['split']!r}; "
                "allowed are train, val, test")  # fmt: skip
    twice = [n for n, c in Counter(r["name"] for r in rows).items() if c > 1]
    require(not twice, f"{place} names {', '.join(twice[:NAMED])} more than once")
    return {row["name"]: row for row in rows}


def chosen(option: str, text: str, allowed: Collection[str]) -> list[str]:
    """The words of an option such as ``train,val``, in the order of `allowed`.

    Raises:
        UserError: none, or another word.
    """
    words = text.replace(",", " ").split()
    fine = words and not set(words) - set(allowed)
    require(bool(fine), f"{option}={text}; allowed are {', '.join(allowed)}, one or more with commas between")
    return [w for w in allowed if w in words]


def read_list(option: str, path: str, root: Path) -> list[str]:
    """Lines of a list that an option names, as given or below `root`.

    Raises:
        UserError: no such file.
    """
    place = next((p for p in (Path(path), root / path) if p.is_file()), None)
    if place is None:
        raise UserError(f"{option}={path}: no such file, nor below {root}")
    return read_names(place)


def problem(what: str, names: Iterable[str]) -> list[str]:
    """One line that counts and names, or none: ``"3 clips missing: a, b, c"``."""
    listed = list(names)
    if not listed:
        return []
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return [f"{len(listed)} {what}: {', '.join(listed[:NAMED])}{more}"]


def count_problems(what: str, found: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """One line per part whose count is not the published one."""
    pairs = [(part, found.get(part, 0), number) for part, number in published.items()]
    return [f"{part}: {have:,} {what}, published {number:,}" for part, have, number in pairs if have != number]


def doubles(paths: Mapping[str, list[str]]) -> list[str]:
    """A line for names that stand in several places; the first place is used."""
    return problem("names in more than one place, the first is used", [" = ".join(p) for p in paths.values() if p[1:]])


def across(groups: Mapping[str, Iterable[str]], what: str) -> list[str]:
    """A line for each pair of parts that share a member, though nobody should be in two."""
    sets = {part: set(members) for part, members in groups.items()}
    parts, lines = list(sets), []
    for i, a in enumerate(parts):
        for b in parts[i + 1 :]:
            lines += problem(f"{what} in both {a} and {b}", sorted(sets[a] & sets[b]))
    return lines
