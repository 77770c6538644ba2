"""Clocks: one node's database sees a time that is not the others'.

    jump     the clock is `offset_s` ahead (or behind) until the heal
    strobe   it goes to and fro between the right time and `offset_s`, every `period_ms`

The heal is the reset: the database's own time functions are put back. The host's clock is never touched; the node's
agent redirects the database's time functions (`harness.nodes.agent`). Waits until an absolute time still follow the
host's clock, so a hang inside such a window is possibly ours.

The skew that is reported is measured: the database itself is asked, where its target can (`HasClock`); else it is read
back from each process's own patched memory, after a child patched in the same way was seen to run with the right skew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from harness.errors import InfrastructureError, UsageError
from harness.fault import Fault
from harness.nodes.base import CommandFailed, Node
from harness.options import Option
from nemeses.base import Setting
from nemeses.choose import on_each, some_nodes

MAX_OFFSET_S = 3600.0
TOLERANCE_S = 0.01
"""A child's measured skew may differ from the asked one by this much on a busy machine."""
HALVINGS = 9.0
"""Random offsets are spread evenly over this many halvings of the largest: 60 s to 0.12 s."""


@runtime_checkable
class HasClock(Protocol):
    """A target that can ask its database for the time."""

    def clock_s(self, node: Node) -> float:
        """Seconds since 1970 as the database on this node sees them, within a second. Raises InfrastructureError."""
        ...


class Clock:
    """The database's clock jumps or goes to and fro; monotonic time and the host's clock stay as they are."""

    kind = "clock"
    options: Mapping[str, Option] = {
        "clock-offset": Option(
            0.0,
            "seconds that one node's clock is ahead, within ±3600; 0: random nodes and offsets",
            least=-MAX_OFFSET_S,
            most=MAX_OFFSET_S,
        ),
        "clock-max": Option(60.0, "the largest random offset, seconds, at most 3600", least=0.001, most=MAX_OFFSET_S),
        "clock-mode": Option("mix", "what random clock faults do", ("mix", "jump", "strobe")),
        "clock": Option(
            "vdso",
            "how: in the running process, or by libfaketime (local, the database is started with it)",
            ("vdso", "libfaketime"),
        ),
    }

    def prove(self, setting: Setting) -> str | None:
        """Patch, measure and restore a child's clock; patch the database itself by nothing, and restore it."""
        for name in ("clock-offset", "clock-max"):
            value = float(setting.options.get(name, 0.0))
            if not abs(value) <= MAX_OFFSET_S:
                raise UsageError(f"option {name}={value:g}: must be within ±{MAX_OFFSET_S:g} seconds")
        node = setting.cluster.nodes[0]
        try:
            seen = node.agent.request("clock-prove")
            for what, is_s, should_s in (
                ("skew", seen["skew_s"], seen["asked_s"]),
                ("skew after the restore", seen["residue_s"], 0.0),
                ("monotonic clock's skew", seen.get("monotonic_s", 0.0), 0.0),
            ):
                if abs(is_s - should_s) > TOLERANCE_S:
                    return f"a child's {what} was {is_s:.6f} s where {should_s:g} s was right"
            try:
                patched = node.agent.request("clock", offset_s=0.0)["pids"]
            finally:
                node.agent.request("clock-reset")
        except CommandFailed as error:
            return str(error)
        return None if patched else f"no process of the database was found on {node.name}"

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        names = [node.name for node in setting.cluster.nodes]
        asked = float(setting.options.get("clock-offset", 0.0))
        if asked:
            return [rng.choice(names)], {"mode": "jump", "offset_s": asked}
        largest = float(setting.options.get("clock-max", 60.0))
        offset_s = round(rng.choice((-1, 1)) * largest * 2.0 ** -rng.uniform(0.0, HALVINGS), 3)
        drawn, period_ms = rng.choice(("jump", "strobe")), round(rng.choice((20, 100, 500)) * rng.uniform(0.5, 2.0))
        mode = setting.options.get("clock-mode", "mix")
        nodes = some_nodes(rng, names)
        if (drawn if mode == "mix" else mode) == "jump":
            return nodes, {"mode": "jump", "offset_s": offset_s}
        return nodes, {"mode": "strobe", "offset_s": offset_s, "period_ms": period_ms}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        offset_s = float(fault.params["offset_s"])

        def skew(node: Node) -> dict[str, Any]:
            if fault.params["mode"] == "jump":
                answer = node.agent.request("clock", offset_s=offset_s)
                answer["asked_s"] = _ask(setting, node)
                return answer
            return node.agent.request(
                "clock-strobe", offsets_s=[offset_s, 0.0], period_ms=float(fault.params["period_ms"])
            )

        answers = on_each(setting.cluster, fault.nodes, skew)
        return {
            **_observed(answers),
            "took_ms": {name: answer["took_ms"] for name, answer in answers.items()},
            "took_effect": any(value for answer in answers.values() for value in answer["measured"].values()),
        }

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        answers = on_each(setting.cluster, fault.nodes, lambda node: node.agent.request("clock-reset"))
        measured = [value for answer in answers.values() for value in answer["measured"].values()]
        observed: dict[str, Any] = {
            "skew_before_heal_s": _skews(answers),
            "changes": {name: answer["changes"] for name, answer in answers.items()},
            "restored": {name: len(answer["pids"]) for name, answer in answers.items()},
        }
        return {**observed, "took_effect": True} if any(measured) else observed


def _skews(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """node → the different skews that its processes were found with."""
    return {name: sorted(set(answer["measured"].values())) for name, answer in answers.items()}


def _observed(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    observed: dict[str, Any] = {
        "skew_s": _skews(answers),
        "processes": {name: len(answer["measured"]) for name, answer in answers.items()},
    }
    told = {name: answer["asked_s"] for name, answer in answers.items() if answer.get("asked_s") is not None}
    return {**observed, "skew_told_by_database_s": told} if told else observed


def _ask(setting: Setting, node: Node) -> float | None:
    """How far ahead the database says that it is; None when it can't be asked (now)."""
    if not isinstance(setting.target, HasClock):
        return None
    before = time.time()
    try:
        told = setting.target.clock_s(node)
    except InfrastructureError:
        return None
    return round(told - (before + time.time()) / 2, 4)
