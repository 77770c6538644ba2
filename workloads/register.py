"""Register: reads, writes and compare-and-sets of single keys, judged for linearizability.

Shapes of ops (k is a whole number, v a whole number ≥ 1 or null):

    read   [k, null]         → ok [k, v]            null: never written
    write  [k, v]            → ok [k, v]
    cas    [k, [old, new]]   → ok [k, [old, new]]   old null: only if never written
                             → fail "compare failed: ..." when the register held something else

The workers are split into `keys` groups, and each group works on one key at once, so that every key is under real
concurrency and, with groups of neighbours, under attack from every node. Values are unique per key: whatever a read
returns names the one write that made it, which is what lets the checker decide fast and say whose value was lost. A
compare-and-set expects the value that the group saw last, so that a good part of them succeeds, and two that succeed
from one value are a lost update.

A key is retired after `OPS_PER_KEY` ops or `INFOS_PER_KEY` unknown results, whichever comes first: the checker's
search grows with the ops that may or may not have happened. Keys count upwards, each phase of a run from a number of
its own, and are never used again.

The final reads don't know how far the main phase came. They find out by reading: doubling until a key that was never
written, then halving; then every worker, so every node, reads the last `RECENT` keys until each read is ok. With
`final=converge` reads of each node's own copy follow, until all agree (`workloads.local_reads`).

Beside the judgement on order, a run is told how stale its reads were, and is searched for forked histories.

Idea: Jepsen's linearizable-register workload. Cost: O(1) per op and per event.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, Final

import msgspec

from checkers.linearizability.register_models import Registers
from checkers.replicas.convergence import Convergence
from checkers.replicas.split_brain import SplitBrain
from checkers.replicas.staleness import Staleness
from checkers.values import freeze
from harness.checker import Checker
from harness.generator import PENDING, Context, Generator, Pending, unfold
from harness.generator.source import Unfold
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload
from workloads.local_reads import CONVERGE, FINAL, until_all_agree

OPS_PER_KEY: Final = 128
"""How many ops a key serves: enough for long chains, few enough for a quick search."""
INFOS_PER_KEY: Final = 8
"""How many unknown results a key may have: each doubles, at worst, what the checker must try."""
KEYS_PER_PHASE: Final = 100_000_000
"""Where the next phase's keys begin: far beyond the keys of a week, and within 32 bits."""
RECENT: Final = 8
"""How many of the last keys the final reads look at."""
CONVERGE_KEYS: Final = 200
"""How many keys local reads ask for at the end: a round of them on five nodes takes a second or two."""
RETRY_NS: Final = 200_000_000
"""How long a worker waits before it repeats a final read that was not ok."""
WRITE_SHARE: Final = {"read-write-cas": 0.3, "read-write": 1.0}
"""What part of the ops that are not reads is a blind write, by the option `ops`; the rest are compare-and-sets."""
INITIAL: Final = Option("null", "the value before any write, as JSON: null, 0, a text")
"""For histories that others recorded; our own registers begin with null."""


STALENESS: Final = Option(
    0, "how long a newer version may have been known when a read begins that misses it; 0: no bound", least=0
)


class Slot(msgspec.Struct, frozen=True):
    """One group's key. seen: the value last known to be there. next_value: not used yet for this key."""

    key: int
    ops: int = 0
    infos: int = 0
    next_value: int = 1
    seen: int | None = None

    @property
    def retired(self) -> bool:
        return self.ops >= OPS_PER_KEY or self.infos >= INFOS_PER_KEY


class Groups(msgspec.Struct, frozen=True):
    """The state of clients at work. fresh_key: the lowest key that nobody has.

    read_share, write_share: parts of all ops; what is left are compare-and-sets.
    """

    keys: int
    read_share: float
    write_share: float
    slots: tuple[Slot, ...] = ()
    fresh_key: int = 0


def main_ops(options: Mapping[str, Any]) -> Generator:
    """Endless reads, writes and compare-and-sets; see `REGISTER` for the options.

    `phase` (of the run; 0 is the main one) is among them.
    """
    keys, read_percent = options["keys"], options["read-percent"]
    read_share = read_percent / 100
    write_share = (1 - read_share) * WRITE_SHARE[options["ops"]]
    first_key = options.get("phase", 0) * KEYS_PER_PHASE
    return unfold(Groups(keys, read_share, write_share, (), first_key), _emit, _learn)


def _emit(groups: Groups, context: Context) -> tuple[Op | Pending, Groups]:
    if not groups.slots:
        count = max(1, min(groups.keys, len(context.processes)))
        first = groups.fresh_key
        slots = tuple(Slot(key) for key in range(first, first + count))
        groups = msgspec.structs.replace(groups, slots=slots, fresh_key=first + count)
    thread, process = next(iter(context.free.items()))
    place = _group_of(thread, context, len(groups.slots))
    slot, fresh_key = groups.slots[place], groups.fresh_key
    if slot.retired:
        slot, fresh_key = Slot(fresh_key), fresh_key + 1
    op, slot = _op_on(slot, groups, context.random.random())
    slots = (*groups.slots[:place], slot, *groups.slots[place + 1 :])
    return op.replace(process=process), msgspec.structs.replace(groups, slots=slots, fresh_key=fresh_key)


def _group_of(thread: int, context: Context, count: int) -> int:
    """Neighbours share a group: thread i talks to node i modulo the nodes, so each group reaches as many as it can."""
    threads = sorted(context.processes)
    return threads.index(thread) * count // len(threads)


def _op_on(slot: Slot, groups: Groups, draw: float) -> tuple[Op, Slot]:
    if draw < groups.read_share:
        return invoke("read", [slot.key, None]), msgspec.structs.replace(slot, ops=slot.ops + 1)
    new = slot.next_value
    slot = msgspec.structs.replace(slot, ops=slot.ops + 1, next_value=new + 1)
    if draw < groups.read_share + groups.write_share:
        return invoke("write", [slot.key, new]), slot
    return invoke("cas", [slot.key, [slot.seen, new]]), slot


def _learn(groups: Groups, context: Context, event: Op) -> Groups:
    if event.type not in ("ok", "info"):
        return groups
    key, value = event.value
    for place, slot in enumerate(groups.slots):
        if slot.key != key:
            continue
        if event.type == "info":
            slot = msgspec.structs.replace(slot, infos=slot.infos + 1)
        else:
            slot = msgspec.structs.replace(slot, seen=value[1] if event.f == "cas" else value)
        slots = (*groups.slots[:place], slot, *groups.slots[place + 1 :])
        return msgspec.structs.replace(groups, slots=slots)
    return groups


class Finals(msgspec.Struct, frozen=True):
    """The final reads' state: first the search for the last key used, then what each thread still has to read.

    used: the highest key seen with a value, -1 for none. unused: the lowest key seen without one, None for none yet.
    asked: the process whose answer the search waits for. places: thread → how many of the last keys it has read.
    not_before_ns: thread → when it may repeat a read that was not ok (-1: the search).
    """

    used: int = -1
    unused: int | None = None
    asked: int | str | None = None
    places: Mapping[int, int] = {}
    not_before_ns: Mapping[int, int] = {}

    @property
    def searching(self) -> bool:
        return self.unused != self.used + 1

    @property
    def probe(self) -> int:
        return max(0, 2 * self.used + 1) if self.unused is None else (self.used + self.unused) // 2

    @property
    def last_keys(self) -> range:
        return range(max(0, self.used + 1 - RECENT), max(1, self.used + 1))


def final_reads(options: Mapping[str, Any]) -> Generator:
    """Reads of the main phase's last keys by every worker, until each is ok; then exhausted.

    With `final=converge` local reads follow, on all `nodes` (among the options), of all keys or of many among them.
    """
    finals = unfold(Finals(), _read_finally, _hear_finally)
    return Converging(finals, options["nodes"]) if options.get("final") == CONVERGE else finals


class Converging(msgspec.Struct, frozen=True):
    """A generator: final reads, which find out how many keys there are, then local reads of them."""

    inner: Generator
    nodes: int
    found: bool = False

    def next(self, context: Context) -> tuple[Op | Pending, Generator] | None:
        step = self.inner.next(context)
        if step is not None:
            return step[0], Converging(step[1], self.nodes, self.found)
        if self.found:
            return None
        assert isinstance(self.inner, Unfold)
        questions = [[key, None] for key in spread(self.inner.state.used + 1, CONVERGE_KEYS)]
        return Converging(until_all_agree(questions, self.nodes), self.nodes, True).next(context)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Converging(inner, self.nodes, self.found)


def spread(count: int, most: int) -> list[int]:
    """Numbers from 0 to count - 1: all of them, or `most` at about equal distances, the last one included."""
    return list(range(count)) if count <= most else [(place + 1) * count // most - 1 for place in range(most)]


def _read_finally(finals: Finals, context: Context) -> tuple[Op | Pending, Finals] | None:
    if finals.searching:
        not_before_ns = finals.not_before_ns.get(-1, 0)
        if finals.asked is not None:
            return PENDING, finals
        if context.time_ns < not_before_ns:
            return Pending(not_before_ns), finals
        process = next(iter(context.free.values()))
        probe = invoke("read", [finals.probe, None]).replace(process=process)
        return probe, msgspec.structs.replace(finals, asked=process)
    keys = finals.last_keys
    if all(finals.places.get(thread, 0) == len(keys) for thread in context.processes):
        return None
    waits = []
    for thread, process in context.free.items():
        place = finals.places.get(thread, 0)
        if place == len(keys):
            continue
        not_before_ns = finals.not_before_ns.get(thread, 0)
        if context.time_ns >= not_before_ns:
            return invoke("read", [keys[place], None]).replace(process=process), finals
        waits.append(not_before_ns)
    return (Pending(min(waits)) if waits else PENDING), finals


def _hear_finally(finals: Finals, context: Context, event: Op) -> Finals:
    if event.type == "invoke" or event.f != "read":
        return finals
    if event.process == finals.asked:
        if event.type != "ok":
            again_ns = {**finals.not_before_ns, -1: context.time_ns + RETRY_NS}
            return msgspec.structs.replace(finals, asked=None, not_before_ns=again_ns)
        key, value = event.value
        if value is None:
            return msgspec.structs.replace(finals, asked=None, unused=key)
        return msgspec.structs.replace(finals, asked=None, used=key)
    if finals.searching:
        return finals
    thread = context.thread_of(event.process)
    if event.type == "ok":
        return msgspec.structs.replace(finals, places={**finals.places, thread: finals.places.get(thread, 0) + 1})
    again_ns = {**finals.not_before_ns, thread: context.time_ns + RETRY_NS}
    return msgspec.structs.replace(finals, not_before_ns=again_ns)


def initial_value(given: Hashable) -> Hashable:
    """The value that the option `initial` stands for: text is read as JSON (`0`, `null`, `"0"`), else as it is."""
    if not isinstance(given, str):
        return given
    try:
        return freeze(json.loads(given), -1)
    except ValueError:
        return given


def beside(options: Mapping[str, Any], ran: bool) -> dict[str, Checker]:
    """Staleness and split brain of a run of ours; staleness and convergence of others where they are asked for."""
    checkers: dict[str, Checker] = {}
    if ran or options.get("max_staleness_ms"):
        checkers["staleness"] = Staleness()
    if ran:
        checkers["split-brain"] = SplitBrain()
    if options.get("final") == CONVERGE:
        checkers["convergence"] = Convergence()
    return checkers


REGISTER = Workload(
    name="register",
    doc="Reads, writes and compare-and-sets of single keys by several clients at once; finds stale reads, lost writes "
    "and lost updates: whatever no order of the operations that respects real time can explain.",
    fs=("read", "write", "cas"),
    fs_for=lambda options: ("read", "write", "cas") if options["ops"] == "read-write-cas" else ("read", "write"),
    generator=main_ops,
    final_generator=final_reads,
    checkers={"linearizable": Registers(initial_value)},
    beside=beside,
    own_model="linearizable",
    options={
        "keys": Option(3, "registers in use at once; the workers are split among them", least=1, most=1000),
        "ops": Option("read-write-cas", "what clients do; read-write leaves compare-and-set out", tuple(WRITE_SHARE)),
        "read-percent": Option(50, "how many of a hundred ops are reads", least=1, most=99),
        "max_staleness_ms": STALENESS,
        "final": FINAL,
    },
    check_options={"initial": INITIAL, "max_staleness_ms": STALENESS, "final": FINAL},
)
