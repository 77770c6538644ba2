"""Operations on registers, from the records of clients: what `sequential` and `causal` judge.

    read  [k, null] → ok [k, v]     write [k, v]     cas [k, [old, new]]     read-init  as read

Without keys there is one register. Jepsen's `sequential` writes a key's subkeys in order and reads them in reverse.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from checkers.client_calls import ClientCall
from checkers.findings import ALWAYS, Finding
from checkers.linearizability.linearizable_calls import contradicts
from checkers.ordering.reasons import closed
from checkers.ordering.session_ops import SessionOp, SessionOps
from checkers.values import freeze, is_pair, show, thaw
from harness.history import FAIL, OK, HistoryError
from harness.verdict import Anomaly

FS = ("read", "write", "cas", "read-init")


def parsed_ops(calls: Sequence[ClientCall]) -> tuple[list[SessionOp], list[SessionOp]]:
    """(ok ops and writes of unknown outcome, failed writes). Raises HistoryError for a value of another shape."""
    whole = not any(is_pair(call.argument) for call in calls if call.f in ("write", "cas"))
    depth = max((len(call.result[1]) for call in calls if whole and is_composite(call)), default=0)
    keyed = any(is_pair(call.argument) for call in calls if call.f in ("read", "read-init"))
    keyed = keyed or (not any(call.f in ("read", "read-init") for call in calls) and _all_pairs(calls))
    zero_is_none = any(call.f == "read-init" for call in calls)
    ops: list[SessionOp] = []
    aborted: list[SessionOp] = []
    for call in calls:
        if call.outcome != OK and call.f in ("read", "read-init"):
            continue
        made = _composite(call, depth) if depth else [_single(call, keyed, zero_is_none)]
        (aborted if call.outcome == FAIL else ops).extend(made)
    return ops, aborted


def is_composite(call: ClientCall) -> bool:
    """Whether it may be one of Jepsen's reads of several subkeys, whose writes name the key alone."""
    return call.ok and call.f == "read" and is_pair(call.result) and isinstance(call.result[1], list | tuple)


def _all_pairs(calls: Sequence[ClientCall]) -> bool:
    return all(is_pair(call.argument) and (call.f != "cas" or is_pair(call.argument[1])) for call in calls)


def _composite(call: ClientCall, depth: int) -> list[SessionOp]:
    """Jepsen's: a write of k is of all its subkeys in order, a read sees them in reverse."""
    if call.f == "write":
        key = freeze(call.argument, call.index)
        return [SessionOp(call, ("list", key, i), False, None, True, ("list", key, i)) for i in range(depth)]
    if call.f != "read" or not is_composite(call) or len(call.result[1]) != depth:
        raise HistoryError(f"index {call.record}: expected read [k, [{depth} values]], got {show(call.result)}")
    key = freeze(call.result[0], call.record)
    return [
        SessionOp(call, ("list", key, i), True, None if value is None else ("list", key, i), False, None)
        for i, value in zip(reversed(range(depth)), call.result[1])
    ]


def _single(call: ClientCall, keyed: bool, zero_is_none: bool) -> SessionOp:
    """zero_is_none: as in Jepsen's `causal`, 0 is what a register holds that was never written."""

    def split(value: Any, index: int) -> tuple[Hashable, Any]:
        if not keyed:
            return None, value
        if not is_pair(value):
            raise HistoryError(f"index {index}: expected [key, value], got {show(value)}")
        return freeze(value[0], index), value[1]

    def plain(value: Any, index: int) -> Hashable:
        return None if zero_is_none and value == 0 and value is not False else freeze(value, index)

    if call.f in ("read", "read-init"):
        key, value = split(call.result, call.record)
        _same_key(call, keyed)
        return SessionOp(call, key, True, plain(value, call.record), False, None)
    key, value = split(call.argument, call.index)
    _same_key(call, keyed)
    told = call.result[1] if keyed and is_pair(call.result) else None if keyed else call.result
    if contradicts(value, told):
        raise HistoryError(
            f"index {call.record}: completes {call.f} {show(told)}, but its invocation ({call.index}) was {call.f} "
            f"{show(value)}: what was asked for must stand there"
        )
    if call.f == "cas":
        if not is_pair(value):
            raise HistoryError(f"index {call.index}: a cas needs a value [old, new], not {show(value)}")
        old, new = plain(value[0], call.index), plain(value[1], call.index)
        return SessionOp(call, key, True, old, old != new, None if old == new else new)
    return SessionOp(call, key, False, None, True, plain(value, call.index))


def _same_key(call: ClientCall, keyed: bool) -> None:
    asked, told = call.argument, call.result
    if keyed and is_pair(asked) and is_pair(told) and freeze(asked[0], call.index) != freeze(told[0], call.record):
        raise HistoryError(
            f"index {call.record}: completes {call.f} of key {show(told[0])}, but its invocation ({call.index}) was of "
            f"key {show(asked[0])}"
        )


def single_reads(found: SessionOps) -> Iterable[Finding]:
    """Reads of what nobody wrote, or of what failed."""
    for place in found.garbage:
        op = found.ops[place]
        sentence = f"{op.text[0].upper()}{op.text[1:]}, which nobody ever wrote there."
        anomaly = Anomaly(
            "garbage-read", [op.call.record], sentence, key=thaw(op.key), sub_history=_records(found, place)
        )
        yield Finding(anomaly, ALWAYS)
    for place, writer in found.failed:
        op = found.ops[place]
        sentence = f"{op.text[0].upper()}{op.text[1:]}, but its write (op {writer.call.record}) failed."
        records = sorted({*_records(found, place), *writer.call.records})
        ops = sorted({op.call.record, writer.call.record})
        yield Finding(Anomaly("G1a", ops, sentence, key=thaw(op.key), sub_history=records), ALWAYS)


def _records(found: SessionOps, op: int) -> list[int]:
    """Of an op that reads, and of what shows that it happened."""
    return sorted({record for each in closed(found, [op]) for record in found.ops[each].call.records})


def unjudged(found: SessionOps) -> list[str]:
    """Why the rest can't be judged."""
    if not found.ambiguous:
        return []
    keys = ", ".join(show(key) for key in found.ambiguous[:5])
    return [f"a value may have been written twice to a key (such as {keys}): values must be unique for their key"]
