"""The stall gate: the client's side of a straggler.

While a window is open, some transactions pause between two statements. Whether one does is drawn when its op begins
(a chance per transaction), so that the number of statements does not matter. The pause moves the op's deadline.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class StallWindow:
    """chance: of a transaction, 0..1. length_s: how long it pauses."""

    chance: float
    length_s: float


class StallGate:
    """Shared by the stall nemesis (opens, closes) and the workers (draw). Counts the pauses that were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window: StallWindow | None = None
        self._stalls = 0

    def open(self, window: StallWindow) -> None:
        """Begin a stall window; a second one replaces the first."""
        self._window = window

    def close(self) -> None:
        """End it. Pauses that have begun run to their end."""
        self._window = None

    def draw(self, rng: random.Random) -> float:
        """Seconds that the transaction which begins now is to pause; 0 for most."""
        window = self._window
        if window is None or rng.random() >= window.chance:
            return 0.0
        return window.length_s

    def count(self) -> None:
        """A pause was made."""
        with self._lock:
            self._stalls += 1

    @property
    def stalls(self) -> int:
        """How many pauses were made since the start of the run."""
        return self._stalls
