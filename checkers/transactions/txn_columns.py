"""Transactions as columns: txn → micro-ops → list elements, each level with offsets into the next (CSR).

Problem: checkers of transactions look at every element of every list that was read; a Python object for each is a
hundred times too slow. Idea: flatten once. Keys and values become small integers; what they stood for is kept aside
for the sentences that people read. Where a reader made columns of the values already (`history.numbers`), they are only
put together, and no object is made. Cost: O(size of the history), about 8 bytes for each element that was read.

A transaction is an invocation with its completion. `ok` shows its micro-ops with what they returned; of `fail`, `info`
and what never completed only the writes matter, and those stand in the invocation.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from checkers.client_calls import refuse_others
from checkers.transactions.txn_gathering import gather
from harness.history import FAIL, INFO, INVOKE, OK, History, HistoryError

WRITE, READ = 0, 1
APPEND = WRITE
FS = ("txn", "")
"""The names of transactions; Elle's examples have none."""
"""What a write is to a list."""


class Form(enum.Enum):
    """What the transactions read and write. The value: the name of their writes."""

    LIST_APPEND = "append"
    RW_REGISTER = "w"

    @property
    def functions(self) -> dict[str, int]:
        """Names of micro-ops to their numbers; a leading colon is accepted."""
        return {self.value: WRITE, f":{self.value}": WRITE, "r": READ, ":r": READ}


@dataclass(frozen=True)
class TxnColumns:
    """n transactions in the order of their invocations, m micro-ops, e elements read.

    status: int8[n], OK, FAIL or INFO. process: int64[n]. op: int64[n], history index of the completion, or of the
    invocation where there is none. invoked, completed: int64[n], places in the history, -1 where there is none;
    an INFO transaction has no completion here, whatever was recorded. began: int64[n], places that order the
    transactions of one client. timed: whether the history has invocations.
    mop_start: int64[n + 1]. function: int8[m], WRITE or READ. key: int32[m], into keys.
    value: int64[m], what was written (0 for reads).
    list_start: int64[m + 1]. element: int64[e], what was read: a list's elements, or a register's value (none for
    nil); reads of transactions that are not OK are empty.
    keys: the keys themselves. values: the values by number, None where a value is its own number.
    history: what they were made of.
    """

    status: np.ndarray
    process: np.ndarray
    op: np.ndarray
    invoked: np.ndarray
    completed: np.ndarray
    began: np.ndarray
    timed: bool
    mop_start: np.ndarray
    function: np.ndarray
    key: np.ndarray
    value: np.ndarray
    list_start: np.ndarray
    element: np.ndarray
    keys: Sequence[Any]
    values: Sequence[Any] | None
    history: History

    def __len__(self) -> int:
        return len(self.status)

    def shown_value(self, number: int) -> Any:
        """The value that a number stands for."""
        return int(number) if self.values is None else self.values[number]

    def read_list(self, mop: int) -> list[Any]:
        """What a read returned, as values."""
        numbers: list[int] = self.element[self.list_start[mop] : self.list_start[mop + 1]].tolist()
        return numbers if self.values is None else [self.values[number] for number in numbers]

    def txn_of_mop(self) -> np.ndarray:
        """int32[m]: the transaction of each micro-op."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.mop_start))

    def records(self, txns: Iterable[int]) -> list[int]:
        """History indexes of the records of some transactions, ascending."""
        found = set()
        for txn in txns:
            invoked = self.invoked.item(txn)
            if invoked >= 0:
                found.add(self.history.index.item(invoked))
            found.add(self.op.item(txn))
        return sorted(found)


def columns_of(history: History, form: Form = Form.LIST_APPEND) -> TxnColumns:
    """The transactions of a history: its client ops with f `txn`, or without any f.

    Micro-ops are `["append", k, v]` and `["r", k, list or None]` in list-append, `["w", k, v]` and
    `["r", k, value or None]` in rw-register (a leading colon is accepted, and `["r", k]`).
    Raises HistoryError for a value of another shape, for client ops of another f, and for a completion without an
    invocation in a history that has invocations.
    """
    refuse_others(history, FS)
    named = [i for i, name in enumerate(history.f_names) if name in FS]
    wanted = np.isin(history.f, named) & history.client
    starts = np.flatnonzero(wanted & (history.type == INVOKE))
    ends = np.flatnonzero(wanted & (history.type != INVOKE))
    timed = len(starts) > 0
    pair = np.asarray(history.pair)
    if timed:
        orphans = ends[pair[ends] < 0]
        if len(orphans):
            index = history.index[orphans[0]]
            raise HistoryError(f"op {index}: a completion without an invocation, in a history that has invocations")
        invoked = starts
        completed = pair[starts].copy()
    else:
        invoked = np.full(len(ends), -1)
        completed = ends.copy()
    has_end = completed >= 0
    status = np.full(len(completed), INFO, np.int8)
    status[has_end] = history.type[completed[has_end]]
    shown = np.where(has_end, completed, invoked)
    source = np.where((status == OK) | (invoked < 0), completed, invoked)
    op = np.asarray(history.index)[shown] if len(shown) else np.empty(0, np.int64)
    process = np.asarray(history.process)[shown] if len(shown) else np.empty(0, np.int64)
    began = invoked if timed else completed.copy()
    completed[status != OK] = -1

    gathered = None
    if history.numbers is not None:
        gathered = gather(history.numbers, source, status, form is Form.LIST_APPEND)
    if gathered is not None:
        key, key_table = _rank_keys(gathered.key)
        body = _Body(
            mop_start=gathered.mop_start,
            function=np.where(gathered.writes, WRITE, READ).astype(np.int8),
            key=key,
            value=gathered.value,
            list_start=gathered.list_start,
            element=gathered.element,
            keys=key_table,
            values=None,
        )
    else:
        body = _of_objects(history, source, status, form)
    return TxnColumns(
        status=status,
        process=process,
        op=op,
        invoked=np.asarray(invoked, np.int64),
        completed=np.asarray(completed, np.int64),
        began=np.asarray(began, np.int64),
        timed=timed,
        history=history,
        **vars(body),
    )


@dataclass(frozen=True)
class _Body:
    """What the transactions did; see TxnColumns."""

    mop_start: np.ndarray
    function: np.ndarray
    key: np.ndarray
    value: np.ndarray
    list_start: np.ndarray
    element: np.ndarray
    keys: Sequence[Any]
    values: Sequence[Any] | None


def _of_objects(history: History, source: np.ndarray, status: np.ndarray, form: Form) -> _Body:
    bodies = [history.value[place] for place in source.tolist()]
    for i, body in enumerate(bodies):
        if type(body) is not list:
            bodies[i] = _as_list(body, history, source[i], status[i])
    mop_count = np.fromiter(map(len, bodies), np.int64, len(bodies))
    mop_start = np.concatenate(([0], np.cumsum(mop_count)))
    mops = list(chain.from_iterable(bodies))
    names, keys, arguments = _split(mops, bodies, history, source, form)
    function = np.fromiter(names, np.int8, len(mops))
    key, key_table = _number_keys(keys)

    ok_mop = np.repeat(status == OK, mop_count)
    reading = (function == READ) & ok_mop
    appending = function == APPEND
    lists: list[Any]
    if form is Form.RW_REGISTER:
        lists = [() if arguments[i] is None else (arguments[i],) for i in np.flatnonzero(reading).tolist()]
        if any(arguments[i] is None for i in np.flatnonzero(appending).tolist()):
            nil = next(i for i in np.flatnonzero(appending).tolist() if arguments[i] is None)
            place = source[np.searchsorted(mop_start, nil, "right") - 1]
            raise HistoryError(f"op {history.index[place]}: a write of nil, which is what a read of nothing returns")
    else:
        lists = [arguments[i] or () for i in np.flatnonzero(reading).tolist()]
    for i, read in enumerate(lists):
        if type(read) is not list and type(read) is not tuple:
            place = source[np.searchsorted(mop_start, np.flatnonzero(reading)[i], "right") - 1]
            if isinstance(read, (str, bytes)) or not isinstance(read, Sequence):
                raise HistoryError(f"op {history.index[place]}: a read returned {read!r}; a list or nil was expected")
            lists[i] = list(read)
    lengths = np.zeros(len(mops), np.int64)
    lengths[reading] = np.fromiter(map(len, lists), np.int64, len(lists))
    appended = [arguments[i] for i in np.flatnonzero(appending).tolist()]
    numbers, element, table = _number_values(appended, lists, int(lengths.sum()))
    value = np.zeros(len(mops), np.int64)
    value[appending] = numbers
    return _Body(
        mop_start=mop_start,
        function=function,
        key=key,
        value=value,
        list_start=np.concatenate(([0], np.cumsum(lengths))),
        element=element,
        keys=key_table,
        values=table,
    )


def _as_list(body: Any, history: History, place: int, status: int) -> list[Any]:
    if body is None and status in (FAIL, INFO):
        return []
    if isinstance(body, Sequence) and not isinstance(body, (str, bytes)):
        return list(body)
    raise HistoryError(f"op {history.index[place]}: the value of a txn is {body!r}; a list of micro-ops was expected")


def _split(
    mops: list[Any], bodies: list[Any], history: History, source: np.ndarray, form: Form
) -> tuple[list[int], list[Any], list[Any]]:
    functions = form.functions
    try:
        if not set(map(len, mops)) <= {3}:
            raise ValueError
        names, keys, arguments = ([mop[i] for mop in mops] for i in range(3))
        return [functions[name] for name in names], keys, arguments
    except (KeyError, TypeError, ValueError, IndexError):
        pass
    rows: list[tuple[int, Any, Any]] = []
    for body, place in zip(bodies, source.tolist()):
        for mop in body:
            try:
                name, key, *rest = mop
                function = functions[str(name)]
                if len(rest) != 1 and (rest or function != READ):
                    raise ValueError
                rows.append((function, key, rest[0] if rest else None))
            except (KeyError, TypeError, ValueError):
                expected = f"[{form.value}, key, value] or [r, key, {'list' if form is Form.LIST_APPEND else 'value'}]"
                raise HistoryError(f"op {history.index[place]}: micro-op {mop!r}; expected {expected}") from None
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]


def _identity(value: Any) -> Hashable:
    """Something hashable that is equal exactly for equal values: 1, 1.0 and true are three values."""
    kind = type(value)
    if kind is int or kind is str:
        return value
    try:
        hash(value)
    except TypeError:
        return (kind, repr(value))
    return (kind, repr(value)) if kind is float else (kind, value)


def _number_keys(keys: list[Any]) -> tuple[np.ndarray, list[Any]]:
    if keys and set(map(type, keys)) == {int}:
        try:
            raw = np.fromiter(keys, np.int64, len(keys))
        except OverflowError:
            raw = None
        if raw is not None:
            return _rank_keys(raw)
    numbers: dict[Hashable, int] = {}
    table: list[Any] = []
    column = np.empty(len(keys), np.int32)
    for i, key in enumerate(keys):
        number = numbers.setdefault(_identity(key), len(table))
        if number == len(table):
            table.append(key)
        column[i] = number
    return column, table


def _rank_keys(raw: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    if not len(raw):
        return raw.astype(np.int32), []
    low = int(raw.min())
    width = int(raw.max()) - low + 1
    if width <= 4 * len(raw) + 1024:
        used = np.zeros(width, bool)
        used[raw - low] = True
        ranks = np.cumsum(used, dtype=np.int32) - 1
        return ranks[raw - low].astype(np.int32), (np.flatnonzero(used) + low).tolist()
    distinct, inverse = np.unique(raw, return_inverse=True)
    return inverse.astype(np.int32), distinct.tolist()


def _number_values(
    appended: list[Any], lists: list[Any], total: int
) -> tuple[np.ndarray, np.ndarray, Sequence[Any] | None]:
    def everything() -> Iterable[Any]:
        return chain.from_iterable(lists)

    if set(map(type, appended)) | set(map(type, everything())) <= {int}:
        try:
            return (
                np.fromiter(appended, np.int64, len(appended)),
                np.fromiter(everything(), np.int64, total),
                None,
            )
        except OverflowError:
            pass
    numbers: dict[Hashable, int] = {}
    table: list[Any] = []

    def number_of(value: Any) -> int:
        number = numbers.setdefault(_identity(value), len(table))
        if number == len(table):
            table.append(value)
        return number

    first = np.fromiter(map(number_of, appended), np.int64, len(appended))
    return first, np.fromiter(map(number_of, everything()), np.int64, total), table
