"""Sequential consistency of registers: does one order of all ops keep each client's own and explain every read?

    read  [k, null] → ok [k, v]     write [k, v]     cas [k, [old, new]]      also without keys: read null → ok v
    write k, read k → ok [k, [v3, v2, v1]]     Jepsen's `sequential`: a write puts the subkeys of k one after the other,
                                               a read looks at them in reverse; nothing may be missing after something

Realtime does not count, so unlike linearizability it can't be judged key by key. Deciding it is NP-complete even where
every read names its write (Gibbons and Korach, "Testing Shared Memories", SIAM J. Comput. 1997, VSC-read). So:

1. What must be: session order, reads-from; a write that comes before a read of another write comes before that one
   too; a write that comes after the one that was read comes after the read. Repeated until nothing is added; a circle
   proves that there is no order (`nonsequential`). Polynomial, and all that ever shows in practice.
2. Else an order is sought, op by op, the one that was invoked first of those that may come next, and back where it
   leads nowhere; within a budget of time: `unknown` beyond it.

Compare-and-sets that changed the same version are told besides (`lost-update`, `checkers.ordering.updates`): without
each client's own order that is all there is to find. Models between, which keep sessions and allow more than that, are
`unknown` where there is no order. Values must be unique for their key.

Cost: rounds × edges × chains for the first (two or three rounds); the second is linear where no step back is needed.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from checkers import models
from checkers.client_calls import calls_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.linearizability.linearizable import Linearizable
from checkers.ordering.reasons import Edge, Reasons, around
from checkers.ordering.register_ops import FS, parsed_ops, single_reads, unjudged
from checkers.ordering.session_ops import INITIAL, ByChain, Clocks, SessionOp, SessionOps, session_ops
from checkers.ordering.updates import lone_updates
from checkers.values import freeze
from harness.checker import CheckOptions
from harness.compiled import working_time
from harness.history import History
from harness.verdict import Anomaly, Verdict

NONSEQUENTIAL = "nonsequential"


@dataclass(frozen=True)
class Decision:
    """holds: None where the budget ran out. circle: the ops that prove that it does not, each before the next.

    behind: those with what shows their order. told: the circle in words.
    """

    holds: bool | None
    circle: tuple[SessionOp, ...] = ()
    behind: tuple[SessionOp, ...] = ()
    told: str = ""


class Sequential:
    """See the module's docstring."""

    name = "sequential"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge against `options.model` (sequential by default). Raises HistoryError for a value of another shape."""
        asked = options.model or "sequential"
        initial = freeze(options.workload.get("initial"), -1)
        ops, aborted = parsed_ops(calls_of(history, FS, only=True))
        found = session_ops(ops, aborted, initial)
        findings = [*single_reads(found)]
        undecided = unjudged(found)
        stats: dict[str, Any] = {"operations": len(found.ops), "keys": len({op.key for op in found.ops})}
        if not found.ambiguous:
            findings += lone_updates(found)
            decision = decide(found, options.time_budget_s)
            if decision.holds is False:
                evidence = ("G2-item-process", *([ALWAYS] if means_sequential(asked) else []))
                findings.append(Finding(_anomaly(decision, found), evidence))
                if not is_plain(asked) and not means_sequential(asked):
                    undecided.append(
                        f"there is no order of all operations, and whether {asked} needs one is not decided"
                    )
            elif decision.holds is None and not is_plain(asked):
                undecided.append("the search for an order ran out of its time: nobody knows whether there is one")
            elif decision.holds and models.needs_realtime(asked) and not findings:
                return Linearizable().check(history, options)
        return verdict_of(self.name, findings, options, model=asked, undecided=undecided, stats=stats)


def is_plain(model: str) -> bool:
    """Whether a model says nothing of the order of one client's operations."""
    name = models.canonical(model)
    return not name.startswith(("strong-", models.STRICT)) and name not in models.GUARANTEES


def means_sequential(model: str) -> bool:
    """Whether a model allows no operations on single registers that no common order explains.

    A snapshot of one register is its state at some moment, and of two that changed it one had to fail.
    """
    return "strong-session-snapshot-isolation" in models.weaker(model)


def decide(found: SessionOps, time_budget_s: float) -> Decision:
    """Whether operations, all keys together, are sequentially consistent: it can't be decided key by key.

    Reads of values that nobody wrote are taken as if they were not there.
    """
    deadline = working_time() + time_budget_s
    order_known = Reasons(found.edges)
    known = set(found.edges)
    while True:
        clocks = Clocks(found, order_known.edges)
        if clocks.cycle:
            behind = order_known.behind(found, around(clocks.cycle))
            circle, needed = (tuple(found.ops[op] for op in ops) for ops in (clocks.cycle, behind))
            return Decision(False, circle, needed, order_known.told(found, clocks.cycle))
        new = {edge: reason for edge, reason in _implied(found, clocks).items() if edge not in known}
        if not new:
            break
        known |= new.keys()
        order_known.add(new)
        if working_time() > deadline:
            return Decision(None)
    order = _some_order(found, order_known.edges, deadline)
    if order is None:
        return Decision(None)
    return Decision(bool(order) or not found.ops)


def _implied(found: SessionOps, clocks: Clocks) -> dict[Edge, tuple[int, Edge | None]]:
    """What the known order implies: pairs (earlier, later) that are not in it yet → (a read, the order used)."""
    new: dict[Edge, tuple[int, Edge | None]] = {}
    writes = ByChain(found, clocks, (op for ops in found.writes.values() for op in ops))
    for read, writer in found.source.items():
        key = found.ops[read].key
        if writer == INITIAL:
            firsts = [first for first in writes.firsts(key) if first != read and not clocks.before(read, first)]
            new |= {(read, first): (read, None) for first in firsts}
            continue
        for other in writes.last_before(key, read, clocks, skip=writer):
            if not clocks.before(other, writer):
                new[other, writer] = (read, (other, read))
    last_reads: dict[int, list[int]] = {}
    for writer, readers in found.readers.items():
        by_chain: dict[int, int] = {}
        for read in readers:
            by_chain[int(clocks.chain[read])] = read
        last_reads[writer] = list(by_chain.values())
    for ops in found.writes.values():
        for later in ops:
            for writer in writes.last_before(found.ops[later].key, later, clocks):
                for read in last_reads.get(writer, ()):
                    if read != later and not clocks.before(read, later):
                        new[read, later] = (read, (writer, later))
    return new


def _some_order(found: SessionOps, edges: list[tuple[int, int]], deadline: float) -> list[int] | None:
    """Depth first over which op comes next; [] where there is no order, None where time ran out.

    Reads that may come next are taken at once: that can't hurt. States that led nowhere are remembered.
    """
    count = len(found.ops)
    after: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for source, target in edges:
        after[source].append(target)
        waits[target] += 1
    unread = [len(found.readers.get(op, ())) for op in range(count)]
    unread_initial: dict[Hashable, int] = {}
    for read, writer in found.source.items():
        if writer == INITIAL and not found.ops[read].writes:
            unread_initial[found.ops[read].key] = unread_initial.get(found.ops[read].key, 0) + 1
    holds: dict[Hashable, int] = {}
    order: list[int] = []
    ready = {op for op in range(count) if not waits[op]}
    dead: set[tuple[frozenset[int], tuple[tuple[Hashable, int], ...]]] = set()

    def may(op: int) -> bool:
        action = found.ops[op]
        current = holds.get(action.key, INITIAL)
        if action.reads and op in found.source and found.source[op] != current:
            return False
        if not action.writes:
            return True
        left = unread_initial.get(action.key, 0) if current == INITIAL else unread[current]
        return left - (1 if action.reads and current != INITIAL else 0) <= 0

    def do(op: int) -> int | None:
        action = found.ops[op]
        ready.discard(op)
        order.append(op)
        source = found.source.get(op)
        if source is not None and source != INITIAL:
            unread[source] -= 1
        elif source == INITIAL and not action.writes:
            unread_initial[action.key] -= 1
        before = holds.get(action.key)
        if action.writes:
            holds[action.key] = op
        for later in after[op]:
            waits[later] -= 1
            if not waits[later]:
                ready.add(later)
        return before

    def undo(op: int, before: int | None) -> None:
        action = found.ops[op]
        for later in after[op]:
            if not waits[later]:
                ready.discard(later)
            waits[later] += 1
        if action.writes:
            if before is None:
                del holds[action.key]
            else:
                holds[action.key] = before
        source = found.source.get(op)
        if source is not None and source != INITIAL:
            unread[source] += 1
        elif source == INITIAL and not action.writes:
            unread_initial[action.key] += 1
        order.pop()
        ready.add(op)

    stack: list[tuple[list[int], list[tuple[int, int | None]]]] = []
    steps = 0
    done: list[tuple[int, int | None]] = []
    while True:
        moved = True
        while moved:
            moved = False
            for op in sorted(ready):
                if not found.ops[op].writes and may(op):
                    done.append((op, do(op)))
                    moved = True
        if len(order) == count:
            return order
        steps += 1
        if steps % 256 == 0 and working_time() > deadline:
            return None
        state = (frozenset(ready), tuple(sorted(holds.items(), key=repr))) if stack and steps > count else None
        choices = [] if state in dead else sorted((op for op in ready if may(op)), reverse=True)
        stack.append((choices, done))
        done = []
        while stack and not stack[-1][0]:
            _, undone = stack.pop()
            if steps > count:
                dead.add((frozenset(ready), tuple(sorted(holds.items(), key=repr))))
            for op, before in reversed(undone):
                undo(op, before)
        if not stack:
            return []
        op = stack[-1][0].pop()
        done = [(op, do(op))]


def _anomaly(decision: Decision, found: SessionOps) -> Anomaly:
    circle = decision.circle or tuple(found.ops)
    sentence = "There is no order of all operations that keeps each client's own and explains every read" + (
        f": each of these must come before the next, round in a circle: {decision.told}." if decision.told else "."
    )
    return Anomaly(
        NONSEQUENTIAL,
        sorted({op.call.record for op in circle}),
        sentence,
        sub_history=sorted({record for op in decision.behind or circle for record in op.call.records}),
    )
