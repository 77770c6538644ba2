"""Convergence: after the last heal, do all nodes come to agree, and how long did it take?

For a database whose replicas may lag or diverge, goes beside any workload whose final reads ask every node the same
(`checkers.replicas.observations` has the shapes). Looked at are the reads that began when every acknowledged write had
returned: nothing that was acknowledged changes the data any more, so replicas that work have to end up equal. Where
there are reads of each node's own copy (`local-read`), those count, else all reads.

- Agreed: for everything that was asked on more than one node, each node's last answer is the same. Told is how long
  after the last heal and write every node had been seen to agree, and when a disagreement was last seen.
- `diverged-replicas`: two nodes' last answers differ, and among those that each kept giving to the end are two, one
  after the other, that no write of unknown outcome explains, later than replicas may take (`PATIENCE_S`): counted from
  the heal and the last write for what was acknowledged, from when it was seen for what a late write may have brought.
- Unknown otherwise: not every node was asked, or the last answers that differ came too soon.

A list or set differs by elements, a list also by their order; a write of unknown outcome explains an element that only
the later answer has, and for a while one that only the earlier has; a register's later value, if it may have put it
there.

Source: eventual consistency, Terry et al., "Managing Update Conflicts in Bayou", SOSP 1995; Vogels, "Eventually
Consistent", 2009. Cost: O(reads + writes + size of the answers).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from checkers.client_calls import NEVER
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.replicas.durability import last_heal
from checkers.replicas.observations import Observations, Put, Seen, observations_of
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Verdict

PATIENCE_S = 20.0
"""How long replicas may take: healthy ones catch up in well under a second, reconnects back off for a few, and a
database may look for nodes to mend every ten (measured: Redis' Sentinels take 12 s to turn an old primary around)."""
DIVERGED = "diverged-replicas"


class Convergence:
    """See the module's docstring. patience_s: how long replicas may take."""

    name = "convergence"
    judges_local_reads = True
    """The other checkers are given the record without them."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Compare the nodes' last answers. Raises HistoryError for a malformed fault record."""
        seen = observations_of(history)
        nodes = sorted({call.node for call in seen.calls if call.node is not None})
        model = options.model or "strict-serializable"
        if len(nodes) < 2:
            reasons = [] if nodes or not seen.calls else ["the record does not say which node answered what"]
            return verdict_of(self.name, [], options, model=model, undecided=reasons, stats={"nodes": len(nodes)})
        quiet = seen.quiet
        healed_ns = _healed_ns(history, seen)
        answers: dict[Hashable, list[Seen]] = defaultdict(list)
        for read in seen.local or seen.reads:
            if read.call.place > quiet and read.call.node is not None:
                answers[read.key].append(read)
        puts: dict[Hashable, list[Put]] = defaultdict(list)
        for put in seen.puts:
            puts[put.key].append(put)
        patience_ns = round(self.patience_s * 1e9)
        patient_ns = healed_ns + patience_ns
        judged = [_Question(key, reads, puts[key], patient_ns, patience_ns) for key, reads in answers.items()]
        compared = [each for each in judged if len(each.last) > 1]
        findings: list[Finding] = []
        reasons = []
        for each in compared:
            pair = each.disagreement()
            if pair is None:
                continue
            one, other = pair.reads
            after_s = (one.call.begin_ns - healed_ns) / 1e9
            if pair.proven:
                findings.append(_diverged(each, pair, after_s))
            elif min(read.call.begin_ns for read in pair.reads) < patient_ns:
                reasons.append(
                    f"{each.title}: nodes {one.call.node} and {other.call.node} still differed {after_s:.1f} s "
                    f"after the last heal and write; {self.patience_s:g} s are allowed, and nobody asked later"
                )
            else:
                reasons.append(
                    f"{each.title}: the nodes' last answers differ; a write of unknown outcome may have come between"
                )
        asked = set().union(*(each.last for each in judged)) if judged else set()
        if not compared or set(nodes) - asked:
            missing = ", ".join(node for node in nodes if node not in asked) or "no two nodes for the same thing"
            reasons.append(f"final reads of every node are needed; asked after the last write were not: {missing}")
        agreed = [each.agreed_ns() for each in compared]
        known = [when for when, _ in agreed if when is not None]
        disagreed = [when for _, when in agreed if when is not None]
        stats: dict[str, Any] = {
            "nodes": len(nodes),
            "compared": len(compared),
            "diverged": len(findings),
            "final_reads": sum(len(each.reads) for each in judged),
        }
        if compared and len(known) == len(compared):
            stats["agreed_within_s"] = _seconds(max(known) - healed_ns)
        if disagreed:
            stats["disagreed_until_s"] = _seconds(max(disagreed) - healed_ns)
        return verdict_of(self.name, findings, options, model=model, undecided=reasons[:8], stats=stats)


@dataclass(frozen=True)
class _Pair:
    """Answers of two nodes that differ, the earlier first. proven: whether both can't be of one copy of the data."""

    reads: tuple[Seen, Seen]
    proven: bool


class _Question:
    """All answers to one question after the last acknowledged write. last: node → its last answer. puts: of its key.

    patient_ns: from when on nodes should agree; patience_ns: how long they may take.
    """

    def __init__(self, key: Hashable, reads: list[Seen], puts: list[Put], patient_ns: int, patience_ns: int) -> None:
        self.key, self.reads = key, reads
        self.last: dict[str, Seen] = {}
        self._patient_ns, self._patience_ns = patient_ns, patience_ns
        self._may_come = {put.value for put in puts if put.call.end == NEVER}
        self._of_node: dict[str, list[Seen]] = defaultdict(list)
        for read in sorted(reads, key=lambda read: read.call.end):
            self.last[str(read.call.node)] = read
            self._of_node[str(read.call.node)].append(read)

    @property
    def title(self) -> str:
        return "The data" if self.key is None else f"Key {show(self.key)}"

    def disagreement(self) -> _Pair | None:
        """Two nodes whose last answers differ, with the proof where there is one; None where all agree."""
        reads = sorted(self.last.values(), key=lambda read: read.call.end)
        pairs = [pair for pair in itertools.combinations(reads, 2) if _content(pair[0]) != _content(pair[1])]
        for one, other in pairs:
            proof = self._proof(self._steady(one), self._steady(other))
            if proof is not None:
                return _Pair(proof, True)
        return _Pair(pairs[0], False) if pairs else None

    def _steady(self, last: Seen) -> list[Seen]:
        """The node's reads back from its last, as long as they say the same."""
        own = reversed(self._of_node[str(last.call.node)])
        return list(itertools.takewhile(lambda read: _content(read) == _content(last), own))[::-1]

    def _proof(self, mine: list[Seen], its: list[Seen]) -> tuple[Seen, Seen] | None:
        """A read of each, one after the other, the later one's answer not explained by what came too late."""
        by_themselves = ((earlier, earlier, later) for earlier, _, later in _in_turn(mine, its))
        for earlier, repeated, later in itertools.chain(by_themselves, _in_turn(mine, its)):
            if self._contradicts(earlier, repeated, later):
                return earlier, later
        one, other = mine[-1], its[-1]
        return (one, other) if self._contradict_at_once(one, other) else None

    def _contradicts(self, earlier: Seen, repeated: Seen, later: Seen) -> bool:
        """Whether replicas that work can't have answered so, the later read having begun after the earlier returned.

        repeated: the same answer of the same node, then or afterwards.

        What was acknowledged is everywhere from `patient_ns` on; what a late write brought, as long after it was seen.
        """
        settled = repeated.call.begin_ns >= self._patient_ns
        seen_ns = max(self._patient_ns, earlier.call.end_ns + self._patience_ns)
        if earlier.elements is None or later.elements is None:
            late = later.elements is None and later.value in self._may_come
            enough_ns = seen_ns if self._has_late(earlier) else self._patient_ns
            return settled and not late and later.call.begin_ns >= enough_ns
        mine, its = set(earlier.elements), set(later.elements)
        gone = mine - its
        return (
            (settled and (bool(its - mine - self._may_come) or self._reordered(earlier, later)))
            or (later.call.begin_ns >= self._patient_ns and bool(gone - self._may_come))
            or (later.call.begin_ns >= seen_ns and bool(gone))
        )

    def _contradict_at_once(self, one: Seen, other: Seen) -> bool:
        """The same for reads that overlap, in whatever order they were: by what was acknowledged alone."""
        if min(one.call.begin_ns, other.call.begin_ns) < self._patient_ns:
            return False
        if one.elements is None or other.elements is None:
            return not self._has_late(one) and not self._has_late(other)
        different = set(one.elements) ^ set(other.elements)
        return bool(different - self._may_come) or self._reordered(one, other)

    def _reordered(self, one: Seen, other: Seen) -> bool:
        """Whether two lists have what was acknowledged, and both hold, in different orders."""
        if not (one.ordered and other.ordered):
            return False
        both = (set(one.elements or ()) & set(other.elements or ())) - self._may_come
        mine, its = ([each for each in read.elements or () if each in both] for read in (one, other))
        return mine != its

    def _has_late(self, read: Seen) -> bool:
        """Whether what it saw may have been written late."""
        values = (read.value,) if read.elements is None else read.elements
        return not self._may_come.isdisjoint(values)

    def agreed_ns(self) -> tuple[int | None, int | None]:
        """(when every node had been seen to agree for good, when one was last seen not to); None for never."""
        final = {_content(read) for read in self.last.values()}
        if len(final) > 1:
            return None, max(read.call.end_ns for read in self.reads)
        different = [read for read in self.reads if _content(read) not in final]
        until = max((read.call.end for read in different), default=-1)
        first: dict[str, int] = {}
        for read in sorted(self.reads, key=lambda read: read.call.end):
            if read.call.end > until and _content(read) in final:
                first.setdefault(str(read.call.node), read.call.end_ns)
        return max(first.values()), max((read.call.end_ns for read in different), default=None)


def _in_turn(mine: list[Seen], its: list[Seen]) -> Iterator[tuple[Seen, Seen, Seen]]:
    """(a read of one node, its last one, a read of the other that began after the first had returned)."""
    for first, second in ((mine, its), (its, mine)):
        for earlier, later in itertools.product(first, second):
            if later.call.place > earlier.call.end:
                yield earlier, first[-1], later


def _content(read: Seen) -> Hashable:
    """What was seen; the order of a set's elements is of no account."""
    if read.elements is None:
        return read.value
    return read.elements if read.ordered else frozenset(read.elements)


def _healed_ns(history: History, seen: Observations) -> int:
    """When the last heal was confirmed and the last acknowledged write had returned; the end, for what never healed."""
    heal = last_heal(history, history.windows())
    writes = [put.call.end_ns for put in seen.puts if put.call.end != NEVER]
    return max([0, *([int(history.time_ns[heal])] if heal >= 0 else []), *writes])


def _diverged(each: _Question, pair: _Pair, after_s: float) -> Finding:
    one, other = pair.reads
    sentence = (
        f"{each.title}: {after_s:.1f} s after the last heal and the last write, node {one.call.node} answered "
        f"{_shown(one)} (op {one.call.record}) and node {other.call.node} {_shown(other)} (op {other.call.record}). "
        "The nodes hold different data, and nothing is under way that would change that."
    )
    records = sorted({*one.call.records, *other.call.records})
    ops = sorted({one.call.record, other.call.record})
    return Finding(Anomaly(DIVERGED, ops, sentence, key=each.key, sub_history=records), ALWAYS)


def _shown(read: Seen) -> str:
    return show(read.value) if read.elements is None else show(("list", *read.elements), 40)


def _seconds(time_ns: int) -> float:
    return round(max(0, time_ns) / 1e9, 3)
