"""The one interface between the harness and its checkers."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from harness.history import History
from harness.verdict import Verdict


class CheckOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a checker is asked.

    model: the consistency model to judge against; None: the checker's own default.
    max_shown: how many anomalies of one type are worked out and shown; all are counted.
    time_budget_s, memory_budget_mb: when a search gives up and answers `unknown`.
    workload: options of the workload (`{"initial": ...}`), by name.
    """

    model: str | None = None
    max_shown: int = 8
    time_budget_s: float = 60.0
    memory_budget_mb: int = 2048
    workload: dict[str, Any] = {}


class Checker(Protocol):
    """A pure function of a history. Raises `HistoryError` (harness.history) for a record that is no history."""

    name: str

    def check(self, history: History, options: CheckOptions) -> Verdict: ...
