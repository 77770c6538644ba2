"""What clients wrote and what they saw, in one shape for registers, lists and sets.

For checkers that go beside others, whatever the workload is. Known are the ops of these shapes, told apart by value:

    read [k, v]   write [k, v]   cas [k, [old, new]]          registers by key
    local-read                                                as a read, answered by the session's own node alone
    add v         read [v, ...]                               one set that grows; also add [k, v], read [k, [v, ...]]
    txn [["r", k, v or list], ["w", k, v], ["append", k, v]]  transactions; also as f `read` or `write`

Other ops are left out. Cost: one pass, O(size of the values).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from checkers.client_calls import NEVER, ClientCall, calls_of
from checkers.values import freeze, is_pair
from harness.history import FAIL, History

LOCAL_READ = "local-read"
"""What one node holds, whatever the others do: it promises nothing until nodes have had the time to agree."""
FS = ("read", LOCAL_READ, "write", "cas", "add", "remove", "txn", "")


@dataclass(frozen=True)
class Seen:
    """A read of a key. elements: what a list (ordered) or set held; None for a register's `value`."""

    call: ClientCall
    key: Hashable
    value: Hashable
    elements: tuple[Hashable, ...] | None
    ordered: bool = False


@dataclass(frozen=True)
class Put:
    """A write that happened or may have. grows: it adds `value` to a list or set, else it replaces the register's.

    old: the version that it is known to rest on (a cas' old value, what the transaction read before), NOTHING if none.
    """

    call: ClientCall
    key: Hashable
    value: Hashable
    grows: bool
    old: Hashable


NOTHING: Hashable = ("not known",)


@dataclass
class Observations:
    """reads: of ok ops, in the order of their invocations; local: local reads, which are not among them. puts: without
    those that failed. removed: keys of sets from which something was taken out."""

    reads: list[Seen] = field(default_factory=list)
    local: list[Seen] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    removed: set[Hashable] = field(default_factory=set)
    calls: list[ClientCall] = field(default_factory=list)

    @property
    def quiet(self) -> int:
        """The place from which on no acknowledged write was in flight, -1 where none was acknowledged."""
        return max((put.call.end for put in self.puts if put.call.end != NEVER), default=-1)


def observations_of(history: History) -> Observations:
    """Everything of a known shape. Raises HistoryError for NaN."""
    found = Observations(calls=calls_of(history, FS))
    for call in found.calls:
        for part in _parts(call):
            if isinstance(part, Seen):
                (found.local if call.f == LOCAL_READ else found.reads).append(part)
            elif call.outcome != FAIL:
                found.puts.append(part)
        if call.f == "remove" and call.outcome != FAIL:
            found.removed.add(_key(call))
    return found


def _key(call: ClientCall) -> Hashable:
    value = call.argument
    return freeze(value[0], call.index) if is_pair(value) else None


def _parts(call: ClientCall) -> Iterator[Seen | Put]:
    asked, told = call.argument, call.result
    if _is_txn(asked):
        yield from _txn(call, told if call.ok and _is_txn(told) else asked)
    elif call.f in ("read", LOCAL_READ):
        if not call.ok:
            return
        if is_pair(asked) and asked[1] is None and is_pair(told):
            yield _seen(call, freeze(asked[0], call.index), told[1])
        elif asked is None:
            yield _seen(call, None, told)
    elif call.f == "add":
        key, value = asked if is_pair(asked) else (None, asked)
        yield Put(call, freeze(key, call.index), freeze(value, call.index), True, NOTHING)
    elif call.f == "write" and is_pair(asked):
        yield Put(call, freeze(asked[0], call.index), freeze(asked[1], call.index), False, NOTHING)
    elif call.f == "cas" and is_pair(asked) and is_pair(asked[1]):
        key, (old, new) = asked
        yield Put(call, freeze(key, call.index), freeze(new, call.index), False, freeze(old, call.index))


def _seen(call: ClientCall, key: Hashable, value: Any, *, ordered: bool = False) -> Seen:
    if isinstance(value, list | tuple):
        return Seen(call, key, None, tuple(freeze(part, call.record) for part in value), ordered)
    return Seen(call, key, freeze(value, call.record), None)


def _txn(call: ClientCall, mops: Any) -> Iterator[Seen | Put]:
    appends = any(str(mop[0]).removeprefix(":") == "append" for mop in mops)
    known: dict[Hashable, Hashable] = {}
    own: set[Hashable] = set()
    for mop in mops:
        name, key = str(mop[0]).removeprefix(":"), freeze(mop[1], call.index)
        if name == "r":
            if call.ok and key not in own:
                seen = _seen(call, key, () if mop[2] is None and appends else mop[2], ordered=True)
                known.setdefault(key, seen.value if seen.elements is None else seen.elements)
                yield seen
        elif name in ("w", "append"):
            old = known.get(key, NOTHING) if key not in own else NOTHING
            own.add(key)
            yield Put(call, key, freeze(mop[2], call.index), name == "append", old)


def _is_txn(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(
            isinstance(mop, list | tuple) and len(mop) == 3 and mop[0] in ("r", "w", "append", ":r", ":w", ":append")
            for mop in value
        )
    )
