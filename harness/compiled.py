"""How loops over columns are compiled: once in an installation, and as little of it as can be.

Numba makes three functions of each: the loop, a wrapper for Python and one for C. Nobody calls ours from C, and the
parts of a kernel are called by other kernels only: without those wrappers the first check of an installation is a good
deal shorter. A `kernel_part` must not be called from Python: it has no way in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import event

Kernel = Callable[..., Any]
_njit: Any = njit
"""Its types do not know of the wrappers."""


def kernel(function: Kernel) -> Kernel:
    """A loop that Python calls; kept on disk for the next process."""
    return _njit(cache=True, no_cfunc_wrapper=True)(function)


def kernel_without_lock(function: Kernel) -> Kernel:
    """The same, and other threads go on meanwhile."""
    return _njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)


def kernel_part(function: Kernel) -> Kernel:
    """A loop that only kernels call; it is kept on disk within them."""
    return _njit(no_cfunc_wrapper=True, no_cpython_wrapper=True)(function)


class _Watch(event.Listener):
    """How long numba has compiled or loaded kernels in this process; what waits for its lock meanwhile counts once."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._depth = 0
        self._since: float | None = None

    def spent_s(self, now: float) -> float:
        """So far; another thread may be at it."""
        since = self._since
        return self._before_s + (0.0 if since is None else now - since)

    def on_start(self, event: event.Event) -> None:
        """See Listener."""
        if not self._depth:
            self._since = time.monotonic()
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        """See Listener."""
        self._depth -= 1
        if not self._depth and self._since is not None:
            self._before_s += time.monotonic() - self._since
            self._since = None


_WATCH = _Watch()
event.register("numba:compiler_lock", _WATCH)


def working_time() -> float:
    """Seconds as of time.monotonic(), but for those in which kernels were compiled or loaded.

    What measures a budget of time by it does not end, undecided, because an installation is new.
    """
    now = time.monotonic()
    return now - _WATCH.spent_s(now)
