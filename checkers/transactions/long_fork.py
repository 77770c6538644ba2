"""Long fork: two reads that disagree on which of two writes came first.

    write  [["w", k, v]]                            one write of one key, ever
    read   [["r", k, v | null], ["r", j, null], ...]  all keys of a group

(also as f `txn`, and with the keys in any order). Two clients write different keys; one reader sees the first write and
not the second, another the second and not the first. Each reader alone saw a possible state, but there is no order of
the two writes that fits both: replicas that apply commits in different orders (parallel snapshot isolation) do that,
one copy of the data never does. It is a cycle with two anti-dependencies that are not adjacent, Adya's G-SI and Elle's
G-nonadjacent-item, shown here as `long-fork` (Sovran et al., "Transactional Storage for Geo-Replicated Systems",
SOSP 2011; the workload is Jepsen's `long-fork`).

Every key has two versions, nothing and its one value, so all dependencies are known, and what the record fits or not is
exact for serializability, snapshot isolation, and their session and strict variants. Beside forks: stale reads
(`G-single-item-process`, `-realtime`), `G1a`, `garbage-read`, `internal` (a read that contradicts itself). Reads of
different groups that share keys can disagree in the same way, or three of them in a circle: a `G-nonadjacent-item`,
told where no group is forked by itself.
A key that was written twice breaks the premise: unknown.

Cost: O(reads × keys of a group); forks are sought among the distinct states of a group, sorted by size, so that a sound
record takes O(n log n).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from checkers.client_calls import ClientCall, calls_of, parts_of
from checkers.findings import Finding, verdict_of, without_realtime
from checkers.models import canonical
from checkers.transactions.cycle_kinds import Cycle
from checkers.transactions.dependency_graph import RW, WR
from checkers.transactions.explained_graph import ExplainedGraph
from checkers.values import freeze, show, thaw
from harness.checker import CheckOptions
from harness.history import FAIL, History, HistoryError
from harness.verdict import Anomaly, Edge, Verdict

LONG_FORK = "long-fork"
EVIDENCE = "G-nonadjacent-item"
PAIRS_TRIED_MAX = 200_000
"""How many pairs of states are compared when a group is forked."""


@dataclass
class _Group:
    """Keys that are read together. states: what was seen (a set of keys) → the reads that saw it."""

    states: dict[frozenset[Hashable], list[int]] = field(default_factory=dict)


class LongFork:
    """See the module's docstring."""

    name = "long-fork"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge against `options.model` (snapshot-isolation by default). Raises HistoryError for another shape."""
        model = canonical(options.model or "snapshot-isolation")
        calls = calls_of(history, ("write", "read", "txn", ""), only=True)
        parsed = _Parsed(calls)
        graph = ExplainedGraph(calls, parsed.committed, history.has_invocations)
        forks = list(_forks(parsed, calls))
        findings = [*parsed.findings, *forks]
        _depend(parsed, graph)
        more: Counter[str] = Counter()
        cycles, undecided = graph.cycles(options.max_shown)
        for name, count, examples in cycles:
            if name != EVIDENCE or not forks:
                findings += [Finding(graph.anomaly(name, cycle, _sentence), name) for cycle in examples]
                more[name] += count - len(examples)
        if parsed.twice:
            keys = ", ".join(show(key) for key in parsed.twice[:5])
            undecided.append(f"{len(parsed.twice)} keys were written more than once ({keys}): each may be only once")
        undecided += without_realtime(history, calls, model)
        stats = {
            "groups": len(parsed.groups),
            "keys": len(parsed.writer),
            "reads": sum(len(reads) for group in parsed.groups.values() for reads in group.states.values()),
            "states": sum(len(group.states) for group in parsed.groups.values()),
        }
        return verdict_of(self.name, findings, options, model=model, undecided=undecided, stats=stats, more=more)


class _Parsed:
    """writer: key → (call, value) of its only write that may have happened. groups: by the keys that are read."""

    def __init__(self, calls: list[ClientCall]) -> None:
        self.calls = calls
        self.writer: dict[Hashable, tuple[int, Hashable]] = {}
        self.failed: dict[tuple[Hashable, Hashable], int] = {}
        self.groups: dict[frozenset[Hashable], _Group] = {}
        self.findings: list[Finding] = []
        self.twice: list[Hashable] = []
        reads: list[tuple[int, dict[Hashable, Hashable | None]]] = []
        for number, call in enumerate(calls):
            writes, read = self._mops(call)
            for key, value in writes:
                if call.outcome == FAIL:
                    self.failed[key, value] = number
                elif key in self.writer:
                    self.twice.append(key)
                else:
                    self.writer[key] = (number, value)
            if read is not None and call.ok:
                reads.append((number, read))
        self.committed = [call.ok for call in calls]
        for number, read in reads:
            self._read(number, read)

    def _mops(self, call: ClientCall) -> tuple[list[Any], dict[Hashable, Hashable | None] | None]:
        index = call.record if call.ok else call.index
        expected = "one write [[w, k, v]], or reads [[r, k, v], ...]"
        writes: list[Any] = []
        reads: dict[Hashable, Hashable | None] = {}
        for mop in parts_of(_told(call), index, expected):
            if not isinstance(mop, list | tuple) or len(mop) != 3 or mop[0] not in ("w", "r", ":w", ":r"):
                raise HistoryError(f"index {index}: micro-op {show(mop)}; expected {expected}")
            key, value = freeze(mop[1], index), freeze(mop[2], index)
            if mop[0].endswith("w"):
                if value is None:
                    raise HistoryError(f"index {index}: a write of null, which is what a read of nothing returns")
                writes.append((key, value))
            elif key in reads and reads[key] != value and call.ok:
                sentence = f"Op {call.record} read key {show(key)} twice, {show(reads[key])} and then {show(value)}."
                anomaly = Anomaly("internal", [call.record], sentence, key=mop[1], sub_history=call.records)
                self.findings.append(Finding(anomaly, ("internal", "internal/non-repeatable-read")))
            else:
                reads[key] = value
        if len(writes) + bool(reads) > 1:
            raise HistoryError(f"index {index}: {show(call.argument)} both reads and writes; expected {expected}")
        return writes, None if writes else reads

    def _read(self, number: int, read: dict[Hashable, Hashable | None]) -> None:
        seen = set()
        for key, value in read.items():
            if value is None:
                continue
            if key in self.writer and self.writer[key][1] == value:
                seen.add(key)
                self.committed[self.writer[key][0]] = True
            elif key not in self.twice:
                self._impossible(number, key, value)
        if not self._touches_twice(read):
            self.groups.setdefault(frozenset(read), _Group()).states.setdefault(frozenset(seen), []).append(number)

    def _touches_twice(self, read: dict[Hashable, Hashable | None]) -> bool:
        return bool(self.twice) and not set(self.twice).isdisjoint(read)

    def _impossible(self, number: int, key: Hashable, value: Hashable) -> None:
        call = self.calls[number]
        writer = self.failed.get((key, value))
        if writer is None:
            sentence = f"Op {call.record} read {show(value)} at key {show(key)}, which nobody ever wrote there."
            anomaly = Anomaly("garbage-read", [call.record], sentence, key=thaw(key), sub_history=call.records)
            self.findings.append(Finding(anomaly, "garbage-read"))
            return
        failed = self.calls[writer]
        sentence = (
            f"Op {call.record} read {show(value)} at key {show(key)}, but its write (op {failed.record}) failed: it "
            "never took effect."
        )
        records = sorted({*call.records, *failed.records})
        anomaly = Anomaly("G1a", sorted({call.record, failed.record}), sentence, key=thaw(key), sub_history=records)
        self.findings.append(Finding(anomaly, "G1a"))


def _told(call: ClientCall) -> Any:
    """The call's micro-ops. Raises HistoryError where it completes as another one than was invoked."""
    if not call.ok:
        return call.argument
    asked = _asked(call.argument)
    if call.result is None and asked and not any(name.endswith("r") for name, _, _ in asked):
        return call.argument
    if asked is not None and call.record != call.index and _asked(call.result) not in (None, asked):
        raise HistoryError(
            f"index {call.record}: completes {show(call.result)}, but its invocation ({call.index}) was "
            f"{show(call.argument)}"
        )
    return call.result


def _asked(mops: Any) -> list[tuple[str, Any, Any]] | None:
    """Micro-ops without what they read; None for what are none."""
    if not isinstance(mops, list | tuple):
        return None
    if not all(isinstance(mop, list | tuple) and len(mop) == 3 and isinstance(mop[0], str) for mop in mops):
        return None
    return [(name, key, None if name.endswith("r") else value) for name, key, value in mops]


def _forks(parsed: _Parsed, calls: list[ClientCall]) -> Iterator[Finding]:
    """Pairs of states of which neither holds the other. States that form a chain are seen at once."""
    for group in parsed.groups.values():
        states = sorted(group.states, key=len)
        if all(one <= other for one, other in itertools.pairwise(states)):
            continue
        tried = 0
        for place, one in enumerate(states):
            for other in states[place + 1 :]:
                tried += 1
                if not one <= other:
                    yield _fork(parsed, calls, group, one, other)
            if tried > PAIRS_TRIED_MAX:
                break


def _fork(
    parsed: _Parsed, calls: list[ClientCall], group: _Group, one: frozenset[Hashable], other: frozenset[Hashable]
) -> Finding:
    first, second = calls[group.states[one][0]], calls[group.states[other][0]]
    key_a, key_b = (sorted(part, key=repr)[0] for part in (one - other, other - one))
    write_a, write_b = calls[parsed.writer[key_a][0]], calls[parsed.writer[key_b][0]]
    edges = [
        Edge(write_a.record, first.record, "wr", f"op {first.record} saw key {show(key_a)} written", thaw(key_a)),
        Edge(
            first.record, write_b.record, "rw", f"op {first.record} did not see key {show(key_b)} written", thaw(key_b)
        ),
        Edge(write_b.record, second.record, "wr", f"op {second.record} saw key {show(key_b)} written", thaw(key_b)),
        Edge(
            second.record,
            write_a.record,
            "rw",
            f"op {second.record} did not see key {show(key_a)} written",
            thaw(key_a),
        ),
    ]
    four = (write_a, first, write_b, second)
    sentence = (
        f"Op {first.record} (client {first.process}) saw the write of key {show(key_a)} (op {write_a.record}) and not "
        f"that of key {show(key_b)} (op {write_b.record}); op {second.record} (client {second.process}) saw the second "
        "and not the first. There is no order of the two writes that fits both readers."
    )
    return Finding(
        Anomaly(
            type=LONG_FORK,
            ops=sorted({call.record for call in four}),
            sentence=sentence,
            cycle=edges,
            sub_history=sorted({record for call in four for record in call.records}),
        ),
        EVIDENCE,
    )


def _depend(parsed: _Parsed, graph: ExplainedGraph) -> None:
    calls = graph.calls
    for keys, group in parsed.groups.items():
        for seen, reads in group.states.items():
            for key in keys:
                if key not in parsed.writer or not graph.committed[parsed.writer[key][0]]:
                    continue
                writer = parsed.writer[key][0]
                for reader in reads:
                    kind, source, target = (WR, writer, reader) if key in seen else (RW, reader, writer)
                    words = "saw" if key in seen else "did not see"
                    graph.add(source, target, kind, partial(_why, calls[reader], words, calls[writer], key), thaw(key))


def _why(read: ClientCall, words: str, write: ClientCall, key: Hashable) -> str:
    return f"op {read.record} {words} op {write.record}'s write of key {show(key)}"


def _sentence(name: str, cycle: Cycle, edges: list[Edge]) -> str:
    if len(cycle) == 2 and edges[0].kind == "rw":
        return (
            f"Op {edges[0].source} did not see a write that was done before it began: {edges[0].why}; {edges[1].why}."
        )
    return f"Each must have come before the next, round in a circle: {'; '.join(edge.why for edge in edges)}."
