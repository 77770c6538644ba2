"""A history from columns: pairs and checks over whole columns, and values, errors and nodes that are made when asked.

Problem: a reader that fills columns (`harness.line_columns`) would lose all that it won if each record were then looked
at as objects. Idea: the rules that make records a history (an index that grows, one op of a process at a time, a
completion for the op that was invoked) are checked by one compiled walk over the columns. It only says yes or no; on no
`harness.records` goes over the records one by one, and names the line, or tells overlapping transactions apart;
so it does with few records, which takes less time than to load the walk.

Cost: O(n), some 10 ns a record, and 8 bytes for every process number up to the highest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from harness.compiled import kernel
from harness.history import INVOKE, NEMESIS_PROCESS, History
from harness.records import Fields, MalformedError, Pairing, fault_id, op_fields
from harness.value_columns import OTHER, ValueColumns

_BLOCK = 64
"""How many values are made at once: those next to each other are mostly asked for together."""
_BLOCKS_KEPT = 64
WALK_FROM_RECORDS = 10_000
"""Below that, to go over the records one by one takes less time (some 20 ms) than to load the compiled walk."""


@dataclass(frozen=True)
class Texts:
    """Bytes of some records, k of them, decoded when asked for.

    place: int64[k], whose they are, increasing. start: int64[k + 1], offsets into data: uint8[:].
    """

    place: np.ndarray
    start: np.ndarray
    data: np.ndarray

    def text(self, number: int) -> bytes:
        """The bytes of the number-th text."""
        return self.data[self.start[number] : self.start[number + 1]].tobytes()

    def of(self, place: int) -> bytes | None:
        """The bytes of a record, None where it has none."""
        number = int(np.searchsorted(self.place, place))
        return self.text(number) if number < len(self.place) and self.place[number] == place else None


class _Lazy(Sequence[Any]):
    """A sequence whose items are made when asked for."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if type(place) is int and 0 <= place < self._size:
            return self._item(place)
        if isinstance(place, slice):
            return [self._item(i) for i in range(*place.indices(self._size))]
        place = place.__index__()
        if place < 0:
            place += self._size
        if not 0 <= place < self._size:
            raise IndexError(f"record {place} of {self._size}")
        return self._item(place)

    def __iter__(self) -> Iterator[Any]:
        return map(self._item, range(self._size))

    def _item(self, place: int) -> Any:
        raise NotImplementedError


class LazyValues(_Lazy):
    """Values: from their columns; those that are none of numbers as objects that were kept, or decoded from bytes."""

    def __init__(
        self, numbers: ValueColumns, objects: Mapping[int, Any], texts: Texts, decode: Callable[[bytes], Any]
    ) -> None:
        super().__init__(len(numbers))
        self._numbers = numbers
        self._objects = objects
        self._texts = texts
        self._decode = decode
        self._blocks: dict[int, list[Any]] = {}

    def _item(self, place: int) -> Any:
        number = place // _BLOCK
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _BLOCKS_KEPT:
                self._blocks.clear()
            block = self._blocks[number] = self._values(number * _BLOCK)
        return block[place - number * _BLOCK]

    def _values(self, begin: int) -> list[Any]:
        end = min(begin + _BLOCK, self._size)
        values = self._numbers.values_in(begin, end)
        for place in (begin + np.flatnonzero(self._numbers.shape[begin:end] == OTHER)).tolist():
            text = self._texts.of(place)
            values[place - begin] = self._objects[place] if text is None else self._decode(text)
        return values


class LazyErrors(_Lazy):
    """Errors: texts that were kept, or are decoded from bytes; None for most records."""

    def __init__(
        self, size: int, known: Mapping[int, str | None], texts: Texts, decode: Callable[[bytes], str | None]
    ) -> None:
        super().__init__(size)
        self._known = known
        self._texts = texts
        self._decode = decode
        self._all: dict[int, str | None] | None = None

    def _item(self, place: int) -> str | None:
        if self._all is None:
            decoded: dict[bytes, str | None] = {}
            self._all = dict(self._known)
            for number, record in enumerate(self._texts.place.tolist()):
                text = self._texts.text(number)
                if text not in decoded:
                    decoded[text] = self._decode(text)
                self._all[record] = decoded[text]
        return self._all.get(place)


class LazyNames(_Lazy):
    """Names by their numbers, None for -1."""

    def __init__(self, codes: np.ndarray, names: Sequence[str]) -> None:
        super().__init__(len(codes))
        self._codes = codes
        self._names = names

    def _item(self, place: int) -> str | None:
        code = self._codes[place]
        return None if code < 0 else self._names[code]

    def __iter__(self) -> Iterator[str | None]:
        names = [*self._names, None]
        return (names[code] for code in self._codes.tolist())


@dataclass(frozen=True)
class RecordColumns:
    """n records as a reader of columns leaves them.

    type: int8[n]. process, time_ns: int64[n]. f: int32[n], into f_names. node: int32[n], into node_names, -1 for none.
    index: int64[n], -1 for a record without one. numbers: the values.
    objects: by place, the values that were made already; every OTHER is in it or in value_texts.
    errors: by place, those that were made already. value_texts, error_texts: the others' bytes.
    odd: by place, records that are no op; what the columns hold for them means nothing.
    """

    type: np.ndarray
    process: np.ndarray
    time_ns: np.ndarray
    f: np.ndarray
    f_names: tuple[str, ...]
    node: np.ndarray
    node_names: tuple[str, ...]
    index: np.ndarray
    numbers: ValueColumns
    value_texts: Texts
    error_texts: Texts
    objects: Mapping[int, Any] = field(default_factory=dict)
    errors: Mapping[int, str | None] = field(default_factory=dict)
    odd: Mapping[int, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.type)


def history_of(
    columns: RecordColumns,
    where: Callable[[int], str],
    decode_value: Callable[[bytes], Any],
    decode_error: Callable[[bytes], str | None],
    complete: bool = True,
) -> History:
    """The history that records are. Raises HistoryError, naming the record by `where`.

    complete: whether these are all records; else they are only checked, as far as some of them can be.
    """
    values = LazyValues(columns.numbers, columns.objects, columns.value_texts, decode_value)
    pair = None if columns.odd or len(columns) < WALK_FROM_RECORDS else _pairs(columns)
    index = columns.index
    if pair is None:
        pairing = _pair_one_by_one(columns, values, where)
        pair = pairing.finish() if complete else np.array(pairing.pairs, np.int64)
    if len(index) and index[0] < 0:
        index = np.arange(len(index), dtype=np.int64)
    return History(
        type=columns.type,
        process=columns.process,
        time_ns=columns.time_ns,
        f=columns.f,
        f_names=columns.f_names,
        value=values,
        error=LazyErrors(len(columns), columns.errors, columns.error_texts, decode_error),
        node=LazyNames(columns.node, columns.node_names),
        index=index,
        pair=pair,
        numbers=columns.numbers,
    )


def _pair_one_by_one(columns: RecordColumns, values: Sequence[Any], where: Callable[[int], str]) -> Pairing:
    pairing = Pairing(values, where)
    rows = zip(
        columns.type.tolist(),
        columns.f.tolist(),
        columns.process.tolist(),
        columns.time_ns.tolist(),
        columns.index.tolist(),
    )
    for place, (type_, f, process, time_ns, index) in enumerate(rows):
        try:
            odd = place in columns.odd
            fields = (
                op_fields(columns.odd[place]) if odd else Fields(type_, columns.f_names[f], process, time_ns, index)
            )
        except MalformedError as wrong:
            raise pairing.error(str(wrong)) from None
        pairing.add(fields)
    return pairing


def _pairs(columns: RecordColumns) -> np.ndarray | None:
    """int64[n]: the pairs, or None where something is odd."""
    index = columns.index
    if len(index) and ((index >= 0).any() if index[0] < 0 else (np.diff(index) <= 0).any()):
        return None
    process = columns.process
    highest = int(process.max(initial=0))
    if highest > 4 * len(process) + 1024:
        distinct, process = np.unique(process, return_inverse=True)
        process = process.astype(np.int64) - int(distinct[0] == NEMESIS_PROCESS)
        highest = len(distinct)
    pair = np.full(len(process), -1, np.int64)
    if not _pair_clients(columns.type, process, columns.f, np.full(highest + 1, -1, np.int64), pair):
        return None
    open_faults: dict[tuple[int, int], int] = {}
    for place in np.flatnonzero((columns.process == NEMESIS_PROCESS) & (columns.numbers.shape == OTHER)).tolist():
        id_ = fault_id(columns.objects[place])
        if id_ is None:
            continue
        fault = int(columns.f[place]), id_
        if columns.type[place] == INVOKE:
            open_faults[fault] = place
        elif fault in open_faults:
            pair[place] = open_faults.pop(fault)
            pair[pair[place]] = place
    return pair


@kernel
def _pair_clients(type_, process, f, open_op, pair):
    """Fill in the pairs of clients' records; False where they contradict each other.

    type_: int8[n]. process: int64[n], up to the size of open_op: int64[:], all -1. f: int32[n]. pair: int64[n].
    """
    orphans = invocations = 0
    for place in range(len(type_)):
        client = process[place]
        if client < 0:
            continue
        invocation = open_op[client]
        if type_[place] == INVOKE:
            if invocation >= 0:
                return False
            open_op[client] = place
            invocations += 1
        elif invocation < 0:
            orphans += 1
        else:
            if f[invocation] != f[place]:
                return False
            open_op[client] = -1
            pair[place] = invocation
            pair[invocation] = place
    return orphans == 0 or invocations == 0
