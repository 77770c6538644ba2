"""Writes to a register that are proven to be gone: the value went back to an older one and stayed back.

A read of an old value alone may be a stale one: a replica is late, the write is safe. So a write w of v is called lost
only where more is known. Values are looked at that one op at most may have put there.

- w *has happened* by the time that it was acknowledged, or that somebody had found v.
- u is *older* than w: the only op that put u there had happened before w began; or u was there at the start, and
  nobody put it there again.
- A call *looked back* on w: it began after w had happened, and found an older value.

w is lost, if nobody who ended after the first look back began found v, or anything made from v by compare-and-sets,
and

- the look back is a compare-and-set that succeeded: it changed the register itself, from an older value into its own;
- or looks back came through every node (with one node: at least two looks back; where the nodes are not recorded: by
  every client that used the register, at least two), with nothing else found in between. No node had the write any
  more, neither the one that knows best.

Sound: each look back is a violation by itself. u was put there, then v, in this order, whatever else happened, and both
before the look back began; u was never put there again. So no order explains it. What the further conditions add is
that the write is gone, not just late: something newer found between two looks back, or v found afterwards, makes them
stale reads. Of several writes since u only the one that began last is named.

Source: the durability half of Adya's and Jepsen's `lost write`. Cost: O(n log n).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from checkers.linearizability.linearizable_calls import Call, Calls
from checkers.linearizability.linearizable_model import NEVER, State
from checkers.values import show
from harness.history import FAIL, OK


@dataclass
class LostWrite:
    """write: what was lost. seen_by: who proves that it had happened, where it was not acknowledged itself.
    older: the writers of what came back. looks_back: in the order in which they began; the last may be a cas.
    """

    register: Calls
    write: Call
    seen_by: Call | None
    older: list[Call] = field(default_factory=list)
    looks_back: list[Call] = field(default_factory=list)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Those that prove it."""
        seen = [self.seen_by] if self.seen_by else []
        return (*self.older, self.write, *seen, *self.looks_back)

    @property
    def sentence(self) -> str:
        """What happened, in plain words."""
        register, action = self.register, _action(self.write)
        put = "write of" if action[0] == "write" else f"change of {show(action[1])} to"
        if self.seen_by:
            known = f"was seen by client {self.seen_by.process} at {register.moment(self.seen_by.end)}"
        else:
            known = f"was acknowledged at {register.moment(self.write.end)}"
        first, last = self.looks_back[0], self.looks_back[-1]
        found = ", ".join(dict.fromkeys(show(_action(call)[1]) for call in self.looks_back))
        if _action(last)[0] == "cas":
            old, new = _action(last)[1:]
            back = (
                f"At {register.moment(last.place)} client {last.process} changed {show(old)}, which was there before, "
                f"to {show(new)}"
            )
        else:
            through = "through every node" if register.nodes else "by every client"
            back = f"From {register.moment(first.place)} on reads {through} returned {found}, which was there before it"
        return (
            f"{register.title}: client {self.write.process}'s {put} {show(action[-1])} {known}. {back}, and nobody "
            f"ever saw {show(action[-1])} again: the write is gone."
        )


class LostWrites:
    """Walks once over what was found in the register, in the order in which the calls that found it began.

    `explained`: the looks back on writes that were named; their old values need no other name.
    """

    def __init__(self, register: Calls, initial: State) -> None:
        self.explained: list[Call] = []
        self._register = register
        done = [call for call in register.calls if call.outcome == OK]
        self._finders = [call for call in done if _action(call)[0] != "write"]
        self._writer = _only_writers(register, initial)
        self._seer = self._first_seers()
        self._happened = {value: self._by_when(value) for value in self._writer}
        if all(_action(call)[-1] != initial for call in _putters(register)):
            self._happened[initial] = -1
        self._last_trace = self._last_traces()
        known = [value for value in self._writer if self._happened[value] < NEVER]
        known.sort(key=self._happened.__getitem__)
        self._known_ends = [self._happened[value] for value in known]
        self._latest: list[Hashable] = []
        """Of the values known so far, the one whose writer began last."""
        for value in known:
            best = self._latest[-1] if self._latest else value
            self._latest.append(max(best, value, key=lambda each: self._writer[each].place))

    def find(self) -> Iterator[LostWrite]:
        """Every lost write, once."""
        named: set[Hashable] = set()
        looks_back: list[Call] = []
        value: Hashable = None
        for call in self._finders:
            found = _action(call)[1]
            if not looks_back or not self._is_older(found, value):
                looks_back = []
                place = bisect_left(self._known_ends, call.place) - 1
                if place < 0:
                    continue
                value = self._latest[place]
                if not self._is_older(found, value) or self._last_trace.get(value, -1) >= call.place:
                    continue
            looks_back.append(call)
            if value in named:
                self.explained.append(call)
            elif _action(call)[0] == "cas" or self._is_everywhere(looks_back):
                named.add(value)
                self.explained += looks_back
                yield self._lost(value, list(looks_back))

    def _is_older(self, found: Hashable, value: Hashable) -> bool:
        return self._happened.get(found, NEVER) < self._writer[value].place

    def _is_everywhere(self, looks_back: list[Call]) -> bool:
        if len(looks_back) < 2:
            return False
        nodes = self._register.nodes
        if nodes:
            return nodes <= {self._register.node_of(call) for call in looks_back}
        return {call.process for call in self._register.calls} <= {call.process for call in looks_back}

    def _lost(self, value: Hashable, looks_back: list[Call]) -> LostWrite:
        write = self._writer[value]
        seen_by = None if write.outcome == OK and write.end == self._happened[value] else self._seer[value]
        back = dict.fromkeys(_action(call)[1] for call in looks_back)
        older: list[Call] = []
        for found in back:
            if found in self._writer:
                older.append(self._writer[found])
                if self._writer[found].returned != self._happened[found]:
                    older.append(self._seer[found])
        return LostWrite(self._register, write, seen_by, older, looks_back)

    def _first_seers(self) -> dict[Hashable, Call]:
        """Who was the first to have found a value, and had the answer."""
        first: dict[Hashable, Call] = {}
        for call in sorted(self._finders, key=lambda call: call.end, reverse=True):
            first[_action(call)[1]] = call
        return first

    def _by_when(self, value: Hashable) -> int:
        """The place by which the only write of the value has happened; NEVER where that is not known."""
        write = self._writer[value]
        seer = self._seer.get(value)
        seen = seer.end if seer and seer.end > write.place else NEVER
        return min(seen, write.returned)

    def _last_traces(self) -> dict[Hashable, int]:
        """Where the last call returned that found a value, or what was made from it by compare-and-sets."""
        made_from: dict[Hashable, list[Hashable]] = {}
        for call in _putters(self._register):
            if _action(call)[0] == "cas":
                made_from.setdefault(_action(call)[2], []).append(_action(call)[1])
        last: dict[Hashable, int] = {}
        for call in sorted(self._finders, key=lambda call: call.end, reverse=True):
            todo = [_action(call)[1]]
            while todo:
                value = todo.pop()
                if value not in last:
                    last[value] = call.end
                    todo += made_from.get(value, ())
        return last


def _action(call: Call) -> Any:
    return call.action


def _putters(register: Calls) -> list[Call]:
    """The calls that may have put a value into the register."""
    return [call for call in register.calls if call.outcome != FAIL and _action(call)[0] != "read"]


def _only_writers(register: Calls, initial: State) -> dict[Hashable, Call]:
    """Each value that one call only may have put there, and that was not there at the start, with that call."""
    writers: dict[Hashable, list[Call]] = {}
    for call in _putters(register):
        writers.setdefault(_action(call)[-1], []).append(call)
    return {value: calls[0] for value, calls in writers.items() if len(calls) == 1 and value != initial}
