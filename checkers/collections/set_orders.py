"""Reads of a set that no one order of adds explains: reads that contradict each other, and orders within clients.

Of two reads of a set that only grows, the later contains the earlier. So all reads must form a chain: sorted by size,
an element, once shown, is shown by all larger reads; counting is enough to see that (an element first shown by the
read at place i of r must occur r - i times). Then each element has its place between two reads, and a client's ops, or
ops one after the other in time, must not go against it. See `checkers.collections.set_full`.
Cost: O(v log v) for v values read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from checkers.collections.set_columns import NEVER, SetColumns
from checkers.findings import Finding
from harness.history import OK
from harness.verdict import Anomaly

CHAIN = "G-nonadjacent-item"
REALTIME, PROCESS = "G-single-item-realtime", "G-single-item-process"
BACK, OWN = "non-monotonic-read", "missed-own-write"
SHOWN = 100


def find(columns: SetColumns, known: np.ndarray) -> Iterator[Finding | str]:
    """Findings; of each type those beyond the first hundred as its name alone. known: see `set_full.Visibility`."""
    possible = columns.invoked[columns.element] < NEVER
    read, element = columns.read_of[possible], columns.element[possible]
    if columns.reads == 0:
        return
    level = _levels(columns, read)
    apart = _apart(columns, read, element, level)
    yield from _contradictions(columns, apart, read, element, level)
    session = list(_sessions(columns, read, element))
    yield from session
    if columns.timed:
        yield from _late(columns, known, read, element)
    if not session and not len(apart):
        yield from _session_orders(columns, read, element, level)


def _levels(columns: SetColumns, read: np.ndarray) -> np.ndarray:
    """int64[r]: the place of each read in their order by size."""
    sizes = np.bincount(read, minlength=columns.reads)
    level = np.empty(columns.reads, np.int64)
    level[np.argsort(sizes, kind="stable")] = np.arange(columns.reads)
    return level


def _first_levels(columns: SetColumns, read: np.ndarray, element: np.ndarray, level: np.ndarray) -> np.ndarray:
    """int64[n]: the smallest read that shows each element, by its level; r for none."""
    first = np.full(len(columns.labels), columns.reads)
    np.minimum.at(first, element, level[read])
    return first


def _apart(columns: SetColumns, read: np.ndarray, element: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The elements that a read shows and a larger one, or one of the same size, misses."""
    first = _first_levels(columns, read, element, level)
    counts = np.bincount(element, minlength=len(columns.labels))
    return np.flatnonzero((counts > 0) & (counts < columns.reads - first))


def _contradictions(
    columns: SetColumns, apart: np.ndarray, read: np.ndarray, element: np.ndarray, level: np.ndarray
) -> Iterator[Finding | str]:
    by_level = np.argsort(level)
    first = _first_levels(columns, read, element, level)
    for place, one in enumerate(apart.tolist()):
        if place >= SHOWN:
            yield CHAIN
            continue
        showing = int(by_level[first[one]])
        larger = by_level[first[one] :].tolist()
        missing = next(each for each in larger if not columns.contains(each, one))
        mine = columns.element[columns.start[showing] : columns.start[showing + 1]]
        theirs = columns.element[columns.start[missing] : columns.start[missing + 1]]
        extra = theirs[columns.invoked[theirs] < NEVER]
        other = int(np.setdiff1d(extra, mine)[0])
        sentence = (
            f"Client {columns.read_process[showing]} read element {columns.label(one)} and not {columns.label(other)}; "
            f"client {columns.read_process[missing]} read {columns.label(other)} and not {columns.label(one)}. "
            "Whichever was added first, one of them should have seen both."
        )
        yield _finding(columns, CHAIN, CHAIN, [one, other], [showing, missing], sentence)


def _sessions(columns: SetColumns, read: np.ndarray, element: np.ndarray) -> Iterator[Finding | str]:
    """Reads of one client that go back, and reads that miss what their own client had added."""
    n = len(columns.labels)
    processes, session = np.unique(columns.read_process, return_inverse=True)
    by_session = np.argsort(session, kind="stable")
    sizes = np.bincount(session)
    base = np.concatenate(([0], np.cumsum(sizes)))
    turn = np.empty(columns.reads, np.int64)
    turn[by_session] = np.arange(columns.reads) - base[session[by_session]]
    key = (session[read] * n + element) * columns.reads + turn[read]
    key = np.sort(key, kind="stable")
    group = key // columns.reads
    begins = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1]))) if len(key) else np.empty(0, np.int64)
    counts = np.diff(np.append(begins, len(key)))
    groups, first_turn = group[begins], key[begins] % columns.reads
    back = np.flatnonzero(counts < sizes[groups // n] - first_turn) if len(key) else begins
    for place, each in enumerate(back.tolist()):
        if place >= SHOWN:
            yield BACK
            continue
        who, one = divmod(int(groups[each]), n)
        mine = by_session[base[who] : base[who + 1]]
        showing = int(mine[first_turn[each]])
        missing = next(int(r) for r in mine[first_turn[each] :] if not columns.contains(int(r), one))
        sentence = (
            f"Client {processes[who]} read element {columns.label(one)}, and a later read of the same client misses it."
        )
        yield _finding(columns, BACK, PROCESS, [one], [showing, missing], sentence)
    yield from _own(columns, processes, mine_of=(by_session, base), key=key)


def _own(
    columns: SetColumns, processes: np.ndarray, mine_of: tuple[np.ndarray, np.ndarray], key: np.ndarray
) -> Iterator[Finding | str]:
    by_session, base = mine_of
    n, reads = len(columns.labels), columns.reads
    adds = columns.adds
    who = columns.history.process[adds.begin]
    session = np.searchsorted(processes, who)
    mine = (adds.outcome == OK) & (session < len(processes))
    mine[mine] = processes[session[mine]] == who[mine]
    place = 0
    ok = np.flatnonzero(mine)
    order = columns.read_begin[by_session]
    span = int(columns.read_begin.max()) + 2
    by_session_and_begin = np.repeat(np.arange(len(processes)), np.diff(base)) * span + order
    first = np.searchsorted(by_session_and_begin, session[ok] * span + np.minimum(adds.end[ok], span - 1))
    turn = first - base[session[ok]]
    group = (session[ok] * n + columns.added[ok]) * reads
    shown = np.searchsorted(key, group + reads) - np.searchsorted(key, group + turn)
    due = base[session[ok] + 1] - first
    for i in np.flatnonzero(shown < due).tolist():
        place += 1
        if place > SHOWN:
            yield OWN
            continue
        one = int(columns.added[ok[i]])
        mine_reads = by_session[first[i] : base[session[ok[i]] + 1]]
        missing = next(int(r) for r in mine_reads if not columns.contains(int(r), one))
        sentence = (
            f"Client {who[ok[i]]} added element {columns.label(one)} and was told so, and a later read of the same "
            "client misses it."
        )
        yield _finding(columns, OWN, PROCESS, [one], [missing], sentence)


def _late(columns: SetColumns, known: np.ndarray, read: np.ndarray, element: np.ndarray) -> Iterator[Finding | str]:
    """Reads that show an element and miss one that was known before the add of the other began."""
    newest = np.full(columns.reads, -1)
    np.maximum.at(newest, read, columns.invoked[element])
    by_known = np.argsort(known, kind="stable")
    ordered = known[by_known]
    due = np.searchsorted(ordered, newest, side="left")
    rank = np.empty(len(known), np.int64)
    rank[by_known] = np.arange(len(known))
    shown = np.bincount(read[rank[element] < due[read]], minlength=columns.reads)
    place = 0
    for late in np.flatnonzero(shown < due).tolist():
        missing = (
            [
                int(each)
                for each in by_known[: due[late]]
                if known[each] >= columns.read_begin[late] and not columns.contains(late, int(each))
            ]
            if place < SHOWN
            else []
        )
        if place >= SHOWN:
            yield REALTIME
            continue
        if not missing:
            continue
        place += 1
        part = columns.element[columns.start[late] : columns.start[late + 1]]
        part = part[columns.invoked[part] < NEVER]
        other = int(part[np.argmax(columns.invoked[part])])
        one = missing[0]
        sentence = (
            f"Client {columns.read_process[late]} read element {columns.label(other)} and not {columns.label(one)}, "
            f"though {columns.label(one)} was there before the add of {columns.label(other)} began."
        )
        yield _finding(columns, REALTIME, REALTIME, [one, other], [late], sentence)


def _session_orders(
    columns: SetColumns, read: np.ndarray, element: np.ndarray, level: np.ndarray
) -> Iterator[Finding | str]:
    """A client's ops against the order of the reads by inclusion: levels must not fall within one client.

    Only for elements that were added once: of several adds, any may be the one that counts. An add with an unknown
    outcome may happen after whatever its client did next.
    """
    sizes = np.bincount(read, minlength=columns.reads)
    rank = np.searchsorted(np.sort(sizes), sizes)
    first = np.full(len(columns.labels), columns.reads)
    np.minimum.at(first, element, rank[read])
    adds = columns.adds
    single = columns.attempts[columns.added] == 1
    counted = np.flatnonzero(single & ((adds.outcome == OK) | (first[columns.added] < columns.reads)))
    places = np.concatenate((columns.read_begin, adds.begin[counted]))
    heights = np.concatenate((2 * rank + 1, 2 * first[columns.added[counted]]))
    who = np.concatenate((columns.read_process, columns.history.process[adds.begin[counted]]))
    certain = np.concatenate((np.ones(columns.reads, bool), adds.outcome[counted] == OK))
    order = np.lexsort((places, who))
    highest: dict[int, tuple[int, int]] = {}
    count = 0
    for at in order.tolist():
        process, height = int(who[at]), int(heights[at])
        before = highest.get(process)
        if before is not None and height < before[0]:
            count += 1
            if count > SHOWN:
                yield PROCESS
                continue
            sentence = (
                f"Client {process} did one op after another, but what reads show puts the later one first: "
                f"{_named(columns, before[1], counted)}, then {_named(columns, at, counted)}."
            )
            records = sorted({_record(columns, before[1], counted), _record(columns, at, counted)})
            yield Finding(Anomaly(PROCESS, records, sentence, sub_history=records), PROCESS)
        elif certain[at] and (before is None or height > before[0]):
            highest[process] = (height, at)


def _named(columns: SetColumns, at: int, counted: np.ndarray) -> str:
    if at < columns.reads:
        return f"a read of {columns.start[at + 1] - columns.start[at]} elements (op {_record(columns, at, counted)})"
    element = int(columns.added[counted[at - columns.reads]])
    return f"the add of {columns.label(element)} (op {_record(columns, at, counted)})"


def _record(columns: SetColumns, at: int, counted: np.ndarray) -> int:
    place = columns.read_end[at] if at < columns.reads else columns.adds.source[counted[at - columns.reads]]
    return int(columns.history.index[place])


def _finding(
    columns: SetColumns, kind: str, evidence: str, elements: list[int], reads: list[int], sentence: str
) -> Finding:
    records = {columns.read_record(read) for read in reads}
    for element in elements:
        records |= set(columns.add_records(element))
    ops = sorted(records)
    return Finding(Anomaly(kind, ops, sentence, key=columns.shown(elements[0]), sub_history=ops), evidence)
