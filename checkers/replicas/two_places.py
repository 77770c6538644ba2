"""Two places that must hold the same in the end: the halves of batches, a table and its view.

    write  x       → ok x
    read   null    → ok [[x, ...], [x, ...]]     what is in the one place, what in the other

An item is something that both places show when all is well: a batch's number, a row with its value. While clients
write, one place may be ahead. Final are the reads that began `settle` seconds (the workload's option) after the last
heal and the last completion of a write, of whatever outcome. No final read on some node that clients talked to:
unknown.

    torn-batch      a batch that some final read shows in one place, and none in the other
    diverged-view   a row and value that every final read shows in the same one of base and view, and not in the other
    not-durable     (batches) an acknowledged item that no final read shows in either place

A batch that is first seen torn by the last reads may be just on its way: unknown, unless each node was asked again
afterwards. These anomalies count under every model. A half that only some reads lack is late, or missing on a replica,
which is for others to tell. Source: Cassandra's own words on logged batches and materialized views. Cost: O(ops + items
in the final reads).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from checkers.client_calls import ClientCall, calls_of, parts_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.replicas.durability import last_heal
from checkers.values import freeze, show, thaw
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.verdict import Anomaly, Verdict

SETTLE_S = 20
"""How long after the last write a read is final, where the history does not say."""
LOST = "not-durable"


@dataclass(frozen=True)
class Final:
    """A final read: the items that it shows in the one place, and in the other."""

    call: ClientCall
    one: frozenset[Hashable]
    other: frozenset[Hashable]


class TwoPlaces:
    """See the module's docstring. torn: the anomaly; places: what the two are called.

    grows: nothing is ever removed or replaced, so that what one read shows is there for good.
    """

    name: str
    torn: ClassVar[str]
    noun: ClassVar[str]
    places: ClassVar[tuple[str, str]]
    grows: ClassVar[bool]

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Compare the final reads. Raises HistoryError for a read that is not of two lists."""
        settle_s = float(options.workload.get("settle", SETTLE_S))
        calls = calls_of(history, ("write", "read"))
        writes, reads = [call for call in calls if call.f == "write"], [call for call in calls if call.f == "read"]
        quiet_ns = max([_last_heal_ns(history), *(call.end_ns or call.begin_ns for call in writes)])
        final = [_final(call) for call in reads if call.ok and call.begin_ns >= quiet_ns + settle_s * 1e9]
        nodes = {call.node for call in calls} - {None}
        unread = sorted(str(node) for node in nodes - {read.call.node for read in final})
        undecided = _undecided(len(final), unread, settle_s, history) if writes else []
        findings: list[Finding] = []
        if final and not undecided:
            torn, early = (self._torn_batches if self.grows else self._torn_rows)(final)
            findings += [self._torn(final, item, place) for item, place in torn]
            if early:
                undecided = [f"{self.noun} {show(early[0])} was seen in one place only, by the last reads of some node"]
            if self.grows:
                there: frozenset[Hashable] = frozenset().union(*(read.one | read.other for read in final))
                findings += [
                    self._lost(call, final)
                    for call in writes
                    if call.ok and freeze(call.argument, call.index) not in there
                ]
        return verdict_of(
            self.name,
            findings,
            options,
            model=options.model or "read-uncommitted",
            undecided=undecided,
            stats={
                "written": sum(call.ok for call in writes),
                "written_perhaps": sum(not call.ok for call in writes),
                "reads": sum(call.ok for call in reads),
                "final_reads": len(final),
                "items_at_the_end": len(final[-1].one & final[-1].other) if final else 0,
            },
        )

    def _torn_batches(self, final: Sequence[Final]) -> tuple[list[tuple[Hashable, int]], list[Hashable]]:
        """([(item, the place that shows it)], items seen too late to tell)."""
        one: frozenset[Hashable] = frozenset().union(*(read.one for read in final))
        other: frozenset[Hashable] = frozenset().union(*(read.other for read in final))
        last_ns = min(_last_begins(final).values())
        torn, early = [], []
        for item in sorted(one ^ other, key=repr):
            place = 0 if item in one else 1
            seen_ns = min(read.call.end_ns for read in final if item in (read.one, read.other)[place])
            if seen_ns <= last_ns:
                torn.append((item, place))
            else:
                early.append(item)
        return torn, early

    def _torn_rows(self, final: Sequence[Final]) -> tuple[list[tuple[Hashable, int]], list[Hashable]]:
        only_one = frozenset.intersection(*(read.one - read.other for read in final))
        only_other = frozenset.intersection(*(read.other - read.one for read in final))
        return [
            (item, place) for place, items in enumerate((only_one, only_other)) for item in sorted(items, key=repr)
        ], []

    def _torn(self, final: Sequence[Final], item: Hashable, place: int) -> Finding:
        here, there = self.places[place], self.places[1 - place]
        read = next(read.call for read in final if item in (read.one, read.other)[place])
        sentence = (
            f"{self.noun.capitalize()} {show(item)} is in {here} (op {read.record}), and none of the {len(final)} "
            f"reads that began after everything had settled, on every node, shows it in {there}."
        )
        records = sorted({*read.records, *_of_each_node(final)})
        return Finding(Anomaly(self.torn, [read.record], sentence, key=thaw(item), sub_history=records), ALWAYS)

    def _lost(self, write: ClientCall, final: Sequence[Final]) -> Finding:
        sentence = (
            f"Client {write.process} was told that {self.noun} {show(write.argument)} is written ({write.moment}), and "
            f"none of the {len(final)} reads that began after everything had settled, on every node, shows any of it."
        )
        ops = sorted({*write.records, final[0].call.record})
        records = sorted({*write.records, *_of_each_node(final)})
        return Finding(Anomaly(LOST, ops, sentence, key=write.argument, sub_history=records), ALWAYS)


class AtomicBatches(TwoPlaces):
    """Both rows of a batch are there in the end, or neither."""

    name = "atomic-batches"
    torn, noun, grows = "torn-batch", "batch", True
    places = ("the first place", "the second place")


class ViewInStep(TwoPlaces):
    """In the end a view holds what its base holds."""

    name = "view-in-step"
    torn, noun, grows = "diverged-view", "row", False
    places = ("the base", "the view")


def _undecided(finals: int, unread: list[str], settle_s: float, history: History) -> list[str]:
    if not history.has_invocations:
        return ["the history holds no invocation: which reads are final is not known"]
    never = next((window for window in history.windows() if not window.healed), None)
    if never is not None:
        return [f"fault {never.fault.kind} {never.fault.id} was never healed: no read is final"]
    if not finals:
        return [f"no read succeeded that began {settle_s:g} s after the last heal and the last write"]
    return [f"no final read succeeded on {', '.join(unread)}"] if unread else []


def _last_heal_ns(history: History) -> int:
    place = last_heal(history, history.windows())
    return max(0, int(history.time_ns[place])) if place >= 0 else 0


def _last_begins(final: Sequence[Final]) -> dict[str | None, int]:
    """When the last read of each node began."""
    begins: dict[str | None, int] = {}
    for read in final:
        begins[read.call.node] = max(begins.get(read.call.node, 0), read.call.begin_ns)
    return begins


def _of_each_node(final: Sequence[Final]) -> list[int]:
    """The records of the last read of each node."""
    last = {read.call.node: read.call for read in sorted(final, key=lambda read: read.call.begin_ns)}
    return [record for call in last.values() for record in call.records]


def _final(call: ClientCall) -> Final:
    parts = parts_of(call.result, call.record, "two lists")
    if len(parts) != 2:
        raise HistoryError(f"index {call.record}: expected two lists, got {show(call.result)}")
    one, other = (
        frozenset(freeze(item, call.record) for item in parts_of(part, call.record, "a list")) for part in parts
    )
    return Final(call, one, other)
