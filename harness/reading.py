"""Opening a history, whatever it comes as: EDN, JSON, JSON lines, each gzipped or not, a run's folder, Python values.

One function, `read_history`. Every problem of a file is one `HistoryError` (or `UsageError` when there is no such
file) that names the file and the line. A journal of our own that ends in the middle of a line, because the controller
was killed, is read up to there, and `read_recording` says so in its notes; any other cut file is refused.

Lines of op maps, EDN or JSON, are read into columns over the mapped file (`harness.read_columns`); only one JSON array
goes through objects.

Cost: some 2 ns a byte and core; about 3 µs a record in a JSON array.
"""

from __future__ import annotations

import gc
import gzip
import json
import mmap
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.edn import DEPTH_MAX
from harness.errors import UsageError
from harness.history import History, HistoryError
from harness.history_edn import EdnOps
from harness.history_json import JsonLines, decoded
from harness.notation import Bytes, LineError, text_of
from harness.op import Op

JOURNAL = "journal.jsonl"
FOLDER_FILES = (JOURNAL, "history.edn", "history.jsonl", "history.json")
"""What a run's folder (or Jepsen's) may hold, the first found is read."""

_EDN_START = re.compile(r"[\s\[(]*(?:#jepsen[^{]*)?\{\s*:")
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 1 << 16
_INDEX = re.compile(r"(?:index|op) (\d+): ")
"""How checkers name the record that they can't take."""
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
    source, begin, kind = _opened(path)
    notes: list[str] = []
    if kind == "array":
        history = _json_array(path, source, begin)
    else:
        history = _op_lines(path, source, begin, kind, notes)
    if not len(history):
        if _is_journal(path):
            notes.append(f"{path.name} holds no op yet")
        else:
            raise HistoryError(f"{path} holds no op")
    return Recording(history, path, notes)


def _opened(path: Path) -> tuple[Bytes, int, str]:
    """A file's bytes, where its ops begin, and what it holds: `edn`, `jsonl`, `json` (the same), or a JSON `array`."""
    source = _source(path)
    begin = len(_BOM) if source[: len(_BOM)] == _BOM else 0
    head = source[begin : begin + _HEAD_BYTES].decode("utf-8", "replace")
    kind = _kind(path, head)
    return source, begin, "array" if kind == "json" and head.lstrip().startswith("[") else kind


def with_line(error: HistoryError, recording: Recording) -> HistoryError:
    """An error that names a record by its index (`index 7: ...`), with the file and the line that the record is on.

    The file is read once more for that. As it is where the error names no record, or where the history came from no
    file that could be (ops, a pipe).
    """
    named = _INDEX.match(str(error))
    if named is None or recording.path is None or not recording.path.is_file():
        return error
    index = recording.history.index
    place = int(np.searchsorted(index, int(named[1])))
    if place == len(index) or index[place] != int(named[1]):
        return error
    where = _place_in(recording.path, place)
    return HistoryError(f"{where} ({named[0].strip(': ')}): {str(error)[named.end() :]}")


def _place_in(path: Path, place: int) -> str:
    """Where in a file a record is, for a message."""
    from harness.read_columns import read_columns

    source, begin, kind = _opened(path)
    if kind == "array":
        return f"{path.name} op {place + 1}"
    read = read_columns(source, begin, EdnOps() if kind == "edn" else JsonLines(may_be_cut=_is_journal(path)))
    return f"{path.name} line {_line(source, int(read.start[place]))}"


def _op_lines(path: Path, source: Bytes, begin: int, kind: str, notes: list[str]) -> History:
    from harness.history_columns import history_of
    from harness.read_columns import read_columns

    json_lines = JsonLines(may_be_cut=_is_journal(path))
    notation = EdnOps() if kind == "edn" else json_lines
    read = read_columns(source, begin, notation)
    history = history_of(
        read.records,
        lambda place: f"{path.name} line {_line(source, int(read.start[place]))}",
        notation.value,
        notation.error,
        complete=read.error is None,
    )
    if read.error is not None:
        raise HistoryError(f"{path.name} line {_line(source, read.error.position)}: {read.error}")
    if json_lines.cut_at is not None:
        line = _line(source, json_lines.cut_at)
        notes.append(f"{path.name} ends in the middle of line {line}: that line was left out, everything before counts")
    return history


def _line(source: Bytes, position: int) -> int:
    """The number of the line that a byte stands in, from 1."""
    return 1 + sum(source[at : min(at + _HEAD_BYTES, position)].count(b"\n") for at in range(0, position, _HEAD_BYTES))


def _file_in(folder: Path) -> Path:
    for name in FOLDER_FILES:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise UsageError(f"{folder} holds no history: expected one of {', '.join(FOLDER_FILES)} in it")


def _source(path: Path) -> Bytes:
    """A file's bytes: mapped where that can be; in memory where it was compressed."""
    try:
        with path.open("rb") as file:
            packed = path.suffix == ".gz" or file.peek(2).startswith(b"\x1f\x8b")
            if not packed and stat.S_ISREG(os.fstat(file.fileno()).st_mode) and os.fstat(file.fileno()).st_size:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            data = file.read()
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from None
    if not packed:
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise HistoryError(f"{path.name} is no complete gzip file: {error}") from None


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


def _json_array(path: Path, source: Bytes, begin: int) -> History:
    try:
        text = text_of(source, begin, len(source))
        ops = decoded(text, DEPTH_MAX + 1)
    except LineError as error:
        raise HistoryError(f"{path.name} line {_line(source, error.position)}: {error}") from None
    except RecursionError:
        raise HistoryError(f"{path.name}: nested too deeply") from None
    except msgspec.DecodeError as error:
        raise HistoryError(f"{path.name} line {_json_error_line(text)}: {error}") from None
    return History.from_ops(ops, lambda place: f"{path.name} op {place + 1}")


def _json_error_line(text: str) -> int:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except (RecursionError, ValueError):
        pass
    return 1


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
