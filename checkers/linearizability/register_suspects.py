"""Which few calls of a broken register can have a name for what went wrong?

Problem: of ten thousand calls on a broken register most often one is wrong; to make an object of each call, only to see
that nothing is wrong with it, costs more than to decide. Idea: ask what `register_anomalies` asks of every call, as
columns, and pick the calls that fail, with those that prove it. What needs a look at the register as a whole (lost
writes, several updates of one value) is only told to be possible or not.

Cost: O(n log n) for one sort; one pass compiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.linearizability.linearizable_model import NEVER
from checkers.linearizability.register_columns import CAS, READ, WRITE, RegisterColumns
from harness.compiled import kernel
from harness.history import FAIL, OK


@dataclass(frozen=True)
class Suspects:
    """Of one register, by the numbers of its calls, from 0.

    wrong: those that found what they can't have found. needed: these and the calls that prove it.
    others: whether there may be lost writes or updates lost together, which all calls must be asked for.
    """

    wrong: np.ndarray
    needed: np.ndarray
    others: bool


def suspects(columns: RegisterColumns) -> Suspects:
    """The suspects among the calls of a single register."""
    finished = np.flatnonzero(columns.outcome == OK)
    by_end = finished[np.argsort(columns.returned[finished])]
    writer, witness = _grounds(
        columns.kind,
        columns.outcome,
        columns.old,
        columns.new,
        columns.invoked,
        columns.returned,
        by_end,
        int(columns.values[0]),
    )
    finds = (columns.outcome == OK) & (columns.old >= 0)
    unwritten = finds & (writer < 0) & (columns.old > 0)
    last = np.where(writer < 0, -1, columns.returned[writer])
    replaced = finds & ~unwritten & (witness >= 0) & (columns.invoked[witness] > last)
    replaced &= (columns.kind != CAS) | (columns.kind[witness] != READ)
    needed = [np.flatnonzero(unwritten | replaced), witness[replaced], writer[replaced & (writer >= 0)]]
    for value in np.unique(columns.old[unwritten]).tolist():
        puts = columns.new == value
        for some in (puts & (columns.outcome != FAIL), puts & (columns.outcome == FAIL)):
            needed.append(np.flatnonzero(some)[:1])
    return Suspects(
        wrong=needed[0],
        needed=np.unique(np.concatenate(needed)),
        others=_may_be_updated_twice(columns) or _may_lose_writes(columns),
    )


def _may_be_updated_twice(columns: RegisterColumns) -> bool:
    """Whether more compare-and-sets succeeded from a value than calls may have put it there."""
    values = int(columns.values[0])
    times = np.bincount(columns.new[(columns.new >= 0) & (columns.outcome != FAIL)], minlength=values)
    times[0] += 1
    taken = np.bincount(columns.old[(columns.kind == CAS) & (columns.outcome == OK)], minlength=values)
    return bool((taken > times).any())


def _may_lose_writes(columns: RegisterColumns) -> bool:
    """Whether some call looks back, as `register_lost_writes` has it, on a write that nobody is known to see later.

    A read alone proves no loss: what was found next must be older than the write, too.
    """
    values = int(columns.values[0])
    puts = np.flatnonzero((columns.new >= 0) & (columns.outcome != FAIL))
    single = np.bincount(columns.new[puts], minlength=values) == 1
    untouched = not (columns.new[puts] == 0).any()
    single[0] = False
    if not single.any():
        return False
    writer = np.full(values, -1, np.int64)
    writer[columns.new[puts]] = puts
    finds = np.flatnonzero((columns.outcome == OK) & (columns.old >= 0))
    seen, found_last = np.full(values, NEVER, np.int64), np.full(values, -1, np.int64)
    np.minimum.at(seen, columns.old[finds], columns.returned[finds])
    np.maximum.at(found_last, columns.old[finds], columns.returned[finds])
    seen[seen <= columns.invoked[writer]] = NEVER
    happened = np.where(single, np.minimum(seen, columns.returned[writer]), NEVER)
    if untouched:
        happened[0] = -1
    known = np.flatnonzero(single & (happened < NEVER))
    known = known[np.argsort(happened[known], kind="stable")]
    if not len(known):
        return False
    began = columns.invoked[writer[known]]
    newest = np.maximum.accumulate(np.where(began == np.maximum.accumulate(began), np.arange(len(known)), 0))
    place = np.searchsorted(happened[known], columns.invoked[finds]) - 1
    value = newest[np.maximum(place, 0)]
    found = happened[columns.old[finds]]
    looks_back = (place >= 0) & (found < began[value]) & (found_last[known[value]] < columns.invoked[finds])
    again = np.append(found[1:] < began[value[:-1]], False)
    return bool((looks_back & ((columns.kind[finds] == CAS) | again)).any())


@kernel
def _grounds(kind, outcome, old, new, invoked, returned, by_end, values):
    """(writer, witness) of each call that found a value, -1 where there is none.

    writer: of those that began to put the value before the call returned, the one that returned last. witness: of those
    that returned before the call began, and show the register with another value, the one that began last.
    """
    n = len(kind)
    writer = np.full(n, -1, np.int64)
    witness = np.full(n, -1, np.int64)
    last = np.full(values, -1, np.int64)
    begun = 0
    for place in range(len(by_end)):
        call = by_end[place]
        while begun < n and invoked[begun] < returned[call]:
            value = new[begun]
            if value >= 0 and outcome[begun] != FAIL and (last[value] < 0 or returned[begun] > returned[last[value]]):
                last[value] = begun
            begun += 1
        if old[call] >= 0:
            writer[call] = last[old[call]]
    first, second = -1, -1
    about_first = -1
    ended = 0
    for call in range(n):
        while ended < len(by_end) and returned[by_end[ended]] < invoked[call]:
            other = by_end[ended]
            about = -1 if kind[other] == CAS else (new[other] if kind[other] == WRITE else old[other])
            if first < 0:
                first, about_first = other, about
            elif about < 0 or about != about_first:
                if other > first:
                    first, about_first, second = other, about, first
                elif second < 0 or other > second:
                    second = other
            elif other > first:
                first = other
            ended += 1
        if outcome[call] == OK and old[call] >= 0:
            witness[call] = first if about_first < 0 or about_first != old[call] else second
    return writer, witness
