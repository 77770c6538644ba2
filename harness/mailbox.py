"""Waiting for a message with a timeout, without the way in which CPython's SimpleQueue can wait for ever.

Its `get(timeout=...)` takes an inner lock that an earlier `put` may have left open, finds nothing, and waits again for
what remains of the timeout; when the thread was scheduled away in between, that is negative, which means for ever.
Seen in CPython 3.11 within some 10,000 calls of microseconds on a busy machine. A `get_nowait` that finds nothing
closes that lock, and with one consumer only a `put` opens it again: then there is a message.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TypeVar

Message = TypeVar("Message")


def take(box: SimpleQueue[Message], timeout_s: float) -> Message | None:
    """The next message, None when there is none in time. For the box's only consumer."""
    try:
        return box.get_nowait()
    except Empty:
        pass
    if timeout_s <= 0:
        return None
    try:
        return box.get(timeout=timeout_s)
    except Empty:
        return None
