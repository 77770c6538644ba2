"""Is there an order of each register's calls? The compiled search, for all registers of a history, within a budget.

Three steps, from the cheap to the costly, and each verdict is a proof:

1. All registers in one compiled pass, with few rows and steps each. Without crashed calls: the exact walk. With them:
   few (only configurations that used the fewest are kept; an end proves valid), unlimited (each crashed call as often
   as one likes; no way on proves invalid), exact. A register where something was found that nobody had begun to put
   is invalid without a walk.
2. What is left, one by one, in walks that can be left and taken up again, with more and more rows, until the
   time or the memory is spent.
3. For a register that is invalid and shown: how far an order exists, and which values were possible there.

Cost: see `checkers.linearizability.register_walk`; 100,000 calls of ten clients with 1 % crashed some 0.3 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.linearizability.linearizable_model import Budget
from checkers.linearizability.register_columns import RegisterColumns
from checkers.linearizability.register_layout import (
    G_MASK,
    G_SHIFT,
    G_WORD,
    WORD_BITS,
    Z_ACTIONS,
    Z_CRASHED,
    Z_SLOTS,
    Z_WORDS,
    lay_out,
)
from checkers.linearizability.register_walk import (
    A_COMPLETED,
    A_EVENT,
    A_FRONTIER,
    A_GENERATION,
    A_MAX,
    A_STEPS,
    A_WHICH,
    AT_FIELDS,
    COUNTED,
    FULL,
    H_COUNTS,
    H_CRASHED,
    H_KEEP,
    H_MORE,
    H_STOP,
    H_UNTIL,
    H_VALUES,
    H_WORDS,
    HOW_FIELDS,
    INVALID,
    NO_CRASHED,
    NONE,
    PAUSED,
    SETS,
    UNLIMITED,
    VALID,
    walk,
)
from harness.compiled import kernel, working_time

UNDECIDED = PAUSED

FIRST_ROWS = 512
FIRST_STEPS, FIRST_STEPS_PER_EVENT = 200_000, 40
"""What the first pass may spend on one register in one walk."""
FIRST_EVENTS = 2000
"""With more events than that, and crashed calls, only few of them are tried in the first pass."""
PAUSE_STEPS = 5_000_000
"""Steps between two looks at the clock: some 0.1 s."""
EXPLAIN_STEPS = 200_000
"""What a walk may take that only makes an explanation better: some 5 ms."""

EXACT, FEW, FREE = range(3)
"""How crashed calls are counted: exactly; as few as can be; not at all."""
_WAYS = ((COUNTED, 0, -1), (COUNTED, 8, 0), (UNLIMITED, 0, -1))
"""Of each: what a walk is told (H_CRASHED, H_KEEP, H_MORE)."""
_WITHOUT_CRASHED = (NO_CRASHED, 0, -1)

BEAM_WIDTHS = ((8, 0), (64, 1), (512, 2), (4096, 3))
"""H_KEEP and H_MORE of a beam. For 10,000 calls with 1 % crashed the narrowest is nearly always enough."""
BEAM_BACK = (1, 2, 8, 64)
"""How many marks a beam goes back before it tries the next width; a mark is set every BEAM_EVENTS."""
BEAM_EVENTS = 256
BEAM_TURN = 8
"""How much longer the turn of a beam is than that of another walk: it mostly leads to the end."""


@dataclass
class Found:
    """What became of one register.

    judged: VALID, INVALID or UNDECIDED. completed: completions placed by some order, of all. stuck: the call that could
    not be placed, or at which the search gave up; a place in the columns. states: values possible just before it.
    ordered: all calls that returned before `stuck` have an order. complete: no such order leads to another value.
    """

    judged: int
    completed: int
    stuck: int = -1
    states: tuple[int, ...] = ()
    ordered: bool = False
    complete: bool = False


class RegisterSearch:
    """All registers of some columns. judged: int8[k], VALID, INVALID or UNDECIDED, when `judge` was called."""

    def __init__(self, columns: RegisterColumns) -> None:
        self.columns = columns
        self.layout = lay_out(columns)
        self.judged = np.full(len(columns), UNDECIDED, np.int8)
        self.configurations_max = 1
        self._hard: dict[int, Found] = {}

    def judge(self, which: np.ndarray, budget: Budget) -> None:
        """Judge the registers of which bool[k] is true."""
        at, layout = 0, self.layout
        while at < len(which) and working_time() <= budget.deadline:
            at, most = _judge(
                at,
                which,
                layout.event_start,
                layout.event,
                layout.calls,
                layout.group_start,
                layout.groups,
                layout.sizes,
                layout.doomed,
                self.columns.returned,
                self.columns.values,
                self.judged,
            )
            self.configurations_max = max(self.configurations_max, most)
        for register in np.flatnonzero(which & (self.judged == UNDECIDED)).tolist():
            found = self._hard[register] = self._search(register, budget)
            self.judged[register] = found.judged

    def hard(self, register: int) -> Found | None:
        """What became of a register that the first pass could not decide; None where it could."""
        if self.judged[register] == UNDECIDED:
            return self._hard.get(register, Found(UNDECIDED, 0))
        return self._hard.get(register)

    def explain(self, register: int, budget: Budget) -> Found:
        """How far an order of an invalid register exists, as well as the budget allows; UNDECIDED beyond it."""
        exact = Walk(self, register, EXACT)
        if exact.run(EXPLAIN_STEPS, budget) == INVALID:
            return exact.found(ordered=True, complete=True)
        doomed = int(self.layout.doomed[register])
        free = Walk(self, register, FREE)
        if doomed < 0 and free.run(EXPLAIN_STEPS, budget) == INVALID:
            doomed = free.call
        if doomed < 0:
            if exact.run(NONE, budget) == INVALID:
                return exact.found(ordered=True, complete=True)
            return Found(UNDECIDED, exact.completed)
        few = Walk(self, register, FEW)
        if few.run(NONE, budget) == INVALID and few.call != doomed:
            few = Beam(self, register)
            few.run(10 * EXPLAIN_STEPS, budget)
        if few.call == doomed:
            return few.found(ordered=True)
        return Found(INVALID, few.completed, doomed)

    def _search(self, register: int, budget: Budget) -> Found:
        """A register that the first pass left undecided: walks in turn, until one of them is a proof."""
        if not self.layout.sizes[register, Z_CRASHED]:
            walks = [Walk(self, register, EXACT)]
        else:
            walks = [Beam(self, register), Walk(self, register, FREE), Walk(self, register, EXACT)]
        furthest = walks[0]
        while walks:
            for each in list(walks):
                steps = BEAM_TURN * PAUSE_STEPS if isinstance(each, Beam) else PAUSE_STEPS
                status = each.run(steps, budget, spent=sum(other.bytes for other in walks if other is not each))
                self.configurations_max = max(self.configurations_max, each.configurations_max)
                if (status == VALID and each.way != FREE) or (status == INVALID and each.way in (FREE, EXACT)):
                    return each.found()
                if each.way != FREE and each.completed >= furthest.completed:
                    furthest = each
                if status != PAUSED:
                    walks.remove(each)
                if working_time() > budget.deadline:
                    walks.clear()
                    break
        found = furthest.found()
        found.judged = UNDECIDED
        return found


class Walk:
    """A walk through one register's events, that can be left and taken up again. completed: placed so far."""

    def __init__(self, search: RegisterSearch, register: int, way: int, *, rows: int = FIRST_ROWS) -> None:
        layout, columns = search.layout, search.columns
        self.way = way
        self._event = layout.event[layout.event_start[register] : layout.event_start[register + 1]]
        self._calls, self._returned = layout.calls, columns.returned
        groups = layout.groups[layout.group_start[register] : layout.group_start[register + 1]]
        told = _WAYS[way] if len(groups) else _WITHOUT_CRASHED
        self._room = list(_room(*told, layout.sizes[register], int(columns.values[register]), groups, rows))

    @property
    def bytes(self) -> int:
        """What its arrays take."""
        return sum(array.nbytes for array in self._room)

    @property
    def _at(self) -> np.ndarray:
        return self._room[R_AT]

    @property
    def completed(self) -> int:
        """How many completions were placed."""
        return int(self._at[A_COMPLETED])

    @property
    def configurations_max(self) -> int:
        """The most configurations that were possible at once."""
        return int(self._at[A_MAX])

    @property
    def call(self) -> int:
        """The call whose completion comes next."""
        return int(self._event[self._at[A_EVENT]] >> 1)

    def run(self, steps: int, budget: Budget, spent: int = 0) -> int:
        """Go on for some steps, with greater arrays where it needs them: VALID, INVALID, PAUSED, or FULL.

        spent: bytes that others hold. Without time it is PAUSED, without memory FULL.
        """
        until = int(self._at[A_STEPS]) + steps
        status = PAUSED
        while self._at[A_STEPS] < until and working_time() <= budget.deadline:
            self._room[R_HOW][H_UNTIL] = min(until, int(self._at[A_STEPS]) + PAUSE_STEPS)
            status = walk(self._event, self._calls, self._returned, *self._room)
            if status in (VALID, INVALID) or (status == FULL and not self._grow(budget.bytes - spent)):
                return status
            if self._at[A_EVENT] >= self._room[R_HOW][H_STOP]:
                break
        return PAUSED

    def found(self, *, ordered: bool = False, complete: bool = False) -> Found:
        """What it has found at the completion that it stands at."""
        if self._at[A_EVENT] == len(self._event):
            return Found(VALID, self.completed)
        front = self._room[R_FRONTS][self._at[A_WHICH], : self._at[A_FRONTIER], 0]
        states = tuple(np.unique(front >> 1).tolist())
        return Found(INVALID, self.completed, self.call, states, ordered, complete)

    def _grow(self, bytes_max: int) -> bool:
        """Four times as many rows; False where that is too much."""
        fronts, nodes, tables = self._room[R_FRONTS], self._room[R_NODES], self._room[R_TABLES]
        rows = 4 * len(nodes)
        if self.bytes * 4 > bytes_max:
            return False
        grown = np.zeros((2, rows, fronts.shape[2]), np.int64)
        grown[:, : len(nodes)] = fronts
        self._room[R_FRONTS] = grown
        self._room[R_NODES] = np.zeros((rows, nodes.shape[1]), np.int64)
        self._room[R_TABLES] = np.zeros((2, 3, 4 * tables.shape[2]), np.int64)
        return True


R_HOW, R_AT, R_SETS, R_TALLIES, R_PENDING, R_FRONTS, R_NODES, R_TABLES = 2, 3, 4, 5, 7, 8, 9, 10
"""Where the arrays are in the tuple that `_room` makes, which are the last arguments of `walk`."""


class Beam(Walk):
    """A walk that keeps few configurations, and where that leads nowhere goes back a little and keeps more for a while.

    Its end proves valid. It gives up, INVALID, where the widest leads nowhere either: that proves nothing.
    """

    def __init__(self, search: RegisterSearch, register: int) -> None:
        super().__init__(search, register, FEW)
        self._marks = [self._mark()]
        self._width = 0
        self._goal = 0

    def run(self, steps: int, budget: Budget, spent: int = 0) -> int:
        """See Walk."""
        until = int(self._at[A_STEPS]) + steps
        how = self._room[R_HOW]
        while True:
            event = int(self._at[A_EVENT])
            how[H_STOP] = event + BEAM_EVENTS
            how[H_KEEP], how[H_MORE] = BEAM_WIDTHS[self._width]
            status = super().run(until - int(self._at[A_STEPS]), budget, spent)
            if status in (VALID, FULL):
                return status
            if status == INVALID:
                self._width += 1
                if self._width == len(BEAM_WIDTHS):
                    return INVALID
                self._goal = max(self._goal, int(self._at[A_EVENT]) + BEAM_EVENTS)
                self._go_back(BEAM_BACK[self._width])
            elif self._at[A_EVENT] < how[H_STOP]:
                return PAUSED
            else:
                self._marks.append(self._mark())
                del self._marks[: -BEAM_BACK[-1]]
                if self._at[A_EVENT] > self._goal:
                    self._width = 0

    def _mark(self) -> tuple[np.ndarray, ...]:
        """What is needed to come back here."""
        front = self._room[R_FRONTS][self._at[A_WHICH], : self._at[A_FRONTIER]]
        return tuple(array.copy() for array in (*self._walked, front))

    @property
    def _walked(self) -> tuple[np.ndarray, ...]:
        return tuple(self._room[place] for place in (R_AT, R_SETS, R_TALLIES, R_PENDING))

    def _go_back(self, marks: int) -> None:
        del self._marks[max(1, len(self._marks) - marks + 1) :]
        *walked, front = self._marks[-1]
        kept = self._at[[A_GENERATION, A_STEPS, A_MAX]]
        for array, earlier in zip(self._walked, walked):
            array[:] = earlier
        self._at[[A_GENERATION, A_STEPS, A_MAX]] = kept
        self._room[R_FRONTS][self._at[A_WHICH], : len(front)] = front


@kernel
def _room(
    crashed: int, keep: int, more: int, sizes: np.ndarray, values: int, groups: np.ndarray, rows: int
) -> tuple[np.ndarray, ...]:
    """The arrays of a walk at its beginning, as `walk` wants them from `groups` on."""
    words = max(1, (sizes[Z_SLOTS] + WORD_BITS - 1) // WORD_BITS)
    counts = sizes[Z_WORDS] if crashed == COUNTED else 0
    guards = np.zeros(counts, np.int64)
    if counts:
        for g in range(len(groups)):
            guards[groups[g, G_WORD]] |= (groups[g, G_MASK] + 1) << groups[g, G_SHIFT]
    length = 2 + 2 * words + counts
    how = np.zeros(HOW_FIELDS, np.int64)
    how[H_WORDS], how[H_COUNTS], how[H_VALUES] = words, counts, values
    how[H_CRASHED], how[H_KEEP], how[H_MORE], how[H_STOP] = crashed, keep, more, NONE
    at = np.zeros(AT_FIELDS, np.int64)
    at[A_FRONTIER] = at[A_MAX] = 1
    sets = np.zeros((values + sizes[Z_ACTIONS] + SETS, words), np.int64)
    tallies = np.zeros(values + len(groups), np.int64)
    heads = np.full(values, -1, np.int64)
    pending = np.zeros(words * WORD_BITS, np.int64)
    fronts = np.zeros((2, rows, length), np.int64)
    nodes = np.zeros((rows, length), np.int64)
    size = 16
    while size < 2 * rows:
        size *= 2
    tables = np.zeros((2, 3, size), np.int64)
    return groups, guards, how, at, sets, tallies, heads, pending, fronts, nodes, tables, np.zeros(length, np.int64)


@kernel
def _judge(
    first: int,
    which: np.ndarray,
    event_start: np.ndarray,
    event: np.ndarray,
    calls: np.ndarray,
    group_start: np.ndarray,
    groups: np.ndarray,
    sizes: np.ndarray,
    doomed: np.ndarray,
    returned: np.ndarray,
    values: np.ndarray,
    judged: np.ndarray,
) -> tuple[int, int]:
    """Judge registers from `first` on, for some ten million steps.

    (the register to go on with, the most configurations that were possible at once).
    """
    most, steps = 1, 0
    for i in range(first, len(which)):
        if not which[i]:
            continue
        if doomed[i] >= 0:
            judged[i] = INVALID
            continue
        events = event[event_start[i] : event_start[i + 1]]
        own = groups[group_start[i] : group_start[i + 1]]
        for attempt in range(3):
            if attempt == 0:
                crashed, keep, more = (COUNTED, 8, 0) if len(own) else (NO_CRASHED, 0, -1)
            elif attempt == 1:
                crashed, keep, more = UNLIMITED, 0, -1
            else:
                crashed, keep, more = COUNTED, 0, -1
            room = _room(crashed, keep, more, sizes[i], np.int64(values[i]), own, np.int64(FIRST_ROWS))
            room[R_HOW][H_UNTIL] = FIRST_STEPS + FIRST_STEPS_PER_EVENT * len(events)
            status = walk(events, calls, returned, *room)
            steps += room[R_AT][A_STEPS]
            most = max(most, room[R_AT][A_MAX])
            if status == VALID and crashed != UNLIMITED:
                judged[i] = VALID
                break
            if status == INVALID and keep == 0:
                judged[i] = INVALID
                break
            if len(own) == 0 or len(events) > FIRST_EVENTS:
                break
        if steps > PAUSE_STEPS:
            return i + 1, most
    return len(which), most
