"""Which few calls show that a call of a register has no place?

Leaving out a call may make a violation where there was none: a read of what it wrote. So a part of a history proves
something only if whoever finds a value still has all calls that it may have found it from. Idea: in any order, a call f
finds what the last call before it put there; so what f found must be kept from every call p that put this value, that
began before f returned, and that had not certainly been replaced by then: no call that puts a value began after p
returned and returned before f began. Every other call may be left out, at once: if the whole has an order, so has the
part, as each f follows the same p. A call of unknown outcome may have put its value at any time since; of those with
one value as many are kept as there are calls that find it, the ones that began first, and nobody asks what such a
compare-and-set itself found.

So: take the last calls before the one that has no place, 8, 16, ..., with those that their findings ask for, until the
part is broken. Then leave out of those calls half, a quarter, ... down to each one, as in delta debugging (Zeller and
Hildebrandt, 2002), while it stays so. Cost: some kept × log(kept) searches of a few calls, and at most a budget; what
is not found by then is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np

from checkers.linearizability.linearizable_model import NEVER, Budget
from checkers.linearizability.register_columns import CAS, READ, WRITE, RegisterColumns
from checkers.linearizability.register_search import INVALID, RegisterSearch
from harness.compiled import working_time
from harness.history import FAIL, INFO, OK

FIRST_CALLS = 8
SHRINK_S, SHRINK_MB = 1.0, 64
"""What shrinking one counterexample may cost. Of a wrong read among 10,000 calls it takes 0.002 s."""


def needed(columns: RegisterColumns, stuck: int) -> list[int]:
    """The calls of a single register that show that call `stuck` has no place."""
    register = Part(columns, stuck)
    budget = Budget.of(SHRINK_S, SHRINK_MB)
    count = FIRST_CALLS
    while working_time() <= budget.deadline:
        some = register.before[-count:]
        if register.is_broken(register.with_grounds(some), budget):
            return register.least(some, register.with_grounds, budget)
        if count >= len(register.before):
            break
        count *= 2
    return register.least(register.reads, register.with_all_puts, budget, relaxed=False)


class Part:
    """A register up to the completion of one call: what returns later has not returned; without one, all of it."""

    def __init__(self, columns: RegisterColumns, stuck: int | None = None) -> None:
        end = NEVER if stuck is None else columns.returned[stuck]
        self._always = () if stuck is None else (stuck,)
        self._kind, self._old, self._new = columns.kind, columns.old, columns.new
        self._invoked = columns.invoked
        self._returned = np.where(columns.returned <= end, columns.returned, NEVER)
        finished = self._returned < NEVER
        self._failed = columns.outcome == FAIL
        self._happened = ~self._failed & (columns.invoked < end) & (finished | (columns.kind != READ))
        puts = np.flatnonzero(self._happened & (columns.kind != READ))
        self._by_value = puts[np.argsort(columns.new[puts], kind="stable")]
        self._values = columns.new[self._by_value]
        done = puts[finished[puts]]
        done = done[np.argsort(self._returned[done])]
        self._last_begun = self._by_end(done)
        self._last_write = self._by_end(done[columns.kind[done] == WRITE])
        self._grounds: dict[int, tuple[list[int], list[int]]] = {}

    @cached_property
    def before(self) -> list[int]:
        """The other calls that may have happened, by when they began."""
        return [call for call in np.flatnonzero(self._happened).tolist() if call not in self._always]

    @cached_property
    def reads(self) -> list[int]:
        """The reads among them."""
        return [call for call in self.before if self._kind[call] == READ]

    def with_grounds(self, calls: Iterable[int]) -> list[int]:
        """These calls and the one that is stuck, and all that they may have found their values from, in order."""
        kept = {*self._always, *calls}
        finders: dict[int, int] = {}
        todo = list(kept)
        crashed: dict[int, list[int]] = {}
        while todo:
            call = todo.pop()
            if self._kind[call] == WRITE or self._returned[call] == NEVER or self._failed[call]:
                continue
            value = int(self._old[call])
            finders[value] = finders.get(value, 0) + 1
            found, unknown = self._grounds_of(call)
            if len(unknown) > len(crashed.get(value, ())):
                crashed[value] = unknown
            for each in found:
                if each not in kept:
                    kept.add(each)
                    todo.append(each)
        for value, unknown in crashed.items():
            kept.update(unknown[: finders[value]])
        return sorted(kept)

    def _grounds_of(self, call: int) -> tuple[list[int], list[int]]:
        """What a finished call may have found its value from: calls that returned, and those that did not.

        Where there is none, what shows that: the call that put the value last, and one that replaced it; or the one
        that put it too late, or that failed.
        """
        known = self._grounds.get(call)
        if known is not None:
            return known
        replacer = self._replacer(self._last_begun, call)
        replaced = self._invoked[replacer] if replacer >= 0 else -1
        first, last = np.searchsorted(self._values, [self._old[call], self._old[call] + 1])
        all_puts = self._by_value[first:last]
        puts = all_puts[(self._invoked[all_puts] < self._returned[call]) & (all_puts != call)]
        alive = puts[self._returned[puts] >= replaced]
        lost = self._returned[alive] == NEVER
        found = alive[~lost].tolist()
        if not len(alive) and (len(puts) or (self._old[call] == 0 and replacer >= 0)):
            last = int(puts[np.argmax(self._returned[puts])]) if len(puts) else -1
            write = self._replacer(self._last_write, call)
            later = write >= 0 and (last < 0 or self._invoked[write] > self._returned[last])
            found += [write if later else replacer, *([last] if last >= 0 else [])]
        elif not len(puts) and not self._always and self._old[call] > 0:
            never = all_puts if len(all_puts) else np.flatnonzero(self._failed & (self._new == self._old[call]))
            found += never[:1].tolist()
        grounds = self._grounds[call] = found, alive[lost].tolist()
        return grounds

    def with_all_puts(self, reads: Sequence[int]) -> list[int]:
        """These reads, the call that is stuck, and all calls but the reads, in order: reads can always be left out."""
        return sorted({*self._always, *reads, *self.before} - (set(self.reads) - set(reads)))

    def _by_end(self, done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ends, calls): calls that put a value, by their ends; of those up to each end, the one that began last."""
        began = self._invoked[done]
        newest = np.maximum.accumulate(np.where(began == np.maximum.accumulate(began), np.arange(len(done)), 0))
        return self._returned[done], done[newest]

    def _replacer(self, by_end: tuple[np.ndarray, np.ndarray], call: int) -> int:
        """Of the calls that returned before this one began, the one that began last; -1 for none."""
        place = int(np.searchsorted(by_end[0], self._invoked[call])) - 1
        return int(by_end[1][place]) if place >= 0 else -1

    def least(
        self, calls: Sequence[int], part: Callable[[Sequence[int]], list[int]], budget: Budget, *, relaxed: bool = True
    ) -> list[int]:
        """What `part` makes of as few of these calls as are still broken, as far as the budget goes."""
        left = list(calls)
        size = (len(left) + 1) // 2
        while size and working_time() <= budget.deadline:
            place = 0
            while place < len(left):
                fewer = left[:place] + left[place + size :]
                if self.is_broken(part(fewer), budget, relaxed=relaxed):
                    left = fewer
                else:
                    place += size
            size //= 2
        return part(left)

    def is_broken(self, kept: Sequence[int], budget: Budget, *, relaxed: bool = True) -> bool:
        """Whether these calls alone have no order. relaxed: a crashed cas may have put its value whatever it found."""
        if working_time() > budget.deadline:
            return False
        calls = np.array(kept, np.int64)
        finished = self._returned[calls] < NEVER
        blind = (self._kind[calls] == CAS) & ~finished & relaxed
        places = np.append(self._invoked[calls], self._returned[calls][finished])
        order = np.empty(len(places), np.int64)
        order[np.argsort(places)] = np.arange(len(places))
        returned = np.full(len(calls), NEVER, np.int64)
        returned[finished] = order[len(calls) :]
        old, new = np.where(blind, -1, self._old[calls]), self._new[calls]
        search = RegisterSearch(
            RegisterColumns(
                start=np.array([0, len(calls)], np.int64),
                kind=np.where(blind, WRITE, self._kind[calls]).astype(np.int8),
                outcome=np.where(finished, OK, INFO).astype(np.int8),
                old=old.astype(np.int32),
                new=new.astype(np.int32),
                invoked=order[: len(calls)],
                returned=returned,
                values=np.array([max(old.max(), new.max(), 0) + 1], np.int32),
                records=len(places),
                key=(None,),
                keyed=False,
            )
        )
        search.judge(np.ones(1, bool), budget)
        return bool(search.judged[0] == INVALID)
