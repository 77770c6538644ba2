"""A serial order that explains a whole history of registers, where a simple search finds one.

Problem: nearly every history of a sound database is strictly serializable, and a million transactions leave millions of
orders of versions open. Idea: do not ask which order must be; find one that is. Transactions are executed one after the
other on an imagined store, each as late as its completion lets it, or earlier when another one needs it to be done:
- who reads a version that is not there yet needs its writer;
- who overwrites a version needs all of its readers to be done;
- who writes a version that is still read late needs those writers of the key first that must be done before that.
Where these needs go in a circle, or a reader has not even begun, an overwritten version came too early: the one who
wants to overwrite it should have written before it. That is remembered, time is turned back to where the version was
written, and the search goes on from there (as conflict-driven solvers do).

An order that comes out is not believed but replayed: every read must return what the order says, and nobody may come
before a transaction that had ended before it began. Then the history is strictly serializable, and so valid under all
models. An order that fails proves nothing; it is a hint for the searches. Where so many reads fail that nobody would
search only where they do, the rest is put in the order of completions.

Source: just-in-time linearization (Lowe, Testing for linearizability, 2017), for transactions, with learning.
Cost: O(micro-ops × concurrency) where it succeeds; turning back is bounded by a multiple of that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from checkers.transactions.rw_register_versions import Versions
from checkers.transactions.txn_columns import TxnColumns
from harness.compiled import kernel, kernel_without_lock, working_time

NEVER = 2**62
TRIED_AGAIN_MAX = 4
"""How often something learnt that was given up may be taken up again."""
HOPS_MAX = 1000
"""How far back it is followed who asked for whom, or what was built upon what: either may go in a circle."""
UNDONE_MAX = 8
"""How often, on average, a transaction may be turned back before the search stops learning."""
ODD_PART_MAX = 0.04
"""Where an order fails for a larger part of the transactions, the knots that this makes hold more than half of them
(seen: from 0.03 to 0.06 on): they are not worth to be looked at alone, nor such an order to be found."""
ODD_ALWAYS = 100
"""As many may fail in an order of however few."""


@dataclass(frozen=True)
class Witness:
    """serial: int64[c], the committed transactions in the order that was found. explains: it explains everything.

    odd: int64[], transactions whose reads it does not explain, or that come too late in it.
    """

    serial: np.ndarray
    explains: bool
    odd: np.ndarray


def find_witness(
    columns: TxnColumns, txn: np.ndarray, versions: Versions, first: np.ndarray, second: np.ndarray, deadline: float
) -> Witness:
    """An order that explains the history, or one that nearly does.

    first, second: int64[l], transactions of which one should come before the other; any, for a start. deadline: of
    working_time(); then the search ends, with as much of an order as there is.
    """
    keys = len(columns.keys)
    key = np.ascontiguousarray(columns.key, np.int32)
    txn32 = np.ascontiguousarray(txn, np.int32)
    seen = np.full(len(key), -1, np.int32)
    seen[versions.read] = np.repeat(
        np.arange(len(versions.read_start) - 1, dtype=np.int32), np.diff(versions.read_start)
    )
    written = np.where(versions.version_of >= 0, versions.version_of + key + 1, -1).astype(np.int32)
    invoked, completed = _spans(columns)
    ends = np.flatnonzero(versions.committed)
    ends = ends[np.argsort(completed[ends], kind="stable")]
    start = np.ascontiguousarray(columns.mop_start)
    stop, ended = np.zeros(1, np.int8), threading.Event()
    threading.Thread(target=_stop_at, args=(deadline, ended, stop), daemon=True).start()
    count, rows = len(columns), len(versions.read_start) - 1
    # each lesson turns somebody back
    most_learnt = len(first) + UNDONE_MAX * len(ends) + 10_000
    known = key, seen, written, versions.previous, versions.start, versions.writer, versions.read_start
    reader = txn32[versions.read]
    last, late, base = completed.copy(), np.full(rows, -1, np.int64), np.full(rows, -1, np.int64)
    _limits(*known, reader, invoked.copy(), last, late, base)
    learnt = np.empty((2, most_learnt), np.int64)
    learnt[0, : len(first)] = first
    serial = np.empty(len(ends), np.int64)
    done = _execute(
        start,
        *known,
        reader,
        invoked,
        completed,
        last,
        late,
        base,
        ends,
        most_learnt - len(first),
        np.ascontiguousarray(second, np.int64),
        stop,
        int(ODD_PART_MAX * count) + ODD_ALWAYS,
        *np.empty((2, keys), np.int64),
        np.empty(len(key), np.int64),
        *np.zeros((2, count), np.int8),
        *np.full((5, count), -1, np.int64),
        *np.empty((3, count + 1), np.int64),
        *learnt,
        np.zeros(most_learnt, np.int8),
        serial,
    )
    ended.set()
    serial, odd = serial[:done], np.empty(done, np.int64)
    current = versions.start[:-1] + np.arange(keys)
    odd = odd[: _replay(serial, start, key, seen, written, invoked, completed, current, odd)]
    return Witness(serial, len(odd) == 0 and len(serial) == len(ends), odd)


def _stop_at(deadline: float, ended: threading.Event, stop: np.ndarray) -> None:
    while (left_s := deadline - working_time()) > 0:
        if ended.wait(left_s):
            return
    stop.fill(1)


def _spans(columns: TxnColumns) -> tuple[np.ndarray, np.ndarray]:
    """int64[n] each: where transactions began and ended. Without invocations: right after the client's last `ok`."""
    completed = np.where(columns.completed >= 0, 2 * columns.completed, NEVER)
    if columns.timed:
        return 2 * columns.invoked, completed
    invoked = np.full(len(columns), -1, np.int64)
    order = np.lexsort((columns.began, columns.process))
    last = np.maximum.accumulate(np.where(completed[order] < NEVER, np.arange(len(order)), -1))[:-1]
    follows = (last >= 0) & (columns.process[order[last]] == columns.process[order[1:]])
    invoked[order[1:][follows]] = completed[order[last[follows]]] + 1
    return np.minimum(invoked, completed), completed


@kernel
def _limits(key, seen, written, previous, version_start, writer, read_start, reader, first, last, late, base):
    """By when each transaction is done, into last; until when each version is still read, or built upon, into late.

    first, last: int64[n], when transactions begin and end. base: the version that each was built upon. late, base:
    int64[rows], all -1.
    """
    keys = len(version_start) - 1
    for _ in range(2):
        for back in range(keys):
            k = keys - 1 - back
            for v in range(version_start[k + 1] - 1, version_start[k] - 1, -1):
                w = writer[v]
                for i in range(read_start[v + k + 1], read_start[v + k + 2]):
                    r = reader[i]
                    if last[r] < last[w]:
                        last[w] = last[r]
                    if first[w] > first[r]:
                        first[r] = first[w]
    for mop in range(len(key)):
        if written[mop] < 0:
            continue
        before = previous[mop]
        while before >= 0 and seen[before] < 0:
            before = previous[before]
        if before >= 0:
            base[written[mop]] = seen[before]
    for k in range(keys):
        low, high = version_start[k] + k, version_start[k + 1] + k
        for row in range(low, high + 1):
            if row > low:
                late[row] = first[writer[row - k - 1]]
            for i in range(read_start[row], read_start[row + 1]):
                if first[reader[i]] > late[row]:
                    late[row] = first[reader[i]]
        for _ in range(2):
            for row in range(high, low, -1):
                under = base[row]
                if under >= 0 and late[row] > late[under]:
                    late[under] = late[row]


@kernel_without_lock
def _execute(
    start,
    key,
    seen,
    written,
    previous,
    version_start,
    writer,
    read_start,
    reader,
    invoked,
    completed,
    last,
    late,
    base,
    ends,
    budget,
    second,
    stop,
    most_forced,
    current,
    pending,
    before,
    done,
    forced,
    place_of,
    asked_by,
    asked_over,
    turn_of,
    learnt_first,
    stack,
    blamed,
    by_learnt,
    learnt,
    learnt_next,
    given_up,
    serial,
):
    """Execute the transactions into serial; how many.

    budget: how often somebody may be turned back. learnt: int64[], room for as many lessons and those that are known:
    who comes before `second`. most_forced: how many may be executed although they need another one, before all that
    are left just follow. Room to work in: current, pending: int64[keys]; before: int64[m]; done, forced: int8[n], 0;
    place_of to learnt_first: int64[n], -1; stack, blamed, by_learnt: int64[n + 1]; learnt_next, given_up (0) as learnt.
    """
    for k in range(len(current)):
        current[k] = version_start[k] + k
        pending[k] = version_start[k]
    count = 0
    forced_count = 0
    learnt_count = len(second)
    for at in range(len(second)):
        learnt_next[at] = learnt_first[second[at]]
        learnt_first[second[at]] = at
    turn = 0
    while turn < len(ends):
        top = ends[turn]
        if done[top] == 2:
            turn += 1
            continue
        now = completed[top]
        depth = 0
        stack[0] = top
        done[top] = 1
        back = -1
        while depth >= 0 and back < 0:
            if stop[0] != 0:
                return count
            t = stack[depth]
            need = -1
            blame = -1
            stuck = False
            lesson = -1
            at = learnt_first[t]
            while at >= 0 and need < 0:
                if done[learnt[at]] != 2 and given_up[at] <= 0:
                    need = learnt[at]
                    stuck = done[need] == 1 or invoked[need] > now
                    lesson = at
                at = learnt_next[at]
            if need < 0:
                for mop in range(start[t], start[t + 1]):
                    k = key[mop]
                    row = seen[mop]
                    if row >= 0 and current[k] != row and row > version_start[k] + k:
                        w = writer[row - k - 1]
                        if done[w] != 2:
                            need = w
                            stuck = done[w] == 1 or invoked[w] > now
                            break
                    row = written[mop]
                    if row < 0:
                        continue
                    over = current[k]
                    for i in range(read_start[over], read_start[over + 1]):
                        r = reader[i]
                        if r != t and done[r] != 2:
                            blame = over - k - 1 if over > version_start[k] + k else -1
                            need = r
                            stuck = done[r] == 1 or invoked[r] > now
                            break
                    if need >= 0:
                        break
                    v = pending[k]
                    while v < version_start[k + 1] and done[writer[v]] == 2:
                        v += 1
                    pending[k] = v
                    while v < version_start[k + 1]:
                        w = writer[v]
                        if invoked[w] <= now and w != t and done[w] != 2 and last[w] < late[row]:
                            under = base[v + k + 1]
                            hops = 0
                            while under > version_start[k] + k and under != row and done[writer[under - k - 1]] != 2:
                                under = base[under] if hops < HOPS_MAX else -1
                                hops += 1
                            if under != row:
                                need = w
                                stuck = done[w] == 1
                                blame = -1
                                break
                        if invoked[w] > now and invoked[w] > late[row]:
                            break
                        v += 1
                    if need >= 0:
                        break
            if need >= 0 and not stuck:
                blamed[depth] = blame
                by_learnt[depth] = lesson
                depth += 1
                stack[depth] = need
                done[need] = 1
                continue
            if need >= 0 and budget > 0:
                # of the versions that stand in the way the one written last: who wants to overwrite it comes before it
                blamed[depth] = blame
                by_learnt[depth] = lesson
                best = -1
                best_over = -1
                again = -1
                doubted = -1
                for frame in range(depth, -1, -1):
                    wish = stack[frame]
                    over = writer[blamed[frame]] if blamed[frame] >= 0 else -1
                    hops = 0
                    while over >= 0 and done[over] == 2 and hops < HOPS_MAX:
                        hops += 1
                        if invoked[wish] <= completed[ends[turn_of[over]]]:
                            if best < 0 or place_of[over] > place_of[best_over]:
                                other = learnt_first[over]
                                while other >= 0 and learnt[other] != wish:
                                    other = learnt_next[other]
                                if other < 0 or (given_up[other] > 0 and given_up[other] < TRIED_AGAIN_MAX):
                                    best = wish
                                    best_over = over
                                    again = other
                            break
                        # it had not begun then: the version must come later, so what asked for it must not have
                        while over >= 0 and asked_over[over] < 0:
                            over = asked_by[over] if hops < HOPS_MAX else -1
                            hops += 1
                        if over >= 0:
                            wish = asked_by[over]
                            over = asked_over[over]
                    if by_learnt[frame] >= 0 and (doubted < 0 or by_learnt[frame] > by_learnt[doubted]):
                        doubted = frame
                    if invoked[need] <= now and stack[frame] == need:
                        break
                if best >= 0 and again >= 0:
                    given_up[again] = -given_up[again]
                    back = best_over
                    continue
                if best >= 0:
                    learnt[learnt_count] = best
                    learnt_next[learnt_count] = learnt_first[best_over]
                    learnt_first[best_over] = learnt_count
                    learnt_count += 1
                    back = best_over
                    continue
                if doubted >= 0:
                    given_up[by_learnt[doubted]] = 1 - given_up[by_learnt[doubted]]
                    budget -= 1
                    while depth > doubted:
                        done[stack[depth]] = 0
                        depth -= 1
                    continue
            if need >= 0:
                forced[t] = 1
                forced_count += 1
            for mop in range(start[t], start[t + 1]):
                if written[mop] >= 0:
                    before[mop] = current[key[mop]]
                    current[key[mop]] = written[mop]
            done[t] = 2
            asked_by[t] = stack[depth - 1] if depth > 0 else -1
            asked_over[t] = writer[blamed[depth - 1]] if depth > 0 and blamed[depth - 1] >= 0 else -1
            place_of[t] = count
            turn_of[t] = turn
            serial[count] = t
            count += 1
            depth -= 1
        if back >= 0:
            for frame in range(depth + 1):
                done[stack[frame]] = 0
            turn = turn_of[back]
            while done[back] == 2:
                count -= 1
                t = serial[count]
                budget -= 1
                for mop in range(start[t + 1] - 1, start[t] - 1, -1):
                    if written[mop] >= 0:
                        k = key[mop]
                        current[k] = before[mop]
                        if written[mop] - k - 1 < pending[k]:
                            pending[k] = written[mop] - k - 1
                done[t] = 0
                forced_count -= forced[t]
                forced[t] = 0
        elif forced_count > most_forced:
            break
    for at in range(turn, len(ends)):
        if done[ends[at]] != 2:
            serial[count] = ends[at]
            count += 1
    return count


@kernel
def _replay(serial, start, key, seen, written, invoked, completed, current, odd):
    """The transactions that an order does not explain, into odd; how many. current: of each key its first version."""
    count = 0
    begun = np.int64(-1)
    for i in range(len(serial)):
        t = serial[i]
        wrong = completed[t] < begun
        for mop in range(start[t], start[t + 1]):
            if seen[mop] >= 0 and current[key[mop]] != seen[mop]:
                wrong = True
        for mop in range(start[t], start[t + 1]):
            if written[mop] >= 0:
                current[key[mop]] = written[mop]
        if invoked[t] > begun:
            begun = invoked[t]
        if wrong:
            odd[count] = t
            count += 1
    return count
