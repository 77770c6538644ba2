"""Registers laid out for the compiled search: events in order, slots for what is pending, groups of crashed calls.

A *crashed* call is a write or cas that nobody knows the outcome of. It is left out where it can make no difference: its
value must be found by something that ends after the call began, that is by a read or cas that succeeded, or by another
crashed cas that is needed itself. (Taken out of an order, one whose value nothing finds leaves an order.) Those that
are needed are grouped by what they do, and each group has a field in packed counts, one bit wider than its largest
count: the guard bit by which all counts of a word are compared at once.

Cost: O(n), and O(crashed²) for a chain of crashed cas in the wrong order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.linearizability.linearizable_model import NEVER
from checkers.linearizability.register_columns import CAS, READ, WRITE, RegisterColumns, hashed
from harness.compiled import kernel, kernel_part
from harness.history import FAIL

WORD_BITS = 62
"""Bits used of a word: the sign is left alone, and so is the bit below it."""

CALL_FIELDS = 6
C_KIND, C_OLD, C_NEW, C_ACTION, C_SLOT, C_GROUP = range(CALL_FIELDS)
"""What a call did, as in the columns; calls that do the same have the same ACTION (-1: reads); SLOT: the bit that is
its own while it is pending; GROUP: of a crashed call, else -1."""

GROUP_FIELDS = 8
G_KIND, G_OLD, G_NEW, G_ACTION, G_COUNT, G_WORD, G_SHIFT, G_MASK = range(GROUP_FIELDS)
"""What the crashed calls of a group do, how many there are, and the field of their count: word, lowest bit, mask."""

SIZES = 5
Z_SLOTS, Z_ACTIONS, Z_WORDS, Z_CRASHED, Z_COMPLETIONS = range(SIZES)
"""How many slots and actions a register has, words of counts, needed crashed calls, completions."""


@dataclass(frozen=True)
class Layout:
    """k registers, n calls, as in the columns that it was made of.

    event_start: int64[k + 1]. event: int64, of register i event_start[i] : event_start[i + 1], in order: 2 × call for
    an invocation, 2 × call + 1 for a completion. calls: int64[n, CALL_FIELDS]. group_start: int64[k + 1]; groups:
    int64[g, GROUP_FIELDS]. sizes: int64[k, SIZES]. doomed: int64[k], the first call to return that found a value that
    nobody had begun to put, -1 where there is none: no order explains it.
    """

    event_start: np.ndarray
    event: np.ndarray
    calls: np.ndarray
    group_start: np.ndarray
    groups: np.ndarray
    sizes: np.ndarray
    doomed: np.ndarray


def lay_out(columns: RegisterColumns) -> Layout:
    """Every register of the columns."""
    return Layout(
        *_lay_out(
            columns.start,
            columns.kind,
            columns.outcome,
            columns.old,
            columns.new,
            columns.invoked,
            columns.returned,
            columns.values,
            columns.records,
        )
    )


@kernel
def _lay_out(
    start: np.ndarray,
    kind: np.ndarray,
    outcome: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    invoked: np.ndarray,
    returned: np.ndarray,
    values: np.ndarray,
    records: int,
) -> tuple[np.ndarray, ...]:
    n, registers = len(kind), len(values)
    needed = np.empty(n, np.bool_)
    calls = np.full((n, CALL_FIELDS), -1, np.int64)
    group_start = np.zeros(registers + 1, np.int64)
    groups = np.zeros((n, GROUP_FIELDS), np.int64)
    sizes = np.zeros((registers, SIZES), np.int64)
    event_start = np.zeros(registers + 1, np.int64)
    widest, most = 0, 1
    for i in range(registers):
        widest = max(widest, start[i + 1] - start[i])
        most = max(most, values[i])
    doomed = np.full(registers, -1, np.int64)
    of_value = np.empty(most, np.int64)
    table_size = 16
    while table_size < 2 * widest + 2:
        table_size *= 2
    table = np.empty(table_size, np.int64)
    stamp = np.full(table_size, -1, np.int32)
    call_of = np.empty(widest, np.int64)
    group_of = np.empty(widest, np.int64)
    register_of = np.empty(n, np.int32)
    for i in range(registers):
        begin, end = start[i], start[i + 1]
        room = of_value[: values[i]]
        doomed[i] = _first_doomed(begin, end, kind, outcome, old, new, invoked, returned, room)
        _mark_needed(begin, end, kind, outcome, old, new, invoked, returned, room, needed)
        mask = 16
        while mask < 2 * (end - begin) + 2:
            mask *= 2
        mask -= 1
        actions = 0
        events = 0
        first_group = group_start[i]
        last_group = first_group
        for call in range(begin, end):
            register_of[call] = i
            if not needed[call]:
                continue
            crashed = returned[call] == NEVER
            events += 1 if crashed else 2
            sizes[i, Z_COMPLETIONS] += not crashed
            calls[call, C_KIND], calls[call, C_OLD], calls[call, C_NEW] = kind[call], old[call], new[call]
            if kind[call] == READ:
                continue
            place = hashed((np.int64(old[call]) + 1) * (values[i] + 1) + new[call], mask)
            while stamp[place] == i:
                other = call_of[table[place]]
                if old[other] == old[call] and new[other] == new[call]:
                    break
                place = (place + 1) & mask
            if stamp[place] != i:
                stamp[place], table[place] = i, actions
                call_of[actions], group_of[actions] = call, -1
                actions += 1
            action = table[place]
            calls[call, C_ACTION] = action
            if crashed:
                sizes[i, Z_CRASHED] += 1
                if group_of[action] < 0:
                    group_of[action] = last_group
                    groups[last_group, G_KIND] = kind[call]
                    groups[last_group, G_OLD] = old[call]
                    groups[last_group, G_NEW] = new[call]
                    groups[last_group, G_ACTION] = action
                    last_group += 1
                calls[call, C_GROUP] = group_of[action] - first_group
                groups[group_of[action], G_COUNT] += 1
        group_start[i + 1] = last_group
        sizes[i, Z_ACTIONS] = actions
        sizes[i, Z_WORDS] = _place_counts(groups[first_group:last_group])
        event_start[i + 1] = event_start[i] + events
    event = _order_events(needed, register_of, invoked, returned, event_start, records, sizes, calls)
    return event_start, event, calls, group_start, groups[: group_start[registers]].copy(), sizes, doomed


@kernel_part
def _mark_needed(
    begin: int,
    end: int,
    kind: np.ndarray,
    outcome: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    invoked: np.ndarray,
    returned: np.ndarray,
    last_found: np.ndarray,
    needed: np.ndarray,
) -> None:
    """Mark what happened, and the crashed calls whose value is found after they began."""
    for value in range(len(last_found)):
        last_found[value] = -1
    crashed = 0
    for call in range(begin, end):
        needed[call] = outcome[call] != FAIL and returned[call] != NEVER
        crashed += returned[call] == NEVER
        if needed[call] and kind[call] != WRITE:
            last_found[old[call]] = max(last_found[old[call]], returned[call])
    grew = crashed > 0
    while grew:
        grew = False
        for call in range(end - 1, begin - 1, -1):
            if returned[call] != NEVER or last_found[new[call]] < invoked[call]:
                continue
            needed[call] = True
            if kind[call] == CAS and last_found[old[call]] < last_found[new[call]]:
                last_found[old[call]] = last_found[new[call]]
                grew = True


@kernel_part
def _first_doomed(
    begin: int,
    end: int,
    kind: np.ndarray,
    outcome: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    invoked: np.ndarray,
    returned: np.ndarray,
    first_put: np.ndarray,
) -> int:
    """The first call to return that found a value before anybody had begun to put it, -1 for none."""
    for value in range(len(first_put)):
        first_put[value] = NEVER
    first_put[0] = -1
    for call in range(begin, end):
        if kind[call] != READ and outcome[call] != FAIL:
            first_put[new[call]] = min(first_put[new[call]], invoked[call])
    first = -1
    for call in range(begin, end):
        if kind[call] == WRITE or outcome[call] == FAIL or returned[call] == NEVER:
            continue
        if first_put[old[call]] > returned[call] and (first < 0 or returned[call] < returned[first]):
            first = call
    return first


@kernel_part
def _place_counts(groups: np.ndarray) -> int:
    """Give each group a field of the packed counts; the number of words."""
    word, shift = 0, 0
    for g in range(len(groups)):
        width = 1
        while groups[g, G_COUNT] >> width:
            width += 1
        if shift + width + 1 > WORD_BITS:
            word, shift = word + 1, 0
        groups[g, G_WORD], groups[g, G_SHIFT], groups[g, G_MASK] = word, shift, (1 << width) - 1
        shift += width + 1
    return word + 1 if len(groups) else 0


@kernel_part
def _order_events(
    needed: np.ndarray,
    register_of: np.ndarray,
    invoked: np.ndarray,
    returned: np.ndarray,
    event_start: np.ndarray,
    records: int,
    sizes: np.ndarray,
    calls: np.ndarray,
) -> np.ndarray:
    """The events of each register in order; its slots into `calls` and their number into `sizes`."""
    registers = len(sizes)
    at = np.full(records, -1, np.int64)
    for call in range(len(needed)):
        if needed[call]:
            at[invoked[call]] = 2 * call
            if returned[call] != NEVER:
                at[returned[call]] = 2 * call + 1
    event = np.empty(event_start[registers], np.int64)
    free = event_start[:registers].copy()
    for place in range(records):
        if at[place] >= 0:
            i = register_of[at[place] >> 1]
            event[free[i]] = at[place]
            free[i] += 1
    unused = np.empty(len(needed), np.int32)
    for i in range(registers):
        spare, used = 0, 0
        for place in range(event_start[i], event_start[i + 1]):
            call = event[place] >> 1
            if event[place] & 1:
                unused[spare] = calls[call, C_SLOT]
                spare += 1
            elif returned[call] != NEVER:
                if spare:
                    spare -= 1
                    calls[call, C_SLOT] = unused[spare]
                else:
                    calls[call, C_SLOT] = used
                    used += 1
        sizes[i, Z_SLOTS] = used
    return event
