"""The faults of a run: proved by trying before it, then executed for the fault lanes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from harness.errors import UsageError
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


def executor(nemesis: Nemesis, setting: Setting) -> Callable[[Op], Op]:
    """What carries out a lane's `inject` and `heal` ops. It raises FaultlineError when one could not be done."""

    def execute(op: Op) -> Op:
        fault = msgspec.convert(op.value, Fault)
        observed = (nemesis.inject if op.f == "inject" else nemesis.heal)(setting, fault)
        return op.replace(type="info", value={**op.value, "observed": observed})

    return execute
