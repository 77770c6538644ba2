"""Opening a history, whatever it comes as: EDN, JSON, JSON lines, each gzipped or not, a run's folder, Python values.

One function, `read_history`. Every problem of a file is one `HistoryError` (or `UsageError` when there is no such
file) that names the file and the line. A journal of our own that ends in the middle of a line, because the controller
was killed, is read up to there, and `read_recording` says so in its notes; any other cut file is refused.

Cost: the whole text in memory once, and about 10 µs a record.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness.edn import EdnError
from harness.errors import UsageError
from harness.history import History, HistoryError
from harness.history_edn import read_ops
from harness.op import Op

JOURNAL = "journal.jsonl"
FOLDER_FILES = (JOURNAL, "history.edn", "history.jsonl", "history.json")
"""What a run's folder (or Jepsen's) may hold, the first found is read."""

_EDN_START = re.compile(r"[\s\[(]*(?:#jepsen[^{]*)?\{\s*:")
_JSON_START = re.compile(r'[\s\[]*\{\s*"')

HistorySource = str | os.PathLike[str] | History | Iterable[Op | Mapping[str, Any]]


@dataclass(frozen=True)
class Recording:
    """A history and what a reader must know of how it was read.

    path: the file, None for values. notes: one sentence each, e.g. that the last line was cut and left out.
    """

    history: History
    path: Path | None = None
    notes: list[str] = field(default_factory=list)


def read_history(source: HistorySource) -> History:
    """The history that a path, a list of ops or op maps, or a History stands for. Raises HistoryError, UsageError."""
    return read_recording(source).history


def read_recording(source: HistorySource) -> Recording:
    """As `read_history`, with notes."""
    if isinstance(source, History):
        return Recording(source)
    if isinstance(source, str | os.PathLike):
        with _without_garbage_collection():
            return _read_path(Path(source))
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise UsageError(f"a history is a path, a list of op maps, or a History, not a {type(source).__name__}")
    return Recording(History.from_ops(source))


def _read_path(path: Path) -> Recording:
    if path.is_dir():
        path = _file_in(path)
    text = _text(path)
    kind = _kind(path, text)
    notes: list[str] = []
    lines = array("q")
    unit = "line"
    if kind == "edn":
        ops = _edn_ops(path, text, lines)
    elif kind == "json" and text.lstrip().startswith("["):
        unit = "op"
        ops = _json_ops(path, text, lines)
    else:
        ops = _json_lines_ops(path, text, lines, notes)
    history = History.from_ops(ops, lambda place: f"{path.name} {unit} {lines[place]}")
    if not len(history):
        if _is_journal(path):
            notes.append(f"{path.name} holds no op yet")
        else:
            raise HistoryError(f"{path} holds no op")
    return Recording(history, path, notes)


def _file_in(folder: Path) -> Path:
    for name in FOLDER_FILES:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise UsageError(f"{folder} holds no history: expected one of {', '.join(FOLDER_FILES)} in it")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from None
    if path.suffix == ".gz" or data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise HistoryError(f"{path.name} is no complete gzip file: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise HistoryError(f"{path.name} line {line}: is not UTF-8 text") from None


def _kind(path: Path, text: str) -> str:
    name = path.name.removesuffix(".gz")
    for suffix, kind in ((".edn", "edn"), (".jsonl", "jsonl"), (".ndjson", "jsonl"), (".json", "json")):
        if name.endswith(suffix):
            return kind
    if _EDN_START.match(text):
        return "edn"
    if _JSON_START.match(text):
        return "json" if text.lstrip().startswith("[") else "jsonl"
    raise HistoryError(f"{path} is neither EDN nor JSON: name it .edn, .json or .jsonl (.gz may follow)")


def _is_journal(path: Path) -> bool:
    return path.name in (JOURNAL, f"{JOURNAL}.gz")


def _edn_ops(path: Path, text: str, lines: array[int]) -> Iterator[Any]:
    try:
        for line, op in read_ops(text):
            lines.append(line)
            yield op
    except EdnError as error:
        line = text.count("\n", 0, error.position) + 1
        raise HistoryError(f"{path.name} line {line}: {error}") from None


def _json_ops(path: Path, text: str, lines: array[int]) -> Iterator[Any]:
    try:
        ops = msgspec.json.decode(text)
    except RecursionError:
        raise HistoryError(f"{path.name}: nested too deeply") from None
    except msgspec.DecodeError as error:
        raise HistoryError(f"{path.name} line {_json_error_line(text)}: {error}") from None
    for place, op in enumerate(ops):
        lines.append(place + 1)
        yield op


def _json_error_line(text: str) -> int:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except (RecursionError, ValueError):
        pass
    return 1


def _json_lines_ops(path: Path, text: str, lines: array[int], notes: list[str]) -> Iterator[Any]:
    decode = msgspec.json.Decoder().decode
    start, number, length = 0, 0, len(text)
    while start < length:
        end = text.find("\n", start)
        complete = end >= 0
        if not complete:
            end = length
        number += 1
        line = text[start:end]
        start = end + 1
        if not line or line.isspace():
            continue
        try:
            op = decode(line)
        except RecursionError:
            raise HistoryError(f"{path.name} line {number}: nested too deeply") from None
        except msgspec.DecodeError as error:
            if not complete and _is_journal(path):
                notes.append(
                    f"{path.name} ends in the middle of line {number}: that line was left out, everything before counts"
                )
                return
            raise HistoryError(f"{path.name} line {number}: is no JSON: {error}") from None
        lines.append(number)
        yield op


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Millions of small lists that all stay alive: collecting among them only costs time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
