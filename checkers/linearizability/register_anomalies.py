"""What kind of violation a register shows, where that can be proven from a few operations.

That a history is not linearizable says little; these names say what went wrong. Each is claimed only if the operations
named can't be explained by any order, whatever else happened:

- `garbage-read`, `G1a`, `future-read`: a read of a value that nobody wrote, that only a failed op wrote, or that was
  written only after the read had returned.
- `stale-read`: a read of v, although every op that could have written v had returned before another op began that had
  found or made the register different, and that had returned before the read began.
  (Not where the write that replaced v is proven to be lost.)
- `lost-write`: a write that is proven to be gone; see `checkers.linearizability.register_lost_writes`.
- `lost-update`: more compare-and-sets succeeded from a value than it was ever put there; or one succeeded from a
  value that an acknowledged write or compare-and-set had replaced before it began. (Where only a read says that it had
  been replaced, that read may be the stale one: no name then.)

Source: the field's common names; the zones of Gibbons and Korach (1997) are the general form of the second.
Cost: O(n log n).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from checkers.linearizability.linearizable_calls import Call, Calls
from checkers.linearizability.linearizable_model import NEVER, State
from checkers.linearizability.register_lost_writes import LostWrites
from checkers.values import show
from harness.history import FAIL, OK

_ALWAYS_DIFFERENT = object()


@dataclass(frozen=True)
class Named:
    """A proven violation of one register. calls: those that prove it.

    needs_realtime: the proof needs the order in which ops of different clients returned and began. replacement: of a
    stale read, the call that shows the newer value.
    """

    type: str
    calls: tuple[Call, ...]
    sentence: str
    needs_realtime: bool = False
    replacement: Call | None = None


def find(register: Calls, initial: State) -> Iterator[Named]:
    """Every violation that has a name, in the order of the types above."""
    facts = _Facts(register, initial)
    lost: list[Named] = []
    explained: set[int] = set()
    if any(len(writers) == 1 for writers in facts.writers.values()):
        lost_writes = LostWrites(register, initial)
        lost = [Named("lost-write", each.calls, each.sentence, needs_realtime=True) for each in lost_writes.find()]
        explained = {call.place for call in lost_writes.explained}
    for call in register.calls:
        if call.outcome == OK and _value_seen(call) is not None:
            for named in facts.judge(call):
                if named.type != "stale-read" or call.place not in explained:
                    yield named
    yield from lost
    yield from facts.updates_lost_together()


def find_among(register: Calls, initial: State, wrong: Container[int]) -> Iterator[Named]:
    """The same of some calls of a register that has neither lost writes nor updates lost together.

    wrong: the places of those that may be wrong. The others are what proves it; see `register_suspects`.
    """
    facts = _Facts(register, initial)
    for call in register.calls:
        if call.place in wrong:
            yield from facts.judge(call)


def _value_seen(call: Call) -> tuple[Any] | None:
    """(value,) that the call found in the register, None for a write."""
    action: Any = call.action
    return None if action[0] == "write" else (action[1],)


def _value_put(call: Call) -> tuple[Any] | None:
    """(value,) that the call put into the register, None for a read."""
    action: Any = call.action
    return None if action[0] == "read" else (action[-1],)


class _Witnesses:
    """Finished calls, to be asked: which one, returned before a place, began last and was not all about one value?"""

    def __init__(self, calls: Sequence[Call]) -> None:
        finished = sorted(calls, key=lambda call: call.end)
        self._ends = [call.end for call in finished]
        self._best: list[tuple[Call, Call | None]] = []
        """The call that began last so far, and the one that began last of those about another value than that."""
        first: Call | None = None
        second: Call | None = None
        for call in finished:
            if first is None:
                first = call
            elif _about(call) is _ALWAYS_DIFFERENT or _about(call) != _about(first):
                if call.place > first.place:
                    first, second = call, first
                elif second is None or call.place > second.place:
                    second = call
            elif call.place > first.place:
                first = call
            self._best.append((first, second))

    def latest(self, before: int, value: Any) -> Call | None:
        """The call that returned before the place, began last, and shows the register without `value`."""
        place = bisect_left(self._ends, before) - 1
        if place < 0:
            return None
        first, second = self._best[place]
        if _about(first) is _ALWAYS_DIFFERENT or _about(first) != value:
            return first
        return second


def _about(call: Call) -> Any:
    """The only value that the register is known to have had during the call; a cas shows two."""
    action: Any = call.action
    return _ALWAYS_DIFFERENT if action[0] == "cas" else action[1]


def _began(call: Call) -> int:
    return call.place


def _returned(call: Call) -> int:
    return call.returned


class _Facts:
    """What is known of one register's values."""

    def __init__(self, register: Calls, initial: State) -> None:
        self.register = register
        self.initial = initial
        self.writers: dict[Any, list[Call]] = {}
        self.failed_writers: dict[Any, list[Call]] = {}
        for call in register.calls:
            put = _value_put(call)
            if put is not None:
                table = self.failed_writers if call.outcome == FAIL else self.writers
                table.setdefault(put[0], []).append(call)
        self._last: dict[Any, list[Call]] = {}
        done = [call for call in register.calls if call.outcome == OK]
        self.witnesses = _Witnesses(done)

    def judge(self, call: Call) -> Iterator[Named]:
        """What is wrong with the value that a read or a cas found."""
        action: Any = call.action
        value = action[1]
        title = self.register.title
        did = "read" if action[0] == "read" else f"found (and changed to {show(action[2])})"
        writers = self.writers.get(value, [])
        if not writers and value != self.initial:
            failed = self.failed_writers.get(value)
            if failed:
                sentence = (
                    f"{title}: client {call.process} {did} {show(value)}, which only an op that had failed wrote "
                    f"(client {failed[0].process}): a failed op must leave no trace."
                )
                yield Named("G1a", (failed[0], call), sentence)
            else:
                sentence = f"{title}: client {call.process} {did} {show(value)}, a value that nobody ever wrote."
                yield Named("garbage-read", (call,), sentence)
            return
        earlier = bisect_left(writers, call.end, key=_began)
        if not earlier and value != self.initial:
            sentence = (
                f"{title}: client {call.process} {did} {show(value)} before anybody had begun to write it "
                f"(client {writers[0].process} did so later)."
            )
            yield Named("future-read", (call, writers[0]), sentence)
            return
        writer = self._last_writers(value)[earlier - 1] if earlier else None
        last = writer.returned if writer else -1
        if last == NEVER:
            return
        witness = self.witnesses.latest(call.place, value)
        if witness is None or witness.place <= last:
            return
        if action[0] == "cas" and witness.action[0] == "read":  # type: ignore[index]
            return
        yield self._overtaken(call, witness, value, [writer] if writer else [])

    def _last_writers(self, value: Any) -> list[Call]:
        """For each writer of the value, by when they began, the one among it and those before that returned last."""
        last = self._last.get(value)
        if last is None:
            last = self._last[value] = []
            for writer in self.writers[value]:
                last.append(max(last[-1], writer, key=_returned) if last else writer)
        return last

    def _overtaken(self, call: Call, witness: Call, value: Any, writers: list[Call]) -> Named:
        """A value that had been replaced before the call began."""
        title = self.register.title
        action: Any = witness.action
        what = {"read": "had read", "write": "had written", "cas": f"had changed {show(action[1])} to"}[action[0]]
        since = f"{show(value)} had been written before that" if writers else f"{show(value)} was there at the start"
        before = (
            f"Client {witness.process} {what} {show(action[-1])} and had its answer before this began, and {since}."
        )
        calls = (*writers, witness, call)
        mine: Any = call.action
        if mine[0] == "cas":
            sentence = (
                f"{title}: client {call.process} changed {show(mine[1])} to {show(mine[2])} and was told that it "
                f"worked, but {show(mine[1])} had been replaced by then: an update that it had not seen was "
                f"overwritten. {before}"
            )
            return Named("lost-update", calls, sentence, needs_realtime=True)
        sentence = f"{title}: client {call.process} read {show(value)}, which was out of date. {before}"
        return Named("stale-read", calls, sentence, needs_realtime=True, replacement=witness)

    def updates_lost_together(self) -> Iterator[Named]:
        """More compare-and-sets from a value than times that it was put there."""
        successful: dict[Any, list[Call]] = {}
        for call in self.register.calls:
            action: Any = call.action
            if action[0] == "cas" and call.outcome == OK:
                successful.setdefault(action[1], []).append(call)
        for value, calls in successful.items():
            put = self.writers.get(value, [])
            times = len(put) + (value == self.initial)
            if len(calls) <= times or not times:
                continue
            last = max(call.end for call in calls)
            who = ", ".join(f"client {call.process} to {show(call.action[2])}" for call in calls[:4])  # type: ignore[index]
            often = "once" if times == 1 else f"{times} times"
            sentence = (
                f"{self.register.title}: {len(calls)} compare-and-sets from {show(value)} all reported success "
                f"({who}), but {show(value)} was put there only {often}, and each that succeeds takes it away. One "
                "overwrote another's update without having seen it."
            )
            yield Named("lost-update", (*(each for each in put if each.place < last), *calls), sentence)
