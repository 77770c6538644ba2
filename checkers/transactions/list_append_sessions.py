"""What a client's own session was promised and did not get, in list-append histories.

The four guarantees (Terry et al., Session Guarantees for Weakly Consistent Replicated Data, PDIS 1994) speak of one
client's operations in their order, key by key; transactions play no part. Within a session:
- read-your-writes: a read shows what the client appended in an earlier transaction that was acknowledged;
- monotonic-reads: a read shows what an earlier read showed;
- monotonic-writes: a later append does not come before an earlier, acknowledged one, and is not seen without it;
- writes-follow-reads: an append does not come before what an earlier transaction of the client had read, and is not
  seen without it.

Idea: a list only grows, so "shows" is a place in the key's order, and a session needs to keep two places for each key:
up to where it has written, and up to where it has read. Where reads contradict each other there is no such order; there
the lists themselves are compared.

Only what was committed counts: not what an aborted transaction wrote, nor elements that nobody appended. An append of
unknown outcome may take effect later than the client's next read, so it promises nothing. What one transaction reads
and then appends says nothing here: an append in front of what was read before is a `future-read`. A session whose
transactions overlap has no order and is left out.

Cost: O(micro-ops), and O(elements) for keys with contradicting reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.list_append_wording import Names
from checkers.transactions.order_edges import small_numbers
from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from checkers.transactions.value_findings import Found
from harness.compiled import kernel, kernel_part
from harness.history import OK
from harness.verdict import Anomaly

READ_YOUR_WRITES, MONOTONIC_READS, MONOTONIC_WRITES, WRITES_FOLLOW_READS = range(4)
TYPES = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")
COMPARED_MAX = 1_000_000
"""How many pairs of an append and a read are compared for one session and key whose reads contradict each other."""
ROOM_AT_FIRST = 2**14
"""Places of a hash table of clients and keys: half of it is what a history of 10,000 transactions needs, and to grow
costs as much as to fill.
"""
UNSEEN = 2**31 - 1
STATES = 6
WROTE, WROTE_MOP, SAW, SAW_MOP, KNEW, KNEW_MOP = range(STATES)
"""The place of an append that no list shows, behind all that some list does."""


@dataclass(frozen=True)
class Broken:
    """One guarantee that was not kept. Micro-ops: what the session did earlier, what it did later, and the read that
    shows the two out of order (the later one itself, where that is a read), and the append that is out of its place.
    """

    kind: int
    earlier: int
    later: int
    shown_by: int
    missing: int


def session_breaks(columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> list[Found]:
    """The guarantees that were broken, once for each read or append that shows it; `limit` of each worked out."""
    if not len(columns.function):
        return []
    in_order, contradicted = _all_breaks(columns, txn, versions)
    found = []
    for kind, type_ in enumerate(TYPES):
        rows = np.flatnonzero(in_order[0] == kind)
        others = [case for case in contradicted if case.kind == kind]
        if len(rows) or others:
            cases = [*_cases(columns, versions, in_order, rows[:limit]), *others][:limit]
            shown = [_anomaly(columns, txn, case) for case in cases]
            found.append(Found(type_, len(rows) + len(others), shown, {type_}))
    return found


def find(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Iterator[Broken]:
    """Every broken guarantee, once for each read or append that shows it."""
    if len(columns.function):
        in_order, contradicted = _all_breaks(columns, txn, versions)
        yield from _cases(columns, versions, in_order, np.arange(len(in_order[0])))
        yield from contradicted


def _all_breaks(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> tuple[np.ndarray, list[Broken]]:
    """(columns of those in keys whose reads agree: see `_breaks`; those in the other keys)."""
    number = small_numbers(columns.process)
    ordered = orderly(number, columns.began, columns.completed)
    found = np.empty((4, 2 * len(columns.function)), np.int64)
    count = _breaks(
        versions.start,
        versions.length,
        versions.writer,
        versions.committed,
        versions.usable & versions.agreed,
        versions.fits,
        versions.position,
        columns.mop_start,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        columns.status,
        number,
        ordered,
        found,
    )
    in_order = found[:, :count].copy()
    contradicted = np.flatnonzero(versions.usable & ~versions.agreed)
    if not len(contradicted):
        return in_order, []
    return in_order, list(_in_contradicted_keys(columns, txn, versions, number, ordered, contradicted))


def _cases(columns: TxnColumns, versions: Versions, breaks: np.ndarray, rows: np.ndarray) -> Iterator[Broken]:
    for kind, first, second, write in zip(*(column[rows].tolist() for column in breaks), strict=True):
        by_read = kind in (READ_YOUR_WRITES, MONOTONIC_READS)
        shown_by = second if by_read else int(versions.longest[columns.key[second]])
        yield Broken(kind, first, second, shown_by, write)


@kernel
def orderly(process, began, completed):
    """bool[processes]: whose transactions do not overlap. Transactions come in the order in which they began."""
    count = 0
    for txn in range(len(process)):
        count = max(count, process[txn] + 1)
    result = np.ones(count, np.bool_)
    end = np.full(count, -1, np.int64)
    for txn in range(len(process)):
        if began[txn] < end[process[txn]]:
            result[process[txn]] = False
        end[process[txn]] = max(end[process[txn]], completed[txn])
    return result


@kernel_part
def _place(name, size):
    mixed = np.uint64(name) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(size - 1))


@kernel
def _breaks(
    start,
    length,
    writer,
    committed,
    settled,
    fits,
    position,
    mop_start,
    function,
    key,
    list_start,
    txn,
    status,
    process,
    ordered,
    found,
):
    """How many guarantees are broken in keys whose reads agree.

    found: int64[4, 2m]: rows of kinds, earlier and later micro-ops, appends that are missing. A micro-op shows two.
    """
    keys = len(length)
    certain = np.zeros(len(writer), np.int64)
    for k in range(keys):
        known = 0
        for place in range(start[k], start[k + 1]):
            mop = writer[place]
            if mop != NOBODY and committed[txn[mop]]:
                known = place - start[k] + 1
            certain[place] = known
    # a row for each client and key: how far it wrote, saw, and had seen before this transaction, and by which
    # micro-ops; found by a hash table that grows
    size = ROOM_AT_FIRST
    row_of = np.full(size, -1, np.int32)
    name = np.empty(size // 2, np.int64)
    state = np.empty((size // 2, STATES), np.int32)
    widest = 0
    for t in range(len(committed)):
        widest = max(widest, mop_start[t + 1] - mop_start[t])
    rows = np.empty(widest, np.int32)
    used = 0
    count = 0
    for t in range(len(committed)):
        begin, end = mop_start[t], mop_start[t + 1]
        if not committed[t] or not ordered[process[t]]:
            continue
        if used + end - begin > size // 2:
            while used + end - begin > size // 2:
                size *= 2
            row_of = np.full(size, -1, np.int32)
            grown_name = np.empty(size // 2, np.int64)
            grown_state = np.empty((size // 2, STATES), np.int32)
            for old in range(used):
                grown_name[old] = name[old]
                for i in range(STATES):
                    grown_state[old, i] = state[old, i]
                at = _place(name[old], size)
                while row_of[at] >= 0:
                    at = (at + 1) & (size - 1)
                row_of[at] = old
            name = grown_name
            state = grown_state
        for mop in range(begin, end):
            k = key[mop]
            if not settled[k]:
                continue
            wanted = process[t] * keys + k
            at = _place(wanted, size)
            while row_of[at] >= 0 and name[row_of[at]] != wanted:
                at = (at + 1) & (size - 1)
            if row_of[at] < 0:
                row_of[at] = used
                name[used] = wanted
                state[used, WROTE] = state[used, WROTE_MOP] = state[used, SAW_MOP] = -1
                state[used, SAW] = state[used, KNEW] = 0
                used += 1
            own = rows[mop - begin] = row_of[at]
            if function[mop] == APPEND:
                place = position[mop]
                if place >= 0 and state[own, WROTE] > place:
                    found[0, count], found[1, count] = MONOTONIC_WRITES, state[own, WROTE_MOP]
                    found[2, count], found[3, count] = mop, state[own, WROTE_MOP]
                    count += 1
                if place >= 0 and state[own, KNEW] - 1 > place:
                    found[0, count], found[1, count] = WRITES_FOLLOW_READS, state[own, KNEW_MOP]
                    found[2, count], found[3, count] = mop, writer[start[k] + state[own, KNEW] - 1]
                    count += 1
            elif function[mop] == READ and status[t] == OK and fits[mop]:
                seen = list_start[mop + 1] - list_start[mop]
                if state[own, WROTE] >= seen:
                    found[0, count], found[1, count] = READ_YOUR_WRITES, state[own, WROTE_MOP]
                    found[2, count], found[3, count] = mop, state[own, WROTE_MOP]
                    count += 1
                if state[own, SAW] > seen:
                    found[0, count], found[1, count] = MONOTONIC_READS, state[own, SAW_MOP]
                    found[2, count], found[3, count] = mop, writer[start[k] + state[own, SAW] - 1]
                    count += 1
                if seen > 0 and certain[start[k] + seen - 1] > state[own, SAW]:
                    state[own, SAW] = certain[start[k] + seen - 1]
                    state[own, SAW_MOP] = mop
        for mop in range(begin, end):
            k = key[mop]
            if status[t] != OK or not settled[k]:
                continue
            own = rows[mop - begin]
            if function[mop] == READ:
                state[own, KNEW], state[own, KNEW_MOP] = state[own, SAW], state[own, SAW_MOP]
                continue
            place = position[mop] if position[mop] >= 0 else UNSEEN
            if place > state[own, WROTE]:
                state[own, WROTE] = place
                state[own, WROTE_MOP] = mop
    return count


def _in_contradicted_keys(
    columns: TxnColumns,
    txn: np.ndarray,
    versions: Versions,
    number: np.ndarray,
    ordered: np.ndarray,
    keys: np.ndarray,
) -> Iterator[Broken]:
    """The same in keys whose reads contradict each other, from the lists themselves."""
    wanted = np.zeros(len(columns.keys), bool)
    wanted[keys] = True
    mops = np.flatnonzero(wanted[columns.key] & versions.committed[txn])
    mops = mops[np.argsort(columns.key[mops], kind="stable")]
    for of_key in np.split(mops, np.flatnonzero(np.diff(columns.key[mops])) + 1):
        appended = {int(columns.value[mop]): int(mop) for mop in of_key if columns.function[mop] == APPEND}
        reads = [int(mop) for mop in of_key if columns.function[mop] == READ and columns.status[txn[mop]] == OK]
        lists: dict[int, dict[int, int]] = {}
        for read in reads:
            values = columns.element[columns.list_start[read] : columns.list_start[read + 1]].tolist()
            lists[read] = {appended[value]: place for place, value in enumerate(values) if value in appended}
        sessions: dict[int, list[int]] = {}
        for mop in of_key.tolist():
            if ordered[number[txn[mop]]]:
                sessions.setdefault(int(number[txn[mop]]), []).append(mop)
        for session in sessions.values():
            yield from _in_session(columns, txn, session, lists)


def _in_session(
    columns: TxnColumns, txn: np.ndarray, session: list[int], lists: dict[int, dict[int, int]]
) -> Iterator[Broken]:
    """One session and one key. lists: for each read of the key (of anybody) the appends it shows, with their places."""
    wrote: list[int] = []
    saw: dict[int, int] = {}
    """Append → the first read of the session that shows it."""
    looked_at = 0
    for mop in session:
        own = [write for write in wrote if txn[write] != txn[mop]]
        if mop in lists:
            missing = next((write for write in own if write not in lists[mop]), None)
            if missing is not None:
                yield Broken(READ_YOUR_WRITES, missing, mop, mop, missing)
            gone = next((write for write in saw if write not in lists[mop]), None)
            if gone is not None:
                yield Broken(MONOTONIC_READS, saw[gone], mop, mop, gone)
            for write in lists[mop]:
                saw.setdefault(write, mop)
            continue
        if columns.function[mop] != APPEND:
            continue
        readers = [(read, shown) for read, shown in lists.items() if mop in shown]
        before = {
            MONOTONIC_WRITES: [(write, write) for write in own],
            WRITES_FOLLOW_READS: [(write, read) for write, read in saw.items() if txn[read] != txn[mop]],
        }
        for kind, others in before.items():
            for write, earlier in others:
                looked_at += len(readers)
                if looked_at > COMPARED_MAX:
                    return
                reader = next((r for r, shown in readers if shown.get(write, UNSEEN) > shown[mop]), None)
                if reader is not None and write != mop:
                    yield Broken(kind, earlier, mop, reader, write)
                    break
        if columns.status[txn[mop]] == OK:
            wrote.append(mop)


_SENTENCES = {
    READ_YOUR_WRITES: "{second} read {read}, without the {value} that {first} of the same client had appended before "
    "and was told is committed: the client does not see its own write.",
    MONOTONIC_READS: "{second} read {read}, although {first} of the same client had read {before} earlier: what the "
    "client saw is gone again.",
    MONOTONIC_WRITES: "{second} appended {later} to {key} after {first} of the same client had appended {value}, but "
    "{reader} read {read}, where the later one stands without the earlier one before it.",
    WRITES_FOLLOW_READS: "{second} appended {later} to {key} after {first} of the same client had read {before}, but "
    "{reader} read {read}, where the append stands without all of what was read before it.",
}


def _anomaly(columns: TxnColumns, txn: np.ndarray, case: Broken) -> Anomaly:
    first, second, reader = int(txn[case.earlier]), int(txn[case.later]), int(txn[case.shown_by])
    txns = list(dict.fromkeys((first, second, reader)))
    needed = {*txns, int(txn[case.missing])}
    names = Names(columns, txns)
    sentence = _SENTENCES[case.kind].format(
        first=names.full(first),
        second=names.full(second),
        reader=names.full(reader),
        read=names.read(case.shown_by),
        value=names.value(case.earlier) if columns.function[case.earlier] == APPEND else "",
        before=names.read(case.earlier) if columns.function[case.earlier] == READ else "",
        later=names.value(case.later) if columns.function[case.later] == APPEND else "",
        key=names.key(case.later),
    )
    return Anomaly(
        type=TYPES[case.kind],
        ops=sorted(int(columns.op[t]) for t in txns),
        sentence=sentence,
        key=columns.keys[columns.key[case.later]],
        sub_history=columns.records(needed),
    )
