"""The record of a hunt: a journal that several threads write to."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from harness.journal import Journal
from harness.op import Op


class Record:
    """Open from its making to `close`; `faultline check` judges the file again."""

    def __init__(self, path: Path) -> None:
        self._journal, self._lock, self._length = Journal(path), threading.Lock(), 0

    def add(self, op: Op) -> Op:
        """The op with its index and time."""
        with self._lock:
            op = op.replace(index=self._length, time_ns=time.monotonic_ns())
            self._length += 1
            self._journal.append(op)
        return op

    def close(self) -> None:
        self._journal.close()
