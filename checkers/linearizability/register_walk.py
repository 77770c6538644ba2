"""The search for an order of one register's calls, compiled.

The algorithm is that of `linearizable_search`, whose docstring gives its steps and their reasons; here each
configuration is a row of whole numbers. What differs:

- Of several ways to use crashed calls, those with fewer uses in all are explored first, level by level; a level is
  entered only when it is needed, so that crashed calls cost nothing where none has happened.
- A crashed call is placed only where something finds its value before it is overwritten: without it the same follows.
- A blind write that nothing can find (no pending read of its value, no cas from it) is not tried before another.

A walk can be left and taken up again: everything that it knows is in its arrays. It is left when it has made as many
steps as it was given (PAUSED), or when its arrays are full (FULL: with greater ones it goes on at the same completion).

Row: state × 2 + whether the last call placed was unseen; bits of the calls to be placed, bits of the optional ones (W
words each); crashed calls used in all; packed counts of each group (C words). Cost: a step is a row looked at or made,
some 20 ns.
"""

from __future__ import annotations

import numpy as np

from checkers.linearizability.register_columns import CAS, READ, WRITE
from checkers.linearizability.register_layout import (
    C_ACTION,
    C_GROUP,
    C_KIND,
    C_NEW,
    C_OLD,
    C_SLOT,
    G_ACTION,
    G_KIND,
    G_MASK,
    G_NEW,
    G_OLD,
    G_SHIFT,
    G_WORD,
    WORD_BITS,
)
from harness.compiled import kernel, kernel_part

INVALID, VALID, PAUSED, FULL = range(4)

HOW_FIELDS = 8
H_WORDS, H_COUNTS, H_VALUES, H_CRASHED, H_KEEP, H_MORE, H_UNTIL, H_STOP = range(HOW_FIELDS)
"""Words of bits; words of counts; values; NO_CRASHED, COUNTED or UNLIMITED; how many configurations are kept (0: all),
and how many more crashed calls than the fewest may be used to get past a completion (-1: any number); the steps, and
the event, at which it pauses."""
NO_CRASHED, COUNTED, UNLIMITED = range(3)

AT_FIELDS = 16
(
    A_EVENT,
    A_STAGE,
    A_WHICH,
    A_FRONTIER,
    A_AFTER,
    A_NODES,
    A_DONE,
    A_BEGIN,
    A_END,
    A_LEVEL,
    A_FOUND,
    A_GENERATION,
    A_PENDING,
    A_COMPLETED,
    A_MAX,
    A_STEPS,
) = range(AT_FIELDS)
"""Where a walk is. STAGE: what it does at the completion that EVENT points at."""
ARRIVING, SEEDING, EXPANDING, RAISING = range(4)

SETS = 3
S_BLIND, S_READS, S_FRESH = -1, -2, -3
"""The last rows of the sets of pending calls: the writes, the reads, those invoked since the last completion."""

NONE = 2**62

SCORES = 128 * 32
"""Configurations are told apart by so many scores when only some are kept."""
SAME_STATE = 16
"""What an earlier configuration of the same state makes the next one worse: of each state some are kept."""
DOMINANCE_MAX = 400
"""So many others a configuration is compared with: beyond that it costs more than it saves."""


@kernel
def walk(
    event: np.ndarray,
    calls: np.ndarray,
    returned: np.ndarray,
    groups: np.ndarray,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    tallies: np.ndarray,
    heads: np.ndarray,
    pending: np.ndarray,
    fronts: np.ndarray,
    nodes: np.ndarray,
    tables: np.ndarray,
    row: np.ndarray,
) -> int:
    """Go on until the end (VALID), a completion that nothing gets past (INVALID), PAUSED or FULL.

    event: the register's, as laid out. calls: int64[n, CALL_FIELDS] and returned: int64[n], of all calls. groups:
    int64[g, GROUP_FIELDS]; guards: int64[C]. how, at: see above.
    sets: int64[values + actions + SETS, W], bits of pending calls: the reads of each value, those that do the same,
    SETS. tallies: int64[values + g]: pending cas from each value and groups of such; crashed calls invoked so far.
    heads: int64[values], -1. pending: int64[slots], those that are no reads, by action, earliest to return first.
    fronts: int64[2, rows, length]; nodes: int64[rows, length]; tables: int64[2, 3, size], size a power of two, at
    least 2 × rows; row: int64[length].
    """
    words = how[H_WORDS]
    total_at = 1 + 2 * words
    more, crashed = how[H_MORE], how[H_CRASHED]
    rows = len(nodes)
    while at[A_EVENT] < min(len(event), how[H_STOP]):
        call = event[at[A_EVENT]] >> 1
        if not event[at[A_EVENT]] & 1:
            _invoke(call, calls, returned, how, at, sets, tallies, pending)
            at[A_EVENT] += 1
            continue
        front, after = fronts[at[A_WHICH]], fronts[1 - at[A_WHICH]]
        word, bit = calls[call, C_SLOT] // WORD_BITS, 1 << (calls[call, C_SLOT] % WORD_BITS)
        if at[A_STAGE] == ARRIVING:
            _settle(front, how, at, sets)
            _pass(front, after, word, bit, guards, how, at, tables[1], row)
        while at[A_LEVEL] < NONE and (more < 0 or at[A_FOUND] == NONE or at[A_LEVEL] <= at[A_FOUND] + more):
            if at[A_STAGE] == SEEDING:
                if at[A_NODES] + at[A_FRONTIER] > rows:
                    return _full(at)
                _seed(front, nodes, word, bit, guards, how, at, tables[0], row)
            while at[A_STAGE] == EXPANDING and at[A_DONE] < at[A_NODES]:
                if at[A_STEPS] >= how[H_UNTIL]:
                    return PAUSED
                if max(at[A_NODES], at[A_AFTER]) + at[A_PENDING] + len(groups) > rows:
                    return _full(at)
                i = at[A_DONE]
                _expand(i, call, word, bit, calls, guards, how, at, sets, tallies, pending, nodes, after, tables, row)
                if crashed == UNLIMITED:
                    _raise(i, word, bit, groups, guards, how, at, sets, tallies, nodes, after, tables, row)
                at[A_DONE] += 1
            if at[A_STAGE] == EXPANDING:
                at[A_STAGE], at[A_END] = RAISING, at[A_NODES]
            if crashed == COUNTED and (more < 0 or at[A_FOUND] == NONE or at[A_LEVEL] < at[A_FOUND] + more):
                while at[A_BEGIN] < at[A_END]:
                    if at[A_STEPS] >= how[H_UNTIL]:
                        return PAUSED
                    if max(at[A_NODES], at[A_AFTER]) + len(groups) > rows:
                        return _full(at)
                    i = at[A_BEGIN]
                    _raise(i, word, bit, groups, guards, how, at, sets, tallies, nodes, after, tables, row)
                    at[A_BEGIN] += 1
            at[A_BEGIN] = at[A_END]
            level = at[A_LEVEL] + 1 if at[A_NODES] > at[A_END] else NONE
            for i in range(at[A_FRONTIER]):
                if (front[i, 1 + word] | front[i, 1 + words + word]) & bit and front[i, total_at] > at[A_LEVEL]:
                    level = min(level, front[i, total_at])
            at[A_LEVEL], at[A_STAGE] = level, SEEDING
        at[A_STAGE] = ARRIVING
        if at[A_AFTER] == 0:
            return INVALID
        _retire(call, calls, how, at, sets, tallies, pending)
        at[A_FRONTIER] = _undominated(after, tables[0, 2], guards, how, at, sets, heads)
        if 0 < how[H_KEEP] < at[A_FRONTIER]:
            _keep_fewest(after, nodes, how, at)
        at[A_WHICH] = 1 - at[A_WHICH]
        at[A_MAX] = max(at[A_MAX], at[A_FRONTIER])
        at[A_COMPLETED] += 1
        at[A_EVENT] += 1
    return VALID if at[A_EVENT] == len(event) else PAUSED


@kernel_part
def _full(at: np.ndarray) -> int:
    """With greater arrays it begins the completion again."""
    at[A_STAGE] = ARRIVING
    return FULL


@kernel_part
def _invoke(
    call: int,
    calls: np.ndarray,
    returned: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    tallies: np.ndarray,
    pending: np.ndarray,
) -> None:
    """A call has begun: from now on it is to be placed; a crashed one may be."""
    kind, values = calls[call, C_KIND], how[H_VALUES]
    group = calls[call, C_GROUP]
    if group >= 0:
        tallies[values + group] += 1
        if tallies[values + group] == 1 and kind == CAS:
            tallies[calls[call, C_OLD]] += 1
        return
    word, bit = calls[call, C_SLOT] // WORD_BITS, 1 << (calls[call, C_SLOT] % WORD_BITS)
    sets[S_FRESH, word] |= bit
    if kind == READ:
        sets[calls[call, C_OLD], word] |= bit
        sets[S_READS, word] |= bit
        return
    action = calls[call, C_ACTION]
    sets[values + action, word] |= bit
    if kind == WRITE:
        sets[S_BLIND, word] |= bit
    else:
        tallies[calls[call, C_OLD]] += 1
    place = at[A_PENDING]
    while place > 0 and (
        calls[pending[place - 1], C_ACTION] > action
        or (calls[pending[place - 1], C_ACTION] == action and returned[pending[place - 1]] > returned[call])
    ):
        pending[place] = pending[place - 1]
        place -= 1
    pending[place] = call
    at[A_PENDING] += 1


@kernel_part
def _retire(
    call: int,
    calls: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    tallies: np.ndarray,
    pending: np.ndarray,
) -> None:
    """A call has ended."""
    kind = calls[call, C_KIND]
    word, bit = calls[call, C_SLOT] // WORD_BITS, 1 << (calls[call, C_SLOT] % WORD_BITS)
    if kind == READ:
        sets[calls[call, C_OLD], word] &= ~bit
        sets[S_READS, word] &= ~bit
        return
    sets[how[H_VALUES] + calls[call, C_ACTION], word] &= ~bit
    if kind == WRITE:
        sets[S_BLIND, word] &= ~bit
    else:
        tallies[calls[call, C_OLD]] -= 1
    place = 0
    while pending[place] != call:
        place += 1
    at[A_PENDING] -= 1
    for later in range(place, at[A_PENDING]):
        pending[later] = pending[later + 1]


@kernel_part
def _settle(front: np.ndarray, how: np.ndarray, at: np.ndarray, sets: np.ndarray) -> None:
    """Add what was invoked since the last completion to each configuration, without the reads that it satisfies."""
    for word in range(how[H_WORDS]):
        for i in range(at[A_FRONTIER]):
            front[i, 1 + word] = (front[i, 1 + word] | sets[S_FRESH, word]) & ~sets[front[i, 0] >> 1, word]
        sets[S_FRESH, word] = 0


@kernel_part
def _pass(
    front: np.ndarray,
    after: np.ndarray,
    word: int,
    bit: int,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    table: np.ndarray,
    row: np.ndarray,
) -> None:
    """Begin a completion: configurations in which the call was placed, or passed over, get past it."""
    words = how[H_WORDS]
    total_at = 1 + 2 * words
    at[A_GENERATION] += 1
    at[A_AFTER] = at[A_NODES] = at[A_DONE] = at[A_BEGIN] = at[A_END] = 0
    at[A_FOUND] = at[A_LEVEL] = NONE
    for i in range(at[A_FRONTIER]):
        if not front[i, 1 + word] & bit:
            _take(row, front, i)
            row[1 + words + word] &= ~bit
            at[A_AFTER] += _added(after, at[A_AFTER], table, row, guards, how, at)
            at[A_FOUND] = min(at[A_FOUND], row[total_at])
        if (front[i, 1 + word] | front[i, 1 + words + word]) & bit:
            at[A_LEVEL] = min(at[A_LEVEL], front[i, total_at])
    at[A_STEPS] += at[A_FRONTIER]
    at[A_STAGE] = SEEDING


@kernel_part
def _seed(
    front: np.ndarray,
    nodes: np.ndarray,
    word: int,
    bit: int,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    table: np.ndarray,
    row: np.ndarray,
) -> None:
    """Begin a level: the configurations of so many crashed calls in which the call may be placed."""
    words = how[H_WORDS]
    for i in range(at[A_FRONTIER]):
        if front[i, 1 + 2 * words] == at[A_LEVEL] and (front[i, 1 + word] | front[i, 1 + words + word]) & bit:
            _take(row, front, i)
            at[A_NODES] += _added(nodes, at[A_NODES], table, row, guards, how, at)
    at[A_STEPS] += at[A_FRONTIER]
    at[A_STAGE] = EXPANDING


@kernel_part
def _expand(
    i: int,
    call: int,
    word: int,
    bit: int,
    calls: np.ndarray,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    tallies: np.ndarray,
    pending: np.ndarray,
    nodes: np.ndarray,
    after: np.ndarray,
    tables: np.ndarray,
    row: np.ndarray,
) -> None:
    """Place each pending call that may be placed next: of those that do the same, the earliest to return."""
    words = how[H_WORDS]
    state, unseen = nodes[i, 0] >> 1, nodes[i, 0] & 1
    last = -1
    for place in range(at[A_PENDING]):
        other = pending[place]
        action, kind = calls[other, C_ACTION], calls[other, C_KIND]
        if action == last:
            continue
        own_word, own = calls[other, C_SLOT] // WORD_BITS, 1 << (calls[other, C_SLOT] % WORD_BITS)
        if not (nodes[i, 1 + own_word] | nodes[i, 1 + words + own_word]) & own:
            continue
        last = action
        if unseen if kind == WRITE else calls[other, C_OLD] != state:
            continue
        _take(row, nodes, i)
        row[1 + own_word] &= ~own
        row[1 + words + own_word] &= ~own
        _place(
            calls[other, C_NEW],
            kind == WRITE,
            kind == WRITE,
            other == call,
            word,
            bit,
            guards,
            how,
            at,
            sets,
            tallies,
            nodes,
            after,
            tables,
            row,
        )
    at[A_STEPS] += 1 + at[A_PENDING]


@kernel_part
def _raise(
    i: int,
    word: int,
    bit: int,
    groups: np.ndarray,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    tallies: np.ndarray,
    nodes: np.ndarray,
    after: np.ndarray,
    tables: np.ndarray,
    row: np.ndarray,
) -> None:
    """Place a crashed call of each group that may be placed next, unless a pending call does the same."""
    words, values = how[H_WORDS], how[H_VALUES]
    counted = how[H_CRASHED] == COUNTED
    state, unseen = nodes[i, 0] >> 1, nodes[i, 0] & 1
    counts_at = 2 + 2 * words
    at[A_STEPS] += 1 + len(groups)
    for g in range(len(groups)):
        if not tallies[values + g]:
            continue
        blind = groups[g, G_KIND] == WRITE
        if unseen if blind else groups[g, G_OLD] != state:
            continue
        column = counts_at + groups[g, G_WORD]
        if counted and (nodes[i, column] >> groups[g, G_SHIFT]) & groups[g, G_MASK] >= tallies[values + g]:
            continue
        same = False
        for w in range(words):
            same |= (nodes[i, 1 + w] | nodes[i, 1 + words + w]) & sets[values + groups[g, G_ACTION], w] != 0
        if same:
            continue
        _take(row, nodes, i)
        if counted:
            row[column] += 1 << groups[g, G_SHIFT]
            row[counts_at - 1] += 1
        new = groups[g, G_NEW]
        _place(
            new, blind, np.bool_(1), np.bool_(0), word, bit, guards, how, at, sets, tallies, nodes, after, tables, row
        )


@kernel_part
def _place(
    new: int,
    blind: bool,
    lossy: bool,
    done: bool,
    word: int,
    bit: int,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    tallies: np.ndarray,
    nodes: np.ndarray,
    after: np.ndarray,
    tables: np.ndarray,
    row: np.ndarray,
) -> None:
    """Finish `row`, in which a call that put `new` was placed, and add it to the nodes, or to what gets past.

    lossy: it is of no use unless something finds its value. done: it is the call that completes.
    """
    words = how[H_WORDS]
    seen = False
    for w in range(words):
        if blind:
            row[1 + words + w] |= row[1 + w] & sets[S_BLIND, w]
            row[1 + w] &= ~sets[S_BLIND, w]
        found = row[1 + w] & sets[new, w]
        if found:
            seen = True
            done |= w == word and found & bit != 0
            row[1 + w] &= ~found
    if done:
        row[0] = 2 * new
        row[1 + words + word] &= ~bit
        at[A_FOUND] = min(at[A_FOUND], row[1 + 2 * words])
        at[A_AFTER] += _added(after, at[A_AFTER], tables[1], row, guards, how, at)
        return
    unseen = lossy and not seen
    if unseen and tallies[new] == 0:
        return
    row[0] = 2 * new + unseen
    at[A_NODES] += _added(nodes, at[A_NODES], tables[0], row, guards, how, at)


@kernel_part
def _added(
    held: np.ndarray,
    count: int,
    table: np.ndarray,
    row: np.ndarray,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
) -> int:
    """1 if `row` was added to the `count` rows held, 0 if one of them is the same but for no more crashed calls.

    table: int64[3, size]: row by hash of all but its counts, the generation that put it there; the row of the same hash
    before each row.
    """
    base = 1 + 2 * how[H_WORDS]
    mixed = np.uint64(0)
    for column in range(base):
        mixed = (mixed ^ np.uint64(row[column])) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    mask = np.uint64(len(table[0]) - 1)
    place = np.int64(mixed & mask)
    while table[1, place] == at[A_GENERATION]:
        other = table[0, place]
        same = True
        for column in range(base):
            same &= held[other, column] == row[column]
        if same:
            while other >= 0:
                if _no_more(held[other], row, guards, base + 1):
                    return 0
                other = table[2, other]
                at[A_STEPS] += 1
            table[2, count] = table[0, place]
            table[0, place] = count
            _copy(held, count, row)
            return 1
        place = (place + 1) & np.int64(mask)
    table[0, place], table[1, place] = count, at[A_GENERATION]
    table[2, count] = -1
    _copy(held, count, row)
    return 1


@kernel_part
def _no_more(fewer: np.ndarray, used: np.ndarray, guards: np.ndarray, first: int) -> bool:
    """Whether each count of the first row is at most the second's."""
    for word in range(len(guards)):
        if ((used[first + word] | guards[word]) - fewer[first + word]) & guards[word] != guards[word]:
            return False
    return True


@kernel_part
def _undominated(
    after: np.ndarray,
    chain: np.ndarray,
    guards: np.ndarray,
    how: np.ndarray,
    at: np.ndarray,
    sets: np.ndarray,
    heads: np.ndarray,
) -> int:
    """Drop each configuration that another of its state is at least as free as; how many are left.

    Each is compared with at most DOMINANCE_MAX others. chain: int64[rows], room to work in.
    """
    count = at[A_AFTER]
    if count == 1:
        return 1
    for i in range(count):
        state = after[i, 0] >> 1
        before, other, dominated = -1, heads[state], False
        for _ in range(DOMINANCE_MAX):
            if other < 0:
                break
            at[A_STEPS] += 1
            if _dominates(after[other], after[i], guards, how, sets):
                dominated = True
                break
            if _dominates(after[i], after[other], guards, how, sets):
                after[other, 0] = -1
                if before < 0:
                    heads[state] = chain[other]
                else:
                    chain[before] = chain[other]
            else:
                before = other
            other = chain[other]
        if dominated:
            after[i, 0] = -1
        else:
            chain[i] = heads[state]
            heads[state] = i
    kept = 0
    for i in range(count):
        if after[i, 0] >= 0:
            heads[after[i, 0] >> 1] = -1
            if kept < i:
                _take(after[kept], after, i)
            kept += 1
    return kept


@kernel_part
def _dominates(free: np.ndarray, row: np.ndarray, guards: np.ndarray, how: np.ndarray, sets: np.ndarray) -> bool:
    """Whether, in one state, every pending call is at least as free in the first, and every count no greater."""
    words = how[H_WORDS]
    for w in range(words):
        to_place, optional = free[1 + w], free[1 + words + w]
        reads = sets[S_READS, w]
        if row[1 + words + w] & ~optional or (row[1 + w] ^ to_place) & ~optional & ~reads:
            return False
        if to_place & reads & ~row[1 + w]:
            return False
    return _no_more(free, row, guards, 2 + 2 * words)


@kernel_part
def _keep_fewest(after: np.ndarray, nodes: np.ndarray, how: np.ndarray, at: np.ndarray) -> None:
    """Keep the configurations that used the fewest crashed calls; of those the ones with the fewest to be placed, and
    some of each state, or the one that leads on may be lost.
    """
    words, keep = how[H_WORDS], how[H_KEEP]
    fewest = NONE
    for i in range(at[A_FRONTIER]):
        fewest = min(fewest, after[i, 1 + 2 * words])
    held = np.zeros(SCORES, np.int64)
    alike = np.zeros(how[H_VALUES], np.int64)
    score = np.empty(at[A_FRONTIER], np.int64)
    for i in range(at[A_FRONTIER]):
        bits = 64
        for w in range(words):
            bits += _bits(after[i, 1 + w]) - _bits(after[i, 1 + words + w])
        score[i] = 128 * (after[i, 1 + 2 * words] - fewest) + min(max(bits, 0), 127)
        score[i] += SAME_STATE * alike[after[i, 0] >> 1]
        alike[after[i, 0] >> 1] += 1
        score[i] = min(score[i], SCORES - 1)
        held[score[i]] += 1
    worst, left = 0, keep
    while held[worst] <= left:
        left -= held[worst]
        worst += 1
    kept = 0
    for i in range(at[A_FRONTIER]):
        left -= score[i] == worst
        if score[i] < worst or (score[i] == worst and left >= 0):
            _take(nodes[kept], after, i)
            kept += 1
    for i in range(kept):
        _take(after[i], nodes, i)
    at[A_FRONTIER] = kept


@kernel_part
def _bits(word: int) -> int:
    """How many bits are set."""
    count = 0
    while word:
        word &= word - 1
        count += 1
    return count


@kernel_part
def _take(row: np.ndarray, rows: np.ndarray, i: int) -> None:
    """row = rows[i]"""
    for column in range(len(row)):
        row[column] = rows[i, column]


@kernel_part
def _copy(rows: np.ndarray, i: int, row: np.ndarray) -> None:
    """rows[i] = row"""
    for column in range(len(row)):
        rows[i, column] = row[column]
