"""Fault schedules: when a lane's faults begin and end.

    warm-up → inject → hold → heal → rest → inject → ...

Lengths are drawn from the lane's own random stream, and so is what the nemesis plans: the same seed gives the same
schedule, whatever the clients do. A fault that could not be injected is healed at once (it may have acted in part);
a heal that failed is tried again after a second. A pause or a clock fault that met a dead database acted on nothing:
it is healed at once and tried again soon, with no new draw. The lane itself heals what is open when the run ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from harness.fault import Fault
from harness.generator import PENDING, Context, Generator, Pending, Step
from harness.generator.timing import SECOND_NS
from harness.op import Op
from harness.options import Option
from nemeses.base import Nemesis, Setting

HEAL_AGAIN_NS = SECOND_NS
MISSED_AGAIN_NS = SECOND_NS
TRIES = 8
"""How often a fault that acts on nothing is tried, before the next one is drawn."""
LENGTH_MAX_S = 7 * 86400
"""As long as the longest run."""


ACT_AT_ONCE = ("pause", "clock")
"""Kinds whose effect shows when they are injected, and which need a database that lives."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths in seconds; pairs are (least, most), drawn evenly each time."""

    warm_up_s: tuple[float, float] = (1.0, 2.0)
    hold_s: tuple[float, float] = (2.0, 6.0)
    rest_s: tuple[float, float] = (2.0, 5.0)


SCHEDULE_OPTIONS: dict[str, Option] = {
    "hold": Option(
        0.0, "how long each fault is kept up, seconds (0: drawn, by the run's length)", least=0, most=LENGTH_MAX_S
    ),
    "rest": Option(
        0.0, "time between two faults of a kind, seconds (0: drawn, by the run's length)", least=0, most=LENGTH_MAX_S
    ),
}
"""What OPTS= may say about every lane."""


def times_for(kind: str, run_s: float, *, alone: bool = False, options: Mapping[str, Any] | None = None) -> Times:
    """Lengths that give a run of `run_s` seconds several faults of each kind, with time to recover in between.

    alone: there is one node, so that a kill or a pause stops everything: kept short, or little would be done at all.
    options: see SCHEDULE_OPTIONS.
    Stalls are kept up for most of the run: they harm nothing, and what they find needs transactions that stay open
    while thousands of others commit.
    """
    unit_s = min(max(run_s / 30, 0.1), 2.0)
    times = Times(warm_up_s=(unit_s, 3 * unit_s), hold_s=(2 * unit_s, 5 * unit_s), rest_s=(2 * unit_s, 5 * unit_s))
    if kind == "stall":
        times = Times(warm_up_s=(0.5 * unit_s, unit_s), hold_s=(8 * unit_s, 12 * unit_s), rest_s=(0.5 * unit_s, unit_s))
    elif alone and kind in ("kill", "pause"):
        times = Times(warm_up_s=times.warm_up_s, hold_s=(0.5, 2.0), rest_s=(4 * unit_s, 8 * unit_s))
    chosen = options or {}
    hold_s, rest_s = chosen.get("hold") or 0.0, chosen.get("rest") or 0.0
    return Times(
        warm_up_s=times.warm_up_s,
        hold_s=(hold_s, hold_s) if hold_s else times.hold_s,
        rest_s=(rest_s, rest_s) if rest_s else times.rest_s,
    )


class FaultSchedule(msgspec.Struct, frozen=True):
    """The generator of one lane. plan(rng) → (nodes, params) of the next fault.

    state: `rest` or `hold` until `until_ns`, or `waiting` for a completion. missed: (nodes, params) of a fault that
    acted on nothing and is to be tried again; tries: how often it was tried.
    """

    kind: str
    plan: Callable[[random.Random], tuple[list[str], dict[str, Any]]]
    times: Times
    state: str = "rest"
    until_ns: int | None = None
    missed: tuple[list[str], dict[str, Any]] | None = None
    tries: int = 0

    def next(self, context: Context) -> Step:
        if self.state == "waiting":
            return PENDING, self
        until_ns = self.until_ns
        if until_ns is None:
            until_ns = context.time_ns + drawn_ns(self.times.warm_up_s, context.random)
        if context.time_ns < until_ns:
            return Pending(until_ns), self.going(self.state, until_ns)
        if self.state == "hold":
            return Op("invoke", "heal"), self.going("waiting")
        nodes, params = self.missed or self.plan(context.random)
        fault = Fault(-1, self.kind, "", nodes, params)
        value = {name: getattr(fault, name) for name in fault.__struct_fields__ if name != "observed"}
        return Op("invoke", "inject", value), self.going("waiting")

    def update(self, context: Context, event: Op) -> Generator:
        if event.type == "invoke":
            return self
        if event.f == "inject":
            if self._acted_on_nothing(event) and self.tries + 1 < TRIES:
                again = event.value["nodes"], event.value["params"]
                return self.going("hold", event.time_ns, missed=again, tries=self.tries + 1)
            hold_ns = 0 if event.error else drawn_ns(self.times.hold_s, context.random)
            return self.going("hold", event.time_ns + hold_ns, missed=None, tries=0)
        if event.error:
            return self.going("hold", event.time_ns + HEAL_AGAIN_NS)
        if self.missed is not None:
            return self.going("rest", event.time_ns + MISSED_AGAIN_NS)
        return self.going("rest", event.time_ns + drawn_ns(self.times.rest_s, context.random))

    def _acted_on_nothing(self, event: Op) -> bool:
        return not event.error and self.kind in ACT_AT_ONCE and not event.value["observed"].get("took_effect")

    def going(self, state: str, until_ns: int | None = None, **changes: Any) -> FaultSchedule:
        """The same schedule in another state."""
        return msgspec.structs.replace(self, state=state, until_ns=until_ns, **changes)


def drawn_ns(between_s: tuple[float, float], rng: random.Random) -> int:
    """A length drawn evenly, in nanoseconds."""
    return round(rng.uniform(*between_s) * SECOND_NS)


def fault_schedule(nemesis: Nemesis, setting: Setting, *, time_s: float) -> FaultSchedule:
    """The generator of a lane of one nemesis's faults, for a run of `time_s` seconds."""

    def plan(rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return nemesis.plan(setting, rng)

    times = times_for(nemesis.kind, time_s, alone=len(setting.cluster.nodes) == 1, options=setting.options)
    return FaultSchedule(nemesis.kind, plan, times)
