"""Stalls: the client's side of a straggler.

While a stall window is open, now and then a transaction pauses between two of its statements (`harness.stall`). It
keeps its old snapshot and its locks while thousands of others commit: no fault of a machine makes a database keep a
transaction open for that long.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from harness.errors import UsageError
from harness.fault import Fault
from harness.options import Option
from harness.stall import StallGate, StallWindow
from nemeses.base import Setting


class Stall:
    """Some transactions pause for seconds between two statements, as a slow client's do."""

    kind = "stall"
    options: Mapping[str, Option] = {
        "stall-chance": Option(
            0.005, "share of the transactions that stall in a stall window, at most 1", least=1e-6, most=1
        ),
        "stall-length": Option(3.0, "seconds that one stalls, at most 60", least=0.001, most=60),
    }

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: WeakKeyDictionary[StallGate, dict[int, int]] = WeakKeyDictionary()

    def prove(self, setting: Setting) -> str | None:
        """Open a window in which every transaction would stall, draw once, close it."""
        window = _window(setting.options)
        setting.stall_gate.open(StallWindow(1.0, window.length_s))
        drawn = setting.stall_gate.draw(random.Random(0))
        setting.stall_gate.close()
        return None if drawn == window.length_s else "the stall gate does not open"

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        window = _window(setting.options)
        return [], {"chance": window.chance, "length_s": window.length_s}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        gate = setting.stall_gate
        with self._lock:
            self._before.setdefault(gate, {})[fault.id] = gate.stalls
        gate.open(StallWindow(float(fault.params["chance"]), float(fault.params["length_s"])))
        return {"took_effect": False}

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        gate = setting.stall_gate
        gate.close()
        with self._lock:
            stalls = gate.stalls - self._before.get(gate, {}).get(fault.id, gate.stalls)
        return {"stalls": stalls, "took_effect": True} if stalls else {"stalls": 0}


def _window(options: Mapping[str, Any]) -> StallWindow:
    """The window that the options ask for. Raises UsageError."""
    chance, length_s = float(options.get("stall-chance", 0.005)), float(options.get("stall-length", 3.0))
    if not 0.0 < chance <= 1.0:
        raise UsageError(f"option stall-chance={chance:g}: must be above 0 and at most 1")
    if not 0.0 < length_s <= 60.0:
        raise UsageError(f"option stall-length={length_s:g}: must be above 0 and at most 60 seconds")
    return StallWindow(chance, length_s)
