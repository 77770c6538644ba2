"""G2 by predicate: two clients insert where a search must find nothing, and at most one may succeed.

    insert  [key, [a, null]]  → ok   it searched both tables for `key`, found none, and put row `a` into the first
    insert  [key, [null, b]]  → ok   the same, with row `b` into the second
                              → fail "too late": a row was there
    read    [key, null]       → ok [key, [rows]]   the rows of both tables with that key

Two inserts of one key that both succeeded each missed the other's row, although it matched the search: each came before
the other (Adya, "Weak Consistency", 1999, G2: an anti-dependency cycle through a predicate; the workload is Jepsen's
`adya`). Locks on rows don't help, since there is no row to lock: only serializability forbids it.

Each key has two states, empty or with its one row, so a read of nothing came before every insert of the key that
happened, and a read of a row after it: all dependencies are known, and a serial order exists exactly where they form no
circle. A circle is named as in list-append, without `-item` since it goes through a search: `G2`; `G-single-realtime`
where a read misses a row that was acknowledged before the read began; `G-nonadjacent` where two reads each show one of
two rows. Single reads: `G1a` (the row of a failed insert), `garbage-read` (a row that nobody inserted).

An insert of unknown outcome happened if its row was ever read. Each row is inserted once: where two inserts of one row
of a key may both have happened, the verdict is unknown unless a violation is proven anyway.

Cost: O(n log n), for n ops, of few a key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from checkers.client_calls import ClientCall, calls_of, pair_of, parts_of
from checkers.findings import Finding, verdict_of, without_realtime
from checkers.models import canonical
from checkers.transactions.cycle_kinds import Cycle
from checkers.transactions.dependency_graph import RW, WR
from checkers.transactions.explained_graph import ExplainedGraph
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import FAIL, OK, History, HistoryError
from harness.verdict import Anomaly, Edge, Verdict

INSERT_SHAPE = "[key, [row, null]] or [key, [null, row]]"
READ_SHAPE = "[key, [rows]]"


@dataclass
class _Key:
    """What was done with one key. inserts: row → the calls that inserted it."""

    key: Any
    inserts: dict[Hashable, list[int]] = field(default_factory=dict)
    reads: list[tuple[int, list[Any]]] = field(default_factory=list)


class Predicate:
    """See the module's docstring."""

    name = "predicate"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge against `options.model` (serializable by default). Raises HistoryError for a value of another shape."""
        model = canonical(options.model or "serializable")
        calls = calls_of(history, ("insert", "read"), only=True)
        keys = _keys(calls)
        committed = [call.ok for call in calls]
        seen_by: dict[int, int] = {}
        twice: list[_Key] = []
        for each in keys.values():
            seen = {row: reader for reader, rows in each.reads for row in _frozen(rows, calls[reader].record)}
            for row, makers in each.inserts.items():
                possible = _possible(makers, calls)
                if row in seen and len(possible) == 1:
                    committed[possible[0]] = True
                    seen_by[possible[0]] = seen[row]
            if any(len(_possible(makers, calls)) > 1 for makers in each.inserts.values()):
                twice.append(each)
        graph = ExplainedGraph(calls, committed, history.has_invocations)
        findings: list[Finding] = []
        for each in keys.values():
            findings += _depend(each, graph)
        cycles, undecided = graph.cycles(options.max_shown)
        more: Counter[str] = Counter()
        for name, count, examples in cycles:
            findings += [Finding(_shown(graph, name, cycle, seen_by), name) for cycle in examples]
            more[name] += count - len(examples)
        undecided += without_realtime(history, calls, model)
        if twice:
            some = ", ".join(show(each.key) for each in twice[:5])
            undecided.append(f"a row may have been inserted twice with the same key ({some}): rows must be unique")
        inserts = [call for call in calls if call.f == "insert"]
        stats = {
            "keys": len(keys),
            "inserted": sum(call.ok for call in inserts),
            "refused": sum(call.outcome == FAIL for call in inserts),
            "unknown": sum(call.outcome not in (OK, FAIL) for call in inserts),
            "keys_inserted_twice": sum(
                sum(committed[place] for makers in each.inserts.values() for place in makers) > 1
                for each in keys.values()
            ),
            "reads": sum(call.ok for call in calls if call.f == "read"),
        }
        return verdict_of(self.name, findings, options, model=model, undecided=undecided, stats=stats, more=more)


def _keys(calls: list[ClientCall]) -> dict[Hashable, _Key]:
    keys: dict[Hashable, _Key] = {}
    for number, call in enumerate(calls):
        shape = INSERT_SHAPE if call.f == "insert" else READ_SHAPE
        key, argument = pair_of(call.argument, call.index, shape)
        each = keys.setdefault(freeze(key, call.index), _Key(key))
        if call.f == "insert":
            rows = [row for row in pair_of(argument, call.index, shape) if row is not None]
            if len(rows) != 1:
                raise HistoryError(f"index {call.index}: expected {shape}, got {show(call.argument)}")
            each.inserts.setdefault(freeze(rows[0], call.index), []).append(number)
        elif call.ok:
            answered, rows_read = pair_of(call.result, call.record, shape)
            if freeze(answered, call.record) != freeze(key, call.index):
                raise HistoryError(f"index {call.record}: answers for key {show(answered)}, asked was {show(key)}")
            each.reads.append((number, list(parts_of(rows_read or [], call.record, shape))))
    return keys


def _frozen(rows: list[Any], index: int) -> list[Hashable]:
    return [freeze(row, index) for row in rows]


def _possible(makers: list[int], calls: Sequence[ClientCall]) -> list[int]:
    """Those that did not fail."""
    return [maker for maker in makers if calls[maker].outcome != FAIL]


def _depend(each: _Key, graph: ExplainedGraph) -> Iterator[Finding]:
    """Add the dependencies of one key's calls; the findings that single reads prove."""
    calls, key = graph.calls, show(each.key)
    happened = [(row, place) for row, places in each.inserts.items() for place in places if graph.committed[place]]

    def missed(reader: int, row: Hashable, writer: int) -> None:
        graph.add(
            reader,
            writer,
            RW,
            lambda: (
                f"op {calls[reader].record} found no row {show(row)} of key {key}, which op "
                f"{calls[writer].record} inserted: so it came first"
            ),
            each.key,
            predicate=True,
        )

    def found(reader: int, row: Hashable, writer: int) -> None:
        graph.add(
            writer,
            reader,
            WR,
            lambda: (
                f"op {calls[reader].record} found row {show(row)} of key {key}, which op {calls[writer].record} "
                "inserted: so it came later"
            ),
            each.key,
        )

    for _, one in happened:
        for row, other in happened:
            if one != other:
                missed(one, row, other)
    for reader, rows in each.reads:
        shown = set(_frozen(rows, calls[reader].record))
        yield from _impossible(each, shown, calls, reader)
        for row, writer in happened:
            if row in shown and len(_possible(each.inserts[row], calls)) == 1:
                found(reader, row, writer)
            elif row not in shown:
                missed(reader, row, writer)


def _impossible(each: _Key, shown: set[Hashable], calls: Any, reader: int) -> Iterator[Finding]:
    """Rows that nobody can have inserted for good."""
    for row in sorted(shown, key=repr):
        makers = each.inserts.get(row, [])
        read = calls[reader]
        if not makers:
            sentence = f"Key {show(each.key)}: op {read.record} found row {show(row)}, which nobody ever inserted."
            garbage = Anomaly("garbage-read", [read.record], sentence, key=each.key, sub_history=read.records)
            yield Finding(garbage, "garbage-read")
        elif not _possible(makers, calls):
            records = sorted({*read.records, *(record for maker in makers for record in calls[maker].records)})
            sentence = (
                f"Key {show(each.key)}: op {read.record} found row {show(row)}, but its insert (op "
                f"{calls[makers[0]].record}) failed: it never took effect."
            )
            ops = sorted({read.record, calls[makers[0]].record})
            yield Finding(Anomaly("G1a", ops, sentence, key=each.key, sub_history=records), "G1a")


def _shown(graph: ExplainedGraph, name: str, cycle: Cycle, seen_by: dict[int, int]) -> Anomaly:
    """A circle, with the reads that prove that its inserts of unknown outcome happened."""
    anomaly = graph.anomaly(name, cycle, _sentence)
    proofs = [seen_by[step.source] for step in cycle if not graph.calls[step.source].ok]
    records = {*anomaly.sub_history, *(record for proof in proofs for record in graph.calls[proof].records)}
    return msgspec.structs.replace(anomaly, sub_history=sorted(records))


def _sentence(name: str, cycle: Cycle, edges: list[Edge]) -> str:
    why = "; ".join(edge.why for edge in edges)
    key, *others = dict.fromkeys(show(edge.key) for edge in edges if edge.kind in ("rw", "wr"))
    if name.startswith("G2") and len(cycle) == 2:
        return (
            f"Key {key}: ops {edges[0].source} and {edges[0].target} each searched, found nothing and inserted a row "
            f"that the other's search should have found. One after the other, the second would have found it: {why}."
        )
    if len(cycle) == 2 and edges[0].kind == "rw":
        return (
            f"Key {key}: op {edges[0].source} found no row that op {edges[0].target} had inserted before it began: "
            f"{why}."
        )
    keys = f"Keys {', '.join([key, *others])}" if others else f"Key {key}"
    return f"{keys}: ops {', '.join(str(edge.source) for edge in edges)} contradict each other: {why}."
