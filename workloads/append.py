"""Lists that grow: transactions that append unique values to lists and read lists.

    invoke  txn  [["append", 12, 3], ["r", 9, null]]
    ok      txn  [["append", 12, 3], ["r", 9, [1, 2]]]

Problem: from reads of a register one can hardly tell in which order writes took effect. Idea (Kingsbury and Alvaro,
"Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020, section 4): append to lists, and every
read shows the order of all appends before it; from that follow the dependencies between transactions, and from their
cycles every anomaly. Values are 1, 2, 3, ... of each key; a key that has had its share of appends is retired and a new
one takes its place, so lists stay short; keys are numbers that only grow, none is used again. Now and then a read looks
at a key that was retired lately: a write that is lost after its key's last append would never be missed otherwise.
Cost: a few µs per op.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.transactions.list_append import ListAppend
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import PHASES, Workload

REMEMBERED = 32
"""How many retired keys are looked back at."""
KEYS_OF_A_PHASE = 10_000
"""How many keys the short phases have for themselves; the main phase's come after them and never end."""
FINAL_CHUNK = 25
"""Reads in a transaction of the final phase."""
FINAL_KEYS = 5_000
"""How many of the last keys the final phase reads: those of some ten seconds, in 200 transactions."""
LOOK_BACK = 0.03
"""The chance that a read looks at one of them: enough to see each about once, too few to cool the hot keys."""


class Keys(msgspec.Struct, frozen=True):
    """active: the keys in use. appended: how many values each has had. following: the next new key. retired: lately."""

    active: tuple[int, ...]
    appended: tuple[int, ...]
    following: int
    retired: tuple[int, ...] = ()

    def append(self, place: int, limit: int) -> tuple[Keys, int, int]:
        """(keys after it, key, value) of the next append to the key at `place`, which is retired after its last."""
        key, value = self.active[place], self.appended[place] + 1
        active, following, retired = self.active, self.following, self.retired
        count = value
        if value >= limit:
            active = (*active[:place], following, *active[place + 1 :])
            retired = (*retired[-REMEMBERED + 1 :], key)
            following, count = following + 1, 0
        appended = (*self.appended[:place], count, *self.appended[place + 1 :])
        return Keys(active, appended, following, retired), key, value


def generator(options: Mapping[str, Any], write: str = "append") -> gen.Generator:
    """Endless transactions. Options: see `APPEND`. write: the name of the micro-ops that are not reads."""
    keys, limit, max_ops = options["keys"], options["writes-per-key"], options["max-ops"]
    weights = [2.0**place if options["distribution"] == "exponential" else 1.0 for place in range(keys)]
    cumulative = list(itertools.accumulate(weights))

    def step(state: Keys, context: gen.Context) -> tuple[Op, Keys]:
        chance = context.random
        micro_ops: list[list[Any]] = []
        for _ in range(chance.randint(1, max_ops)):
            place = chance.choices(range(keys), cum_weights=cumulative)[0]
            if chance.random() < 0.5:
                state, key, value = state.append(place, limit)
                micro_ops.append([write, key, value])
            else:
                micro_ops.append(["r", _read_key(state, place, chance), None])
        return invoke("txn", micro_ops), state

    first = first_key(options.get("phase", 0))
    return gen.unfold(Keys(tuple(range(first, first + keys)), (0,) * keys, first + keys), step)


def first_key(phase: int) -> int:
    """The lowest key of a phase (an index into PHASES, 0 is main): no key is used by two."""
    return KEYS_OF_A_PHASE * ((phase or len(PHASES)) - 1)


class FinalReads(msgspec.Struct, frozen=True):
    """first: the lowest key. at: where to read next. reach: no key is used from there on, as far as samples showed.

    end: the same once it is settled, None while it is sought.
    """

    first: int
    at: int
    reach: int
    end: int | None = None
    busy: bool = False

    @property
    def stride(self) -> int:
        """How far the keys of the next transaction are apart."""
        return 1 if self.end is not None else max(1, (self.at - self.first) // FINAL_CHUNK)


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """Read the last keys, about FINAL_KEYS, one transaction at a time, each until it is ok.

    How far the keys went is found by reading too: samples at doubled distances, until one finds nothing at all.
    """
    first = first_key(0)
    return gen.unfold(FinalReads(first, first, first), _final_step, _final_learn)


def _final_step(state: FinalReads, context: gen.Context) -> tuple[Op | gen.Pending, FinalReads] | None:
    if state.busy:
        return gen.PENDING, state
    if state.end is not None and state.at >= state.end:
        return None
    keys = range(state.at, state.at + state.stride * FINAL_CHUNK, state.stride)
    return invoke("txn", [["r", key, None] for key in keys]), msgspec.structs.replace(state, busy=True)


def _final_learn(state: FinalReads, context: gen.Context, event: Op) -> FinalReads:
    if event.type == "invoke" or not state.busy:
        return state
    again = msgspec.structs.replace(state, busy=False)
    if event.type != "ok":
        return again
    if state.end is not None:
        return msgspec.structs.replace(again, at=state.at + FINAL_CHUNK)
    used = [key for _, key, elements in event.value if elements]
    if used:
        farther = state.first + max(FINAL_CHUNK, 2 * (state.at - state.first))
        return msgspec.structs.replace(again, at=farther, reach=max(used) + 2 * state.stride)
    return msgspec.structs.replace(again, at=max(state.first, state.reach - FINAL_KEYS), end=state.reach)


def _read_key(state: Keys, place: int, chance: random.Random) -> int:
    if state.retired and chance.random() < LOOK_BACK:
        return chance.choice(state.retired)
    return state.active[place]


APPEND = Workload(
    name="append",
    doc=(
        "Transactions that append unique values to lists and read lists. Finds every anomaly that shows as a cycle"
        " of dependencies: dirty and lost writes, aborted, intermediate and skewed reads, lost updates, write skew."
    ),
    fs=("txn",),
    generator=generator,
    final_generator=final_generator,
    checkers={"list-append": ListAppend()},
    own_model="serializable",
    options={
        "keys": Option(
            10,
            "how many lists are in use at a time (1 to 60)",
            least=1,
            most=60,
        ),
        "writes-per-key": Option(4, "appends to a list before it is retired", least=1),
        "max-ops": Option(4, "reads and appends per transaction, at most", least=1, most=1000),
        "distribution": Option(
            "exponential",
            "how keys are chosen: each twice as likely as the one before, or evenly",
            ("exponential", "uniform"),
        ),
    },
    check_options={
        "initial": Option("nil", "what lists hold before any append; unknown: anything", ("nil", "unknown")),
    },
)
