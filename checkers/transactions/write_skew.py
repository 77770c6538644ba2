"""Write skew, from doctors on call: of each pair one at least has to stay, so each leaves only if it sees both on call.

    leave     [pair, member, null]  → ok [pair, member, "left" | "stayed"]
    read-all  null                  → ok [[pair, on_call_0, on_call_1], ...]   pairs that are not listed: both on call

Both members of a pair left: each read the other as on call, so each read came before the other's write. Two
anti-dependencies in a circle, write skew: A5B of Berenson et al., "A Critique of ANSI SQL Isolation Levels" (1995),
G2-item of Adya (1999). It is proven by two acknowledged leaves; and by a read that finds both off call, whatever the
clients were told: nobody is taken off call but by a leave that saw both on.

Each member goes off call once, so all dependencies are known: who saw a member on call came before its leave, who saw
it off came after. A serial order exists exactly where they form no circle, and circles are named as in list-append (two
reads, each of which shows a leave that the other misses: `G-nonadjacent-item`). One circle has a name of its own: an
acknowledged leave that a later read does not show (`lost-write`; it counts where the model forbids stale reads, else
the read may be an old snapshot). Two acknowledged leaves of one member are a `lost-update`. Beside these: a leave that
failed and yet was seen (`G1a`), somebody off call whom nobody took off (`garbage-read`).

The final read is one that began when every acknowledged leave had returned. Without one the verdict is `unknown`,
unless a violation is proven anyway; so it is where a member tried to leave again, and nobody knows which of its leaves
was seen. In a history of completions only nothing is known about realtime.

Cost: O(n) for n leaves, and O(n) more for each read of all pairs; some 2 kB for each leave.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterator
from functools import partial

import msgspec

from checkers import models
from checkers.findings import Finding, verdict_of, without_realtime
from checkers.transactions.cycle_kinds import Cycle
from checkers.transactions.dependency_graph import RW, WR
from checkers.transactions.explained_graph import ExplainedGraph
from checkers.transactions.write_skew_pairs import BOTH_ON, NAMES, PairCalls, pair_calls
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import FAIL, INFO, History
from harness.verdict import Anomaly, Edge, Verdict

SKEW, LOST = "G2-item", "lost-write"
STALE = "stale-read"
"""The evidence of a lost write: which models forbid that a transaction misses what was committed before it began."""


class WriteSkew:
    """See the module's docstring."""

    name = "write-skew"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every pair. Raises HistoryError for a value of another shape, and for an op of another kind."""
        model = models.canonical(options.model or "serializable")
        found = pair_calls(history)
        judged = _Judged(found, history.has_invocations)
        findings = [*judged.singles(), *judged.skews(), *judged.lost_writes(), *judged.lost_updates()]
        more: Counter[str] = Counter()
        cycles, reasons = judged.cycles(options.max_shown)
        for name, count, examples in cycles:
            untold = [cycle for cycle in examples if not judged.is_told(cycle)]
            findings += [Finding(judged.anomaly(name, cycle), name) for cycle in untold]
            if len(untold) == len(examples):
                more[name] += count - len(examples)
        calls, leaves = found.calls, list(found.member_of)
        last_end = max((calls[leave].end for leave in leaves if calls[leave].ok), default=-1)
        if any(map(found.possible, leaves)) and not any(calls[look].place > last_end for look in found.looks):
            reasons.append("no read of all pairs succeeded after the last leave: what the database holds is not known")
        if judged.unclear:
            pairs = ", ".join(show(pair) for pair in judged.unclear[:5])
            reasons.append(f"a member of these pairs tried to leave again ({pairs}): each may only once")
        reasons += without_realtime(history, calls, model)
        stats = {
            "pairs": len(found.pairs),
            "left": len(found.left),
            "stayed": len(found.stayed),
            "unknown": sum(calls[leave].outcome == INFO for leave in leaves),
            "failed": sum(calls[leave].outcome == FAIL for leave in leaves),
            "pairs_both_left": sum(
                finding.anomaly.type == SKEW and len(finding.anomaly.cycle) == 2 for finding in findings
            ),
            "final_reads": len(found.looks),
        }
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats, more=more)


class _Judged:
    """What happened for certain, and what follows from it. unclear: pairs of which one of several leaves was seen."""

    def __init__(self, found: PairCalls, timed: bool) -> None:
        self._found, self._timed = found, timed
        self._writers: dict[tuple[Hashable, int], list[int]] = {}
        for key, pair in found.pairs.items():
            for member, leaves in enumerate(pair.leaves):
                self._writers[key, member] = [leave for leave in leaves if found.possible(leave)]
        unclear = {key for (key, _), writers in self._writers.items() if len(writers) > 1}
        unclear |= {found.member_of[stayed][0] for stayed in found.stayed if len(self._seen_by(stayed)) > 1}
        self.unclear = [pair.shown for key, pair in found.pairs.items() if key in unclear]
        self._shown_by = self._observed()
        self._happened = {
            place: [leave for leave in writers if leave in found.left or leave in self._shown_by]
            for place, writers in self._writers.items()
        }
        self._told: set[tuple[int, int]] = set()
        sure = [call.ok or number in self._shown_by for number, call in enumerate(found.calls)]
        self._graph = ExplainedGraph(found.calls, sure, timed)

    def _observed(self) -> dict[int, int]:
        """leave → a call that saw its member off call, where nobody else can have taken it off."""
        found, shown_by = self._found, dict[int, int]()
        for look, off in found.looks.items():
            for key, sides in off.items():
                for member, is_off in enumerate(sides):
                    writers = self._writers.get((key, member), ())
                    if is_off and len(writers) == 1:
                        shown_by.setdefault(writers[0], look)
        for leave in sorted(found.stayed):
            seen = self._seen_by(leave)
            if len(seen) == 1:
                shown_by.setdefault(seen[0], leave)
        return shown_by

    def _seen_by(self, stayed: int) -> list[int]:
        """The leaves of which one at least made another stay."""
        key, _ = self._found.member_of[stayed]
        return [leave for member in (0, 1) for leave in self._writers[key, member]]

    # -- what is told pair by pair

    def singles(self) -> Iterator[Finding]:
        """Somebody seen off call whom nobody can have taken off; of each pair once."""
        told: set[tuple[str, Hashable]] = set()
        for look, off in self._found.looks.items():
            for key, sides in off.items():
                for member, is_off in enumerate(sides):
                    if is_off and not self._writers.get((key, member)):
                        finding = self._nobody_left(look, key, member)
                        if (finding.anomaly.type, key) not in told:
                            told.add((finding.anomaly.type, key))
                            yield finding
        for leave in sorted(self._found.stayed):
            if not self._seen_by(leave):
                yield self._stayed_for_nothing(leave)

    def _nobody_left(self, look: int, key: Hashable, member: int) -> Finding:
        found, name = self._found, NAMES[member]
        pair = found.pairs.get(key)
        leaves = pair.leaves[member] if pair else []
        failed = any(map(found.failed, leaves))
        if failed:
            what = f"{name} is off call, but every attempt to leave failed or stayed"
        elif pair:
            what = f"{name} is off call, but nobody took {name} off"
        else:
            what = "somebody is off call, but nobody tried to leave"
        return self._finding("G1a" if failed else "garbage-read", [look, *leaves], key, what)

    def _stayed_for_nothing(self, leave: int) -> Finding:
        found = self._found
        key, _ = found.member_of[leave]
        failed = [each for side in found.pairs[key].leaves for each in side if found.failed(each)]
        what = f"{found.who(leave)} stayed, so it saw "
        if failed:
            what += f"{found.who(failed[0])} off call, whose leave failed: it read a write that never took effect"
        else:
            what += "somebody off call, but nobody had left"
        return self._finding("G1a" if failed else "garbage-read", [leave, *failed], key, what)

    def skews(self) -> Iterator[Finding]:
        """Both members of a pair left."""
        for key in self._found.pairs:
            ones, others = self._happened[key, 0], self._happened[key, 1]
            if ones and others:
                yield self._skew(
                    key, *(min(side, key=lambda leave: leave not in self._found.left) for side in (ones, others))
                )

    def _skew(self, key: Hashable, first: int, second: int) -> Finding:
        found = self._found
        unsure = [leave for leave in (first, second) if leave not in found.left]
        what = f"{found.who(first)} saw both on call and left; {found.who(second)} too. Nobody is on call."
        if unsure:
            names = " and ".join(NAMES[found.member_of[leave][1]] for leave in unsure)
            proof = self._shown_by[unsure[0]]
            how = "a read" if proof in found.looks else f"what {found.who(proof)} saw"
            by = f" by client {found.calls[proof].process}" if proof in found.looks else ""
            what += f" ({names} was not told so, but {how}{by} shows it.)"
        what += (
            " Run one after the other, in either order, the second would have seen that the first had left, and stayed"
        )
        self._told |= {(first, second), (second, first)}
        skew = self._finding(SKEW, [first, second, *(self._shown_by[leave] for leave in unsure)], key, what)
        cycle = [self._edge(first, second), self._edge(second, first)]
        return Finding(msgspec.structs.replace(skew.anomaly, cycle=cycle), SKEW)

    def _edge(self, reader: int, writer: int) -> Edge:
        calls, (key, member) = self._found.calls, self._found.member_of[writer]
        of = [self._found.pairs[key].shown, member]
        return Edge(calls[reader].record, calls[writer].record, "rw", self._before(reader, writer), of)

    def lost_writes(self) -> Iterator[Finding]:
        """Leaves that were acknowledged before reads began that do not show them: with a read of the same client, or
        the first."""
        found, calls = self._found, self._found.calls
        for leave in sorted(found.left) if self._timed else ():
            key, member = found.member_of[leave]
            missed = [
                look
                for look, off in found.looks.items()
                if calls[leave].end < calls[look].place and not off.get(key, BOTH_ON)[member]
            ]
            if not missed:
                continue
            look = next((each for each in missed if calls[each].process == calls[leave].process), missed[0])
            what = (
                f"{found.who(leave)} left and was told so, but a read that began afterwards (client "
                f"{calls[look].process}) still finds {NAMES[member]} on call: the acknowledged write is missing"
            )
            self._told |= {(each, leave) for each in missed}
            same = calls[look].process == calls[leave].process
            evidence = (STALE, "G-single-item-process") if same else (STALE,)
            yield Finding(self._finding(LOST, [look, leave], key, what).anomaly, evidence)

    def lost_updates(self) -> Iterator[Finding]:
        """Members that left twice: each time it was seen on call."""
        found = self._found
        for key, pair in found.pairs.items():
            for leaves in pair.leaves:
                twice = [leave for leave in leaves if leave in found.left]
                if len(twice) > 1:
                    who = " and ".join(found.who(leave) for leave in twice)
                    what = f"{who} both saw both on call and left: the second did not see what the first had written"
                    yield self._finding("lost-update", twice, key, what)

    def _finding(self, kind: str, calls: list[int], key: Hashable, what: str) -> Finding:
        shown = self._found.pairs[key].shown if key in self._found.pairs else key
        return Finding(
            Anomaly(
                type=kind,
                ops=sorted({self._found.calls[call].record for call in calls}),
                sentence=f"Pair {show(shown)}: {what}.",
                key=shown,
                sub_history=sorted({record for call in calls for record in self._found.calls[call].records}),
            ),
            kind,
        )

    # -- circles

    def cycles(self, limit: int) -> tuple[list[tuple[str, int, list[Cycle]]], list[str]]:
        """Circles of dependencies, by name (see ExplainedGraph.cycles).

        Where nobody missed anything and nobody saw what had not begun, time itself is an order: there are none.
        """
        calls, missed, saw = self._found.calls, list(self._missing()), list(self._seeing())
        if not missed and all(calls[writer].place < calls[reader].end for reader, writer in saw):
            return [], []
        for reader, writer in missed:
            self._missed(reader, writer)
        for reader, writer in saw:
            self._saw(reader, writer)
        return self._graph.cycles(limit)

    def _missing(self) -> Iterator[tuple[int, int]]:
        """(call, leave that it did not see)."""
        found = self._found
        for key in found.pairs:
            happened = [*self._happened[key, 0], *self._happened[key, 1]]
            if len(happened) > 1:
                yield from itertools.permutations(happened, 2)
        for look, off in found.looks.items():
            for (key, member), leaves in self._happened.items():
                if leaves and not off.get(key, BOTH_ON)[member]:
                    yield from ((look, leave) for leave in leaves)

    def _seeing(self) -> Iterator[tuple[int, int]]:
        """(call, leave that it saw): where that is certain."""
        found = self._found
        for stayed in found.stayed:
            seen = self._seen_by(stayed)
            if len(seen) == 1:
                yield stayed, seen[0]
        for look, off in found.looks.items():
            for key, sides in off.items():
                for member, is_off in enumerate(sides):
                    writers = self._writers.get((key, member), ())
                    if is_off and len(writers) == 1:
                        yield look, writers[0]

    def _missed(self, reader: int, writer: int) -> None:
        key, _ = self._found.member_of[writer]
        self._graph.add(reader, writer, RW, partial(self._before, reader, writer), key)

    def _saw(self, reader: int, writer: int) -> None:
        key, _ = self._found.member_of[writer]
        self._graph.add(writer, reader, WR, partial(self._after, reader, writer), key)

    def _before(self, reader: int, writer: int) -> str:
        name = NAMES[self._found.member_of[writer][1]]
        if reader in self._found.looks:
            return (
                f"op {self._found.calls[reader].record} found {name} on call, whom op {self._record(writer)} took off"
            )
        mine = NAMES[self._found.member_of[reader][1]]
        return f"{mine}'s transaction read {name} as on call, {name}'s took {name} off: so {mine}'s came first"

    def _after(self, reader: int, writer: int) -> str:
        name = NAMES[self._found.member_of[writer][1]]
        return f"op {self._record(reader)} saw {name} off call, whom op {self._record(writer)} had taken off"

    def _record(self, call: int) -> int:
        return self._found.calls[call].record

    def is_told(self, cycle: Cycle) -> bool:
        """Whether a circle of two is a skew or a lost write that has been told."""
        if len(cycle) != 2 or RW not in (cycle[0].kind, cycle[1].kind):
            return False
        first = cycle[0] if cycle[0].kind == RW else cycle[1]
        return (first.source, first.target) in self._told and self._says_all(cycle)

    def _says_all(self, cycle: Cycle) -> bool:
        """A lost write says as much as the circle; two leaves that are ordered by time are worse than a skew."""
        both_rw = cycle[0].kind == cycle[1].kind == RW
        return both_rw or any(step.source in self._found.looks for step in cycle)

    def anomaly(self, name: str, cycle: Cycle) -> Anomaly:
        """A circle, with the calls that prove that its leaves of unknown outcome happened."""
        shown = self._graph.anomaly(name, cycle, self._sentence)
        proofs = [self._shown_by[step.source] for step in cycle if not self._found.calls[step.source].ok]
        records = {*shown.sub_history, *(record for proof in proofs for record in self._found.calls[proof].records)}
        key = None if shown.key is None else self._found.pairs[shown.key].shown
        return msgspec.structs.replace(shown, key=key, sub_history=sorted(records))

    def _sentence(self, name: str, cycle: Cycle, edges: list[Edge]) -> str:
        pairs = {edge.key: self._found.pairs[edge.key].shown for edge in edges if edge.kind in ("rw", "wr")}
        named = f"Pair{'s' * (len(pairs) > 1)} {', '.join(show(pair) for pair in pairs.values())}: "
        ops = ", ".join(str(edge.source) for edge in edges)
        return f"{named}ops {ops} contradict each other: {'; '.join(edge.why for edge in edges)}."
