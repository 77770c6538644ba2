"""Convergence: after the last heal, do all nodes come to agree, and how long did it take?

For a database whose replicas may lag or diverge, goes beside any workload whose final reads ask every node the same
(`checkers.replicas.observations` has the shapes). Looked at are the reads that began when every acknowledged write had
returned: nothing that was acknowledged changes the data any more, so replicas that work have to end up equal.

- Agreed: for everything that was asked on more than one node, each node's last answer is the same. Told is how long
  after the last heal and write every node had been seen to agree, and when a disagreement was last seen.
- `diverged-replicas`: two nodes' last answers differ, at least `PATIENCE_S` after the heal and the last write, and no
  write of unknown outcome can have come between the two reads.
- Unknown otherwise: not every node was asked, or the last answers that differ came too soon.

A list or set differs by elements; the difference is explained by writes of unknown outcome if the later answer only has
elements more that such writes may have added; a register's later value, if such a write may have put it there.

Source: eventual consistency, Terry et al., "Managing Update Conflicts in Bayou", SOSP 1995; Vogels, "Eventually
Consistent", 2009. Cost: O(reads + writes + size of the answers).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any

from checkers.client_calls import NEVER
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.replicas.observations import Observations, Put, Seen, observations_of
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Verdict

PATIENCE_S = 10.0
"""How long replicas may take: healthy ones catch up in well under a second, reconnects back off for a few."""
DIVERGED = "diverged-replicas"


class Convergence:
    """See the module's docstring. patience_s: how long replicas may take."""

    name = "convergence"

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
        for read in seen.reads:
            if read.call.place > quiet and read.call.node is not None:
                answers[read.key].append(read)
        late = _late_writes(seen)
        judged = [_Question(key, reads, nodes, late.get(key, ())) for key, reads in answers.items()]
        compared = [each for each in judged if len(each.last) > 1]
        findings: list[Finding] = []
        reasons = []
        for each in compared:
            pair = each.disagreement()
            if pair is None:
                continue
            after_s = (min(read.call.begin_ns for read in pair) - healed_ns) / 1e9
            if after_s < self.patience_s:
                reasons.append(
                    f"{each.title}: nodes {pair[0].call.node} and {pair[1].call.node} still differed {after_s:.1f} s "
                    f"after the last heal and write; {self.patience_s:g} s are allowed, and nobody asked later"
                )
            else:
                findings.append(_diverged(each, pair, after_s))
        asked = set().union(*(each.last for each in judged)) if judged else set()
        if not compared or set(nodes) - asked:
            missing = ", ".join(node for node in nodes if node not in asked) or "no two nodes for the same thing"
            reasons.append(f"final reads of every node are needed; asked after the last write were not: {missing}")
        open_ = [each for each in compared if each.explained]
        if open_:
            reasons.append(
                f"{open_[0].title}: the nodes' last answers differ; a write of unknown outcome may have come between"
            )
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


class _Question:
    """All answers to one question after the last acknowledged write. last: node → its last answer."""

    def __init__(self, key: Hashable, reads: list[Seen], nodes: list[str], late: Any) -> None:
        self.key, self.reads, self.late = key, reads, late
        self.last: dict[str, Seen] = {}
        self.explained = False
        for read in sorted(reads, key=lambda read: read.call.end):
            self.last[str(read.call.node)] = read

    @property
    def title(self) -> str:
        return "The data" if self.key is None else f"Key {show(self.key)}"

    def disagreement(self) -> tuple[Seen, Seen] | None:
        """Two nodes whose last answers can't both be right, the earlier read first."""
        reads = sorted(self.last.values(), key=lambda read: read.call.end)
        for place, one in enumerate(reads):
            for other in reads[place + 1 :]:
                if _content(one) == _content(other):
                    continue
                overlapping = other.call.place < one.call.end
                if self._explains(one, other) or (overlapping and self._explains(other, one)):
                    self.explained = True
                else:
                    return one, other
        return None

    def _explains(self, earlier: Seen, later: Seen) -> bool:
        """Whether writes of unknown outcome can have made the later answer out of the earlier one."""
        may_add = {put.value for put in self.late}
        if earlier.elements is None or later.elements is None:
            return later.elements is None and later.value in may_add
        there = set(earlier.elements)
        return there <= set(later.elements) and set(later.elements) - there <= may_add

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


def _content(read: Seen) -> Hashable:
    """What was seen; the order of a set's elements is of no account."""
    if read.elements is None:
        return read.value
    return read.elements if read.ordered else frozenset(read.elements)


def _late_writes(seen: Observations) -> dict[Hashable, list[Put]]:
    late: dict[Hashable, list[Put]] = {}
    for put in seen.puts:
        if put.call.end == NEVER:
            late.setdefault(put.key, []).append(put)
    return late


def _healed_ns(history: History, seen: Observations) -> int:
    """When the last heal was confirmed and the last acknowledged write had returned."""
    heals = [window.end_ns for window in history.windows() if window.healed]
    writes = [put.call.end_ns for put in seen.puts if put.call.end != NEVER]
    return max([0, *heals, *writes])


def _diverged(each: _Question, pair: tuple[Seen, Seen], after_s: float) -> Finding:
    one, other = pair
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
