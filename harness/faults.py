"""The faults of a run: proved by trying before it, injected and healed in their lanes, all healed after it.

`Faults` is what the interpreter's lanes call. It knows which faults are open, so that whatever ends the run, exactly
those are healed; what it can't heal, the agents do when they are closed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.errors import FaultlineError, InfrastructureError, UsageError
from harness.fault import Fault
from harness.op import Op
from harness.plan import TestPlan
from nemeses.base import Nemesis, Setting


class Proof(msgspec.Struct, frozen=True):
    """proved: kinds of faults that work here. missing: kind → the reason why it can't be had."""

    proved: tuple[str, ...]
    missing: dict[str, str]


def prove(plan: TestPlan, nemeses: Mapping[str, Nemesis], setting: Setting) -> Proof:
    """Try the smallest fault of each kind that the plan asks for.

    Raises UsageError when the user named one that can't be had.
    """
    missing = {}
    for kind in plan.faults:
        reason = nemeses[kind].prove(setting)
        if reason is not None:
            missing[kind] = reason
    if missing and plan.faults_named:
        raise UsageError(
            "\n".join(f"fault {kind!r} can't be had here: {reason} (drop {kind})" for kind, reason in missing.items())
        )
    return Proof(tuple(kind for kind in plan.faults if kind not in missing), missing)


class Faults:
    """Executes the records of the fault lanes. Thread-safe: each lane has a thread of its own."""

    def __init__(self, nemeses: Mapping[str, Nemesis], setting: Setting) -> None:
        self._nemeses = nemeses
        self._setting = setting
        self._lock = threading.Lock()
        self._open: dict[int, Fault] = {}

    def invoke(self, op: Op) -> Op:
        """Carry out one `inject` or `heal` record; its completion is `info`, with what was observed or the error."""
        fault = msgspec.convert(op.value, Fault)
        nemesis = self._nemeses[fault.kind]
        error = None
        try:
            if op.f == "inject":
                with self._lock:
                    self._open[fault.id] = fault
                observed = nemesis.inject(self._setting, fault)
            else:
                observed = nemesis.heal(self._setting, fault)
                with self._lock:
                    self._open.pop(fault.id, None)
        except FaultlineError as failure:
            error, observed = str(failure), {}
        done = msgspec.structs.replace(fault, observed=observed)
        return op.replace(type="info", value=msgspec.to_builtins(done), error=error)

    def open_faults(self) -> Sequence[Fault]:
        """Faults that were asked for and whose heal is not confirmed, newest first."""
        with self._lock:
            return list(reversed(self._open.values()))

    def heal_all(self) -> list[str]:
        """Heal every open fault, newest first. Returns what could not be healed, one line each."""
        failures = []
        for fault in self.open_faults():
            try:
                self._nemeses[fault.kind].heal(self._setting, fault)
            except InfrastructureError as error:
                failures.append(f"{fault.kind} on {', '.join(fault.nodes)}: {error}")
            else:
                with self._lock:
                    self._open.pop(fault.id, None)
        return failures


def describe(kind: str, params: Mapping[str, Any], nodes: Sequence[str]) -> str:
    """A fault in a few words for the console: "clock n2 (offset_s=60)"."""
    what = ", ".join(f"{name}={value}" for name, value in params.items() if isinstance(value, str | int | float))
    return f"{kind} {'+'.join(nodes)}" + (f" ({what})" if what else "")
