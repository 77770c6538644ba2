"""Transactions of reads, writes and searches over a closed set of keys: which models does the record rule out?

    init  {k: v, ...}                    the initial rows
    txn   [["rp", predicate, rows], ["r", k, v], ["w", k, v], ["insert", k, v], ["delete", k]]

`checkers.transactions.predicate_txns` has the shapes and what each read may have seen. Values are unique for their key.

Idea: a search reads a version of every key, also of those that it did not return, so that a write that turns a row into
one that matches (or the other way) and was not seen came later: an anti-dependency through a predicate (Adya, "Weak
Consistency", 1999, section 4.2). Edges are drawn where they hold whatever the undecided reads saw and in whichever
order blind writes took effect; cycles of them have Elle's names, without `-item` where such an edge goes through a
search: `G-single` (phantom: one search missed what another read of the same transaction saw), `G2` (write skew over a
search). Two searches of one transaction that differ are a `G-single` too, what others call PMP (predicate-many-
preceders). Who read a version and then wrote the key came after its writer, tied to it by that read; of writes alone no
order is known for certain, so there is no `G0`. Single reads: `predicate-read-miss` (every version of a row matches,
and the search did not return it), `garbage-read`, `future-read`, `G1a`, `G1b`, `internal`.

What no cycle shows is decided exactly, for some forty to ninety transactions: `predicate_orders` seeks an
order by SAT, for read committed, repeatable read, snapshot isolation, serializable and their session and strict
variants; where there is none the finding is named `<model>-cycle-exists`. Other models are judged by the weaker and
stronger of these, and unknown in between. Larger records are valid if one order that is tried fits, else unknown.

Premises: what an `init` wrote that was ok before any transaction began is there before everything; an insert is a write
(that the row was not there is not used).
Source: Kingsbury's `elle.closed-predicate`. Cost: O(searches × keys), and SAT as above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from functools import partial

import msgspec

from checkers.findings import Finding, verdict_of, without_realtime
from checkers.models import canonical, weaker
from checkers.transactions.cycle_kinds import Cycle
from checkers.transactions.dependency_graph import RW, WR
from checkers.transactions.explained_graph import ExplainedGraph
from checkers.transactions.predicate_orders import LEVELS, Orders
from checkers.transactions.predicate_txns import UNBORN, Oddity, PredicateTxns, Read, predicate_txns
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Edge, Verdict

MISS = "predicate-read-miss"
_EVIDENCE: dict[str, tuple[str, tuple[str, ...]]] = {
    "internal/missed-own-write": ("internal", ("internal", "internal/missed-own-write")),
    "internal/non-repeatable-read": ("internal", ("internal", "internal/non-repeatable-read")),
    "internal/search": ("internal", ("internal",)),
}
_STRENGTHS = {"none": "", "session": "strong-session-", "strict": "strong-"}
_SUFFIXES = {"none": "", "session": "-process", "strict": "-realtime"}
_RULES_OUT = {
    "read-committed": "G1",
    "repeatable-read": "G2-item",
    "snapshot-isolation": "G-nonadjacent",
    "serializable": "G2",
}
"""What rules out a level and what is stronger, and nothing else."""


class ClosedPredicate:
    """See the module's docstring."""

    name = "closed-predicate"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge against `options.model` (serializable by default). Raises HistoryError for a value of another shape."""
        model = canonical(options.model or "serializable")
        txns = predicate_txns(history)
        findings = [_odd(txns, oddity) for oddity in txns.oddities]
        more: Counter[str] = Counter()
        reasons: list[str] = []
        for name, count, cycles, edges in _cycles(txns, history, options.max_shown, misses=False, reasons=reasons):
            findings += [Finding(edges.anomaly(name, cycle), name) for cycle in cycles]
            more[name] += count - len(cycles)
        if not any(finding.against(model) for finding in findings):
            findings += self._search(txns, history, model, options, reasons)
        reasons += without_realtime(history, txns.calls, model)
        if txns.ambiguous:
            keys = ", ".join(show(key) for key in txns.ambiguous[:5])
            reasons.append(f"a value may have been written twice to the same key ({keys}): values must be unique")
        stats = {
            "transactions": len(txns.calls) - len(txns.inits),
            "committed": sum(txns.committed) - len(txns.inits),
            "keys": len(txns.writers),
            "searched_versions": sum(read.by_search for read in txns.reads),
            "undecided_reads": sum(len(read.candidates) > 1 for read in txns.reads),
        }
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats, more=more)

    @staticmethod
    def _search(
        txns: PredicateTxns, history: History, model: str, options: CheckOptions, reasons: list[str]
    ) -> Iterator[Finding]:
        """What no cycle showed: findings that count against the model, or reasons why nobody knows."""
        holds, broken = _decided(Orders(txns), model, history.has_invocations)
        if holds:
            return
        named = False
        for name, _, cycles, edges in _cycles(txns, history, options.max_shown, misses=True, reasons=reasons):
            for cycle in cycles:
                finding = Finding(edges.anomaly(name, cycle), name)
                named = named or finding.against(model)
                if finding.against(model):
                    yield finding
        if broken is None and not named:
            reasons.append(f"whether some order of the transactions fits {model} was not decided")
        elif broken is not None and not named:
            name, evidence = broken
            everyone = [txn for txn, sure in enumerate(txns.committed) if sure]
            yield Finding(
                Anomaly(
                    type=f"{name}-cycle-exists",
                    ops=sorted(txns.calls[txn].record for txn in everyone),
                    sentence=f"Every order of these {len(everyone)} transactions that {name} allows contradicts some "
                    "read: in each at least one of them saw a state of the database that never existed.",
                    sub_history=txns.records(set(everyone)),
                ),
                evidence,
            )


def _decided(orders: Orders, model: str, timed: bool) -> tuple[bool, tuple[str, str] | None]:
    """(whether the model certainly holds, a model that certainly does not and that it implies, with its evidence)."""
    implied = weaker(model)
    undecided = False
    for order, prefix in _STRENGTHS.items():
        for level in LEVELS:
            name = canonical(prefix + level)
            if name in implied and (timed or order != "strict"):
                exists = orders.exists(level, order)
                if exists is False:
                    return False, (name, _RULES_OUT[level] + _SUFFIXES[order])
                undecided = undecided or exists is None
    for order, prefix in _STRENGTHS.items():
        for level in reversed(LEVELS):
            if model in weaker(prefix + level) and (timed or order != "strict") and orders.exists(level, order):
                return True, None
    return not undecided and model == "read-uncommitted", None


def _cycles(
    txns: PredicateTxns, history: History, limit: int, *, misses: bool, reasons: list[str]
) -> Iterator[tuple[str, int, list[Cycle], _Edges]]:
    """Kinds of cycles. misses: with the edges of searches that missed a row of which every version matches."""
    graph = ExplainedGraph(txns.calls, txns.committed, history.has_invocations)
    edges = _Edges(txns, graph, misses)
    edges.draw()
    found, undecided = graph.cycles(limit)
    reasons += [reason for reason in undecided if reason not in reasons]
    for name, count, cycles in found:
        yield name, count, cycles, edges


class _Edges:
    """The dependencies that hold in every case."""

    def __init__(self, txns: PredicateTxns, graph: ExplainedGraph, misses: bool) -> None:
        self._txns, self._graph, self._misses = txns, graph, misses
        self._missed = {(oddity.txns[0], oddity.key) for oddity in txns.oddities if oddity.kind == MISS}
        self._after: dict[Hashable, dict[int, set[int]]] = {}
        """key → {writer: those that wrote the key later}."""

    def draw(self) -> None:
        """Add them all."""
        txns = self._txns
        for init in txns.inits:
            for txn, sure in enumerate(txns.committed):
                if sure and txn not in txns.inits:
                    self._graph.add(init, txn, WR, lambda: "the initial state was there before everything")
        saw = {(read.txn, read.key): read for read in txns.reads if len(read.candidates) == 1}
        for key, writers in txns.writers.items():
            after: dict[int, set[int]] = {writer: set() for writer in (UNBORN, *writers)}
            after[UNBORN] = set(writers)
            for init in set(txns.inits) & set(writers):
                after[init] |= set(writers) - set(txns.inits)
            self._after[key] = after
        for txn, key in txns.read_then_write:
            read = saw.get((txn, key))
            if read is not None and txn in txns.writers.get(key, {}) and read.candidates[0] in self._after[key]:
                self._after[key][read.candidates[0]].add(txn)
        for key in txns.writers:
            self._close(key)
        for read in txns.reads:
            if self._misses or (read.txn, read.key) not in self._missed:
                self._read(read)

    def _close(self, key: Hashable) -> None:
        after = self._after[key]
        for writer in after:
            todo = list(after[writer])
            while todo:
                for follower in after.get(todo.pop(), ()):
                    if follower not in after[writer]:
                        after[writer].add(follower)
                        todo.append(follower)

    def _read(self, read: Read) -> None:
        """wr from the only writer it can have seen; rw to those that wrote after each that it can have seen."""
        txns, name = self._txns, self._txns.name
        if not txns.committed[read.txn]:
            return
        if len(read.candidates) == 1 and read.candidates[0] != UNBORN and txns.committed[read.candidates[0]]:
            writer = read.candidates[0]
            self._graph.add(
                writer,
                read.txn,
                WR,
                lambda: f"{name(read.txn)} {read.text} at key {show(read.key)}, as {name(writer)} had left it",
                read.key,
                predicate=read.by_search,
            )
        after = self._after.get(read.key, {})
        later = set.intersection(*(after.get(candidate, set()) for candidate in read.candidates))
        for follower in later - {read.txn}:
            if txns.committed[follower]:
                why = partial(self._why_before, read, follower)
                self._graph.add(read.txn, follower, RW, why, read.key, predicate=read.by_search)

    def anomaly(self, name: str, cycle: Cycle) -> Anomaly:
        """A cycle, with all that a history needs to show it: what was there at first, and what proves its edges."""
        shown = self._graph.anomaly(name, cycle, _sentence)
        needed = {*self._txns.inits, *(step.source for step in cycle)}
        for step in cycle:
            if step.kind == RW:
                needed |= self._between(step.source, step.target, self._graph.edges[step.source, step.target, RW][1])
        needed |= {
            self._txns.seen_by[txn] for txn in needed if txn in self._txns.seen_by and not self._txns.calls[txn].ok
        }
        return msgspec.structs.replace(shown, sub_history=self._txns.records(needed))

    def _between(self, reader: int, follower: int, key: Hashable) -> set[int]:
        """Whose versions of a key the reader may have seen, and who replaced them before the follower did."""
        after = self._after.get(key, {})
        saw = {
            candidate
            for read in self._txns.reads
            if (read.txn, read.key) == (reader, key)
            for candidate in read.candidates
        }
        later = {writer for candidate in saw for writer in after.get(candidate, ())}
        return {txn for txn in saw | {w for w in later if follower in after.get(w, ())} if txn != UNBORN}

    def _why_before(self, read: Read, follower: int) -> str:
        name = self._txns.name
        return f"{name(read.txn)} {read.text} at key {show(read.key)}, before {name(follower)} wrote there"


def _odd(txns: PredicateTxns, oddity: Oddity) -> Finding:
    kind, evidence = _EVIDENCE.get(oddity.kind, (oddity.kind, (oddity.kind,)))
    calls = [txns.calls[txn] for txn in oddity.txns]
    return Finding(
        Anomaly(
            type=kind,
            ops=sorted({call.record for call in calls}),
            sentence=oddity.sentence,
            key=oddity.key,
            sub_history=txns.records(set(oddity.txns)),
        ),
        evidence,
    )


def _sentence(name: str, cycle: Cycle, edges: list[Edge]) -> str:
    who = ", ".join(f"op {edge.source}" for edge in edges)
    return f"Each of {who} must have come before the next, round in a circle: " + "; ".join(e.why for e in edges) + "."
