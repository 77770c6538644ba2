"""Causal consistency of registers: whoever sees an effect sees its cause.

    read  [k, null] → ok [k, v]     write [k, v]     cas [k, [old, new]]
    read-init                       a read; where there are any, 0 stands for never written, in all ops

Causal order (co) is each client's own order and who read whose write, and what follows from both. Where every value is
written once, causal consistency is the absence of a few patterns (Bouajjani, Enea, Guerraoui and Hamza, "On verifying
causal consistency", POPL 2017, section 3), all found in polynomial time:

    CyclicCO         an op comes before itself
    WriteCOInitRead  a read finds nothing, though a write of the key came before it
    garbage-read     a read finds what nobody wrote (the paper's ThinAirRead)
    WriteCORead      a read finds a value, though another write of the key came between

Two models add to these. Causal consistency as Cerone, Bernardi and Gotsman define it (the default) has one order of all
writes that every client agrees on in the end (the paper's causal convergence): `CyclicCF`, clients that saw two writes
in different orders for good. The model `causal` is causal memory, from which PRAM follows, where each client may see
its own order: `WriteHBInitRead` and `CyclicHB`, one client that saw writes in an order that contradicts itself.

Jepsen's `causal` test (one register; read-init, write 1, read, write 2, read by each client) is a case of both. A
stronger model that is asked is judged too: see `checkers.ordering.sequential`.

Cost: O(n × sessions), and for causal memory a few rounds of that for each session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from checkers import models
from checkers.client_calls import calls_of
from checkers.findings import Finding, verdict_of
from checkers.ordering.reasons import Edge, Reasons, around
from checkers.ordering.register_ops import FS, parsed_ops, single_reads, unjudged
from checkers.ordering.sequential import Sequential, is_plain
from checkers.ordering.session_ops import INITIAL, ByChain, Clocks, SessionOp, SessionOps, session_ops
from checkers.ordering.updates import lone_updates
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Verdict

DEFAULT_MODEL = "strong-session-causal-cerone"
CONVERGENCE, MEMORY = "causality-violation-process", "session-causality"
"""The evidence against causal consistency with one order of all writes, and against causal memory."""
BREAKS = {
    "CyclicCO": ("G1c-process", CONVERGENCE, MEMORY),
    "WriteCOInitRead": (CONVERGENCE, MEMORY),
    "WriteCORead": (CONVERGENCE, MEMORY),
    "CyclicCF": (CONVERGENCE,),
    "WriteHBInitRead": (MEMORY,),
    "CyclicHB": (MEMORY,),
}
"""What each pattern is evidence of."""


class Causal:
    """See the module's docstring."""

    name = "causal"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge `options.model` (strong-session-causal-cerone by default). Raises HistoryError for another shape."""
        asked = options.model or DEFAULT_MODEL
        model = models.canonical(asked)
        memory = model in ("causal", "PRAM")
        initial = freeze(options.workload.get("initial"), -1)
        ops, aborted = parsed_ops(calls_of(history, FS, only=True))
        found = session_ops(ops, aborted, initial)
        findings = list(single_reads(found))
        undecided = unjudged(found)
        if not undecided:
            patterns = list(bad_patterns(found, max(options.max_shown, 1), memory=memory))
            promised = models.weaker(DEFAULT_MODEL) | (models.weaker("causal") if memory else frozenset())
            if not patterns and not findings and model not in promised:
                return Sequential().check(history, options)
            findings += [Finding(anomaly, BREAKS[anomaly.type]) for anomaly in patterns]
            findings += lone_updates(found)
            decided = any(models.counts_against(name, model) for each in patterns for name in BREAKS[each.type])
            if patterns and not decided and not is_plain(asked):
                undecided.append(f"whether {asked} forbids what was found is not decided")
        stats: dict[str, Any] = {
            "operations": len(found.ops),
            "keys": len({op.key for op in found.ops}),
            "sessions": len(found.chains),
        }
        return verdict_of(self.name, findings, options, model=asked, undecided=undecided, stats=stats)


def bad_patterns(found: SessionOps, shown: int, *, memory: bool) -> Iterator[Anomaly]:
    """Every pattern of causal memory, or of causal convergence: one anomaly for each read that shows it; circles once.

    shown: for how many reads the records are sought that show it by themselves.
    """
    clocks = Clocks(found, found.edges)
    order = Reasons(found.edges)
    if clocks.cycle:
        yield _circle("CyclicCO", found, clocks.cycle, "came to be because of the one before it", order)
        return
    writes = ByChain(found, clocks, (op for ops in found.writes.values() for op in ops))
    bad: Counter[bool] = Counter()
    for read, writer in found.source.items():
        anomaly = _overlooked(found, clocks, writes, read, writer, order if bad[writer == INITIAL] < shown else None)
        if anomaly is not None:
            bad[writer == INITIAL] += 1
            yield anomaly
    if bad:
        return
    if memory:
        yield from _causal_memory(found, clocks)
    else:
        conflicts: dict[Edge, tuple[int, Edge | None]] = {
            (other, writer): (read, (other, read))
            for read, writer in found.source.items()
            if writer != INITIAL
            for other in writes.last_before(found.ops[read].key, read, clocks, skip=writer)
        }
        order.add(conflicts)
        circle = Clocks(found, order.edges).cycle
        if circle:
            yield _circle("CyclicCF", found, circle, "must have been applied, or done, before the next", order)


def _overlooked(
    found: SessionOps, clocks: Clocks, writes: ByChain, read: int, writer: int, order: Reasons | None
) -> Anomaly | None:
    """A write of the key that came between the write that was read, or nothing, and the read."""
    key = found.ops[read].key
    for other in writes.last_before(key, read, clocks, skip=writer):
        if writer == INITIAL:
            return _between("WriteCOInitRead", found, read, None, other, order)
        if clocks.before(writer, other):
            return _between("WriteCORead", found, read, writer, other, order)
    return None


def _causal_memory(found: SessionOps, clocks: Clocks) -> Iterator[Anomaly]:
    """For each session: what its reads, in their order, say about the order in which it saw the writes (hb)."""
    for chain in found.chains:
        end = chain[-1]
        past = {op for op in range(len(found.ops)) if op == end or clocks.before(op, end)}
        own = [op for op in chain if op in found.source]
        order = Reasons((one, other) for one, other in found.edges if one in past and other in past)
        known = set(order.edges)
        while True:
            happened = Clocks(found, order.edges)
            if happened.cycle:
                words = "must have been seen before the next by one client"
                yield _circle("CyclicHB", found, happened.cycle, words, order)
                break
            writes = ByChain(found, happened, (op for op in sorted(past) if found.ops[op].writes))
            new: dict[Edge, tuple[int, Edge | None]] = {}
            wrong = None
            for read in own:
                writer = found.source[read]
                for other in writes.last_before(found.ops[read].key, read, happened, skip=writer):
                    if writer == INITIAL:
                        wrong = wrong or _between("WriteHBInitRead", found, read, None, other, order)
                    elif not happened.before(other, writer):
                        new.setdefault((other, writer), (read, (other, read)))
            if wrong is not None:
                yield wrong
                break
            if not new.keys() - known:
                break
            order.add({edge: reason for edge, reason in new.items() if edge not in known})
            known |= new.keys()


def _between(kind: str, found: SessionOps, read: int, writer: int | None, other: int, order: Reasons | None) -> Anomaly:
    parts = [found.ops[place] for place in (read, writer, other) if place is not None]
    reader, later = found.ops[read], found.ops[other]
    after = "nothing" if writer is None else f"what {found.ops[writer].text.split(' at key ')[0]}"
    sentence = (
        f"{reader.text[0].upper()}{reader.text[1:]}: it found {after}, although {later.text}, and that came before "
        "this read, by what clients did one after the other and by what they read from each other"
        + (": the effect was seen without its cause." if writer is None else ", and after what was found.")
    )
    orders = [(other, read), *([] if writer is None else [(writer, other)])]
    behind = parts if order is None else [found.ops[op] for op in order.behind(found, orders)]
    return _anomaly(kind, parts, sentence, reader.key, behind)


def _circle(kind: str, found: SessionOps, circle: list[int], words: str, order: Reasons) -> Anomaly:
    ops = [found.ops[op] for op in circle]
    behind = [found.ops[op] for op in order.behind(found, around(circle))]
    return _anomaly(kind, ops, f"Each of these {words}, round in a circle: {order.told(found, circle)}.", None, behind)


def _anomaly(kind: str, ops: list[SessionOp], sentence: str, key: Any, behind: list[SessionOp]) -> Anomaly:
    records = sorted({record for op in behind for record in op.call.records})
    return Anomaly(
        kind,
        sorted({op.call.record for op in ops}),
        sentence,
        key=None if key is None else show(key),
        sub_history=records,
    )
