"""The journal: every record of a run as it happens, one JSON op a line, append-only.

One thread owns it (the dispatcher). A record is encoded into a buffer at once and handed to the operating system at
least every 100 ms (`tick`), in the order of `index`. So a controller killed with -9 loses at most the last 100 ms,
and what is left is a prefix of the run: nothing that a kept record saw is missing. At most the last line is cut short.

Cost: about 0.6 µs and 100 bytes a record.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from harness.errors import InfrastructureError
from harness.history import HistoryError
from harness.op import Op

FLUSH_NS = 50_000_000
"""How old a record may get in the buffer before the next `tick` writes it: half of what is promised."""
FLUSH_BYTES = 1 << 16


class Journal:
    """Writes records. Raises InfrastructureError when the disk refuses; what was flushed before is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encode_into = msgspec.json.Encoder().encode_into
        self._buffer = bytearray()
        self._next_flush_ns = 0
        self._failed = False
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InfrastructureError(f"journal {path}: can't be written: {error.strerror}") from error

    def append(self, op: Op) -> None:
        """Record it. Raises InfrastructureError for a value that is no JSON."""
        buffer = self._buffer
        size = len(buffer)
        try:
            self._encode_into(op, buffer, -1)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            del buffer[size:]
            raise InfrastructureError(f"journal {self.path}: {op!r:.500} can't be written as JSON: {error}") from error
        buffer += b"\n"
        if size > FLUSH_BYTES:
            self.flush()

    def tick(self) -> None:
        """Flush when it is time to; to be called at least every 50 ms."""
        if self._buffer and time.monotonic_ns() >= self._next_flush_ns:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system. Raises InfrastructureError."""
        if self._failed:
            raise InfrastructureError(f"journal {self.path}: writing has failed before")
        try:
            while self._buffer:
                del self._buffer[: os.write(self._file, self._buffer)]
        except OSError as error:
            self._failed = True
            raise InfrastructureError(
                f"journal {self.path}: {error.strerror}; what was recorded before is kept and can be judged"
            ) from error
        self._next_flush_ns = time.monotonic_ns() + FLUSH_NS

    def close(self) -> None:
        """Flush, bring it to the disk, close. A journal that has failed is only closed. Safe to call twice."""
        if self._file < 0:
            return
        try:
            if not self._failed:
                self.flush()
                os.fsync(self._file)
        except OSError as error:
            if error.errno not in (22, 95):  # no fsync on this kind of file
                raise InfrastructureError(f"journal {self.path}: {error.strerror}") from error
        finally:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> tuple[list[Op], list[str]]:
    """The records, and notes about what was dropped (a last line that was cut short).

    Raises HistoryError, naming the line, for any other line that is no op or is out of its place.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}") from error
    decode = msgspec.json.Decoder(Op).decode
    lines = data.split(b"\n")
    cut = lines.pop() if lines[-1] == b"" else None
    ops: list[Op] = []
    notes: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            op = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if cut is None and number == len(lines):
                notes.append(f"{path.name}: the last line ({len(line)} bytes) was cut short and is dropped")
                break
            raise HistoryError(f"{path}, line {number}: no op: {error}") from error
        if op.index != len(ops):
            raise HistoryError(f"{path}, line {number}: index {op.index}, expected {len(ops)}: a record is missing")
        ops.append(op)
    return ops, notes
