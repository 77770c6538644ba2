"""Is a register linearizable, where every value was put there once? By zones, for all keys of a history at once.

Problem: whether some order explains a register's history is NP-complete, and a search for one grows with concurrency.
Idea (Gibbons and Korach, "Testing Shared Memories", SIAM J. Comput. 26(4), 1997, section 4: the read mapping is known):
if no value is written twice, each read names its write. The write of v and all reads of v are neighbours in every
order; so are the values that compare-and-sets made from each other: cas(u → v) is the last that happens to u and
the first that happens to v. Such a *block* is a fixed sequence of groups (write, reads of u, cas, reads of v, ...).

A history is linearizable iff
1. each value found was put there by somebody, or is the initial one, and one compare-and-set at most took it away;
2. in no block an op of a later group returned before one of an earlier group was invoked;
3. no two blocks A, B must each come before the other. A must come before B iff some op of A returned before some op
   of B was invoked: m(A) < M(B), where m is a block's first return and M its last invocation.

Proof of 3: m(A) < M(B) is a Ferrers relation (from m(A) < M(B) and m(C) < M(D) follows m(A) < M(D) or m(C) < M(B)), so
its shortest circle has two blocks. Blocks in an order that respects it respect realtime, as m and M speak for all
their ops. A block is a *forward* zone [m, M] if m < M, else a *backward* one [M, m]; two are in conflict iff both are
forward and overlap, or a backward one lies inside a forward one. The initial block's write returned before everything.

Ops of unknown outcome: a read says nothing. A write or compare-and-set whose new value nobody found is left out:
without it the others of any order find the same. One whose value was found has happened, at any time after its
invocation. (Found by an `ok` op, or by a compare-and-set of unknown outcome that has happened itself.) A failed op did
nothing, also a compare-and-set.

Premises, else undecided: no value is put there by two ops that have happened, none of them puts the initial one.

Cost: O(n): a few passes over the ops of each register, one over the history for the zones; some 40 bytes an op.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.linearizability.linearizable_model import NEVER
from checkers.linearizability.register_columns import CAS, READ, WRITE, RegisterColumns
from harness.compiled import kernel, kernel_part
from harness.history import FAIL

LINEARIZABLE, BROKEN, UNDECIDED = range(3)
"""Verdicts on one register."""

NO_VIOLATION, GARBAGE, TAKEN_TWICE, CIRCLE, INSIDE, BETWEEN = range(6)
"""What is wrong, and what `witnesses` holds then.

GARBAGE: call 0 found a value that nobody put there. TAKEN_TWICE: compare-and-sets 0 and 1 succeeded from one value.
CIRCLE: compare-and-set 0 found what was made, through others, from its own new value. INSIDE: call 0 returned before
call 1 was invoked, but its group comes later in their block. BETWEEN: call 0 of block A returned before call 1 of block
B was invoked, and call 2 of B before call 3 of A.
"""

INITIAL = -1
"""Stands for the write of the initial value among witnesses."""


@dataclass(frozen=True)
class Zones:
    """k registers' verdicts: int8[k]. violation: int8[k]. witnesses: int64[k, 4], calls, -1 where there is none."""

    verdict: np.ndarray
    violation: np.ndarray
    witnesses: np.ndarray


def judge(columns: RegisterColumns) -> Zones:
    """Judge every register on its own; calls among the witnesses are places in the columns."""
    verdict = np.zeros(len(columns), np.int8)
    violation = np.zeros(len(columns), np.int8)
    witnesses = np.full((len(columns), 4), -1, np.int64)
    _judge(
        columns.start,
        columns.kind,
        columns.outcome,
        columns.old,
        columns.new,
        columns.invoked,
        columns.returned,
        columns.values,
        columns.records,
        verdict,
        violation,
        witnesses,
    )
    return Zones(verdict, violation, witnesses)


# Columns of the table of values, a row for each value of one register. All but SEEN hold a call or -1.
_SEEN, _WRITER, _TAKER, _FIRST_READ, _LAST_READ, _CRASHED, _WALKED, _COLUMNS = range(8)


@kernel
def _judge(start, kind, outcome, old, new, invoked, returned, values, records, verdict, violation, witnesses):
    widest, most = 0, 1
    for register in range(len(values)):
        widest = max(widest, start[register + 1] - start[register])
        most = max(most, values[register])
    table = np.empty((most, _COLUMNS), np.int64)
    same_crashed = np.empty(widest, np.int64)
    todo = np.empty(most, np.int64)
    zone_at = np.full(records, -1, np.int32)
    zones = np.empty((len(kind) + len(values), 3), np.int64)
    """Of each block: its register, the call that returned first, the call invoked last."""
    current = np.full(len(values), -1, np.int64)
    count = np.int64(0)
    for register in range(len(values)):
        begin, end = start[register], start[register + 1]
        rows = table[: values[register]]
        rows[:] = -1
        _mark_seen(begin, end, kind, outcome, old, new, returned, rows, same_crashed, todo)
        found = witnesses[register]
        if not _put_once(begin, end, kind, outcome, old, new, invoked, returned, rows):
            verdict[register] = UNDECIDED
            continue
        wrong = _taken_once(begin, end, kind, outcome, old, new, returned, rows, found)
        before = count
        if wrong == NO_VIOLATION:
            wrong, count = _lay_blocks(register, rows, kind, new, invoked, returned, zones, count, found)
        if wrong != NO_VIOLATION:
            verdict[register], violation[register] = BROKEN, wrong
            count = before
        for zone in range(before, count):
            first, last = zones[zone, 1], zones[zone, 2]
            if first == INITIAL:
                current[register] = zone
            else:
                zone_at[min(returned[first], invoked[last])] = zone
    _sweep(zone_at, zones, current, invoked, returned, verdict, violation, witnesses)


@kernel_part
def _mark_seen(begin, end, kind, outcome, old, new, returned, rows, same_crashed, todo):
    """Mark the values that were found: by an `ok` call, or by a crashed cas whose own new value was found."""
    pending = 0
    for call in range(begin, end):
        if outcome[call] == FAIL:
            continue
        if returned[call] == NEVER:
            if kind[call] == CAS:
                same_crashed[call - begin] = rows[new[call], _CRASHED]
                rows[new[call], _CRASHED] = call
        elif kind[call] != WRITE and rows[old[call], _SEEN] < 0:
            rows[old[call], _SEEN] = call
            todo[pending] = old[call]
            pending += 1
    while pending:
        pending -= 1
        call = rows[todo[pending], _CRASHED]
        while call >= 0:
            if rows[old[call], _SEEN] < 0:
                rows[old[call], _SEEN] = call
                todo[pending] = old[call]
                pending += 1
            call = same_crashed[call - begin]


@kernel_part
def _happened(call, kind, outcome, new, returned, rows):
    """Whether a call counts: it did happen, as far as anybody could tell."""
    if outcome[call] == FAIL:
        return False
    return returned[call] != NEVER or (kind[call] != READ and rows[new[call], _SEEN] >= 0)


@kernel_part
def _put_once(begin, end, kind, outcome, old, new, invoked, returned, rows):
    """Find each value's writer, first-returned and last-invoked read; False where a value has two writers."""
    for call in range(begin, end):
        if not _happened(call, kind, outcome, new, returned, rows):
            continue
        if kind[call] == READ:
            row = rows[old[call]]
            if row[_FIRST_READ] < 0 or returned[call] < returned[row[_FIRST_READ]]:
                row[_FIRST_READ] = call
            if row[_LAST_READ] < 0 or invoked[call] > invoked[row[_LAST_READ]]:
                row[_LAST_READ] = call
            continue
        if new[call] == 0 or rows[new[call], _WRITER] >= 0:
            return False
        rows[new[call], _WRITER] = call
    return True


@kernel_part
def _taken_once(begin, end, kind, outcome, old, new, returned, rows, found):
    """Find each value's compare-and-set away; what is wrong where there are two, or where it has no writer."""
    for call in range(begin, end):
        if kind[call] != CAS or not _happened(call, kind, outcome, new, returned, rows):
            continue
        if rows[old[call], _TAKER] >= 0:
            found[0], found[1] = rows[old[call], _TAKER], call
            return TAKEN_TWICE
        rows[old[call], _TAKER] = call
    for value in range(1, len(rows)):
        if rows[value, _SEEN] >= 0 and rows[value, _WRITER] < 0:
            found[0] = rows[value, _SEEN]
            return GARBAGE
    return NO_VIOLATION


@kernel_part
def _lay_blocks(register, rows, kind, new, invoked, returned, zones, count, found):
    """(what is wrong inside a block, the number of zones): each block, walked from its write, as a row of `zones`."""
    for root in range(len(rows)):
        writer = rows[root, _WRITER]
        if root and (writer < 0 or kind[writer] == CAS):
            continue
        first, last = writer, writer
        first_at = returned[writer] if root else -1
        last_at = invoked[writer] if root else -1
        value = root
        while value >= 0:
            rows[value, _WALKED] = 1
            taker = rows[value, _TAKER]
            for group in range(2):
                early = rows[value, _FIRST_READ] if group == 0 else taker
                late = rows[value, _LAST_READ] if group == 0 else taker
                if early < 0:
                    continue
                if returned[early] < last_at:
                    found[0], found[1] = early, last
                    return INSIDE, count
                if returned[early] < first_at:
                    first, first_at = early, returned[early]
                if invoked[late] > last_at:
                    last, last_at = late, invoked[late]
            value = new[taker] if taker >= 0 else -1
        if last_at >= 0:
            zones[count, 0], zones[count, 1], zones[count, 2] = register, first, last
            count += 1
    for value in range(1, len(rows)):
        if rows[value, _WRITER] >= 0 and rows[value, _WALKED] < 0:
            found[0] = rows[value, _WRITER]
            return CIRCLE, count
    return NO_VIOLATION, count


@kernel_part
def _sweep(zone_at, zones, current, invoked, returned, verdict, violation, witnesses):
    """Walk through the history; at each zone's start compare it with its register's last forward zone."""
    for place in range(len(zone_at)):
        zone = zone_at[place]
        if zone < 0:
            continue
        register, first, last = zones[zone, 0], zones[zone, 1], zones[zone, 2]
        if verdict[register] != LINEARIZABLE:
            continue
        other = current[register]
        if other >= 0 and returned[first] < invoked[zones[other, 2]]:
            verdict[register], violation[register] = BROKEN, BETWEEN
            witnesses[register, 0], witnesses[register, 1] = zones[other, 1], last
            witnesses[register, 2], witnesses[register, 3] = first, zones[other, 2]
        if returned[first] < invoked[last]:
            current[register] = zone
