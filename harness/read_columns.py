"""A whole file of op maps into columns: in stretches, by several threads, with the exact reader where it is needed.

Problem: `harness.line_columns` walks fast over lines that it expects, and stops before any other. Idea: cut the file at
line ends into stretches of some megabytes; a thread walks over each (the walk holds no lock of Python), takes a line
that stopped it to the exact reader of its notation, and goes on behind what that read. The stretches are put together
in their order. A form that goes on over a stretch's end was read to its end; the next stretch is then read again from
there, so what comes out is what one walk from the beginning would give.

Where the exact reader takes one line after the other, the walk is tried ever more seldom, so that a file of strange
lines costs no more than the exact reader alone. A small file is all the exact reader's: it is read before the walk's
code is loaded, and long before it is compiled in a new installation.

Cost: the columns, and some 20 MB a thread; see `harness.line_columns` for the time.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness import line_columns as walk
from harness.history_columns import RecordColumns, Texts
from harness.notation import Bytes, LineError, Notation
from harness.records import MalformedError, error_text, op_fields
from harness.value_columns import OTHER, ValueColumns, ValueColumnsBuilder

STRETCH_BYTES = 4 << 20
"""How much a thread reads at a time: enough to make its overhead small, and to share the work evenly."""
THREADS_MAX = 4
WALK_FROM_BYTES = 1 << 20
"""Below that, loading the walk (0.1 to 0.4 s) takes longer than the exact readers do (0.2 s of EDN, 0.1 of JSON)."""
_STRANGE_LINES_MAX = 4096
"""How many lines at most the exact reader takes before the walk is tried again."""


@dataclass
class ReadColumns:
    """What a file holds: its records, where each begins in bytes, and the error that reading stopped at, if any."""

    records: RecordColumns
    start: np.ndarray
    error: LineError | None = None


def read_columns(source: Bytes, begin: int, notation: Notation, threads: int | None = None) -> ReadColumns:
    """All records from byte `begin` on. threads: how many at once; by default as many as there are cores, up to 4."""
    data = np.frombuffer(source, np.uint8) if len(source) else np.empty(0, np.uint8)  # type: ignore[call-overload]
    threads = threads or min(THREADS_MAX, os.cpu_count() or 1)
    gathered = _Gathered(len(source) - begin)
    spare: list[_Buffers] = []
    position, error = begin, None
    for stretch in _stretches(source, data, begin, notation, threads, spare):
        if stretch.begin != position:
            spare.append(stretch.buffers)
            if position >= stretch.end:
                continue
            stretch = _read_stretch(source, data, position, stretch.end, notation, spare)
        gathered.add(stretch)
        position, error = stretch.position, stretch.error
        _forget(source, stretch.begin, position)
        spare.append(stretch.buffers)
        if error is not None:
            break
    return ReadColumns(gathered.records(), gathered.start.items, error)


def _forget(source: Bytes, begin: int, end: int) -> None:
    """Let go of mapped pages that were read: they would count as this process' memory."""
    if isinstance(source, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        begin = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        if end - begin >= mmap.PAGESIZE:
            source.madvise(mmap.MADV_DONTNEED, begin, (end - begin) // mmap.PAGESIZE * mmap.PAGESIZE)


class _Buffers:
    """What the walk writes to, for a stretch of some size. Pages that nothing is written to take no memory."""

    def __init__(self, size: int) -> None:
        self.state = np.zeros(walk.STATE_SIZE, np.int64)
        self.record_small = np.empty((4, size // 40 + 16), np.int8)
        self.records = np.empty((8, size // 40 + 16), np.int64)
        self.mop_small = np.empty((2, size // 10 + 16), np.int8)
        self.mops = np.empty((3, size // 10 + 16), np.int64)
        self.elements = np.empty(size // 2 + 16, np.int64)
        self.texts = np.empty((3, size // 60 + 16), np.int64)
        self.text_bytes = np.empty(size // 2 + 16, np.uint8)
        self.names = np.zeros((2, walk.NAMES_MAX, walk.NAME_BYTES_MAX), np.uint8)
        self.lengths = np.zeros((2, walk.NAMES_MAX), np.int64)

    def read(self, data: np.ndarray, limit: int, json: bool) -> int:
        """Walk on; see `line_columns.read_lines`."""
        return walk.read_lines(
            data,
            limit,
            json,
            self.state,
            self.record_small,
            self.records,
            self.mop_small,
            self.mops,
            self.elements,
            self.texts,
            self.text_bytes,
            self.names,
            self.lengths,
        )

    def grow(self, which: int, needed: int = 0) -> None:
        """Make room for twice as many of what was full, and for `needed`."""
        for name in _BUFFERS_OF[which]:
            old = getattr(self, name)
            shape = (*old.shape[:-1], max(2 * old.shape[-1], needed))
            new = np.empty(shape, old.dtype)
            new[..., : old.shape[-1]] = old
            setattr(self, name, new)

    def ensure(self, which: int, more: int) -> None:
        """Have room for some more of a kind."""
        needed = int(self.state[which]) + more
        if needed > getattr(self, _BUFFERS_OF[which][0]).shape[-1]:
            self.grow(which, needed)

    def name_list(self, table: int) -> list[str]:
        """The names that the walk has numbered."""
        count = int(self.state[(walk.F_NAMES, walk.NODE_NAMES)[table]])
        return [self.names[table, i, : self.lengths[table, i]].tobytes().decode("ascii") for i in range(count)]


_BUFFERS_OF = {
    walk.RECORDS: ("record_small", "records"),
    walk.MICRO_OPS: ("mop_small", "mops"),
    walk.ELEMENTS: ("elements",),
    walk.TEXTS: ("texts",),
    walk.TEXT_BYTES: ("text_bytes",),
}


@dataclass
class _Stretch:
    """What was read of source[begin:end] and, where a form goes on behind it, up to `position`.

    exact: by record, the fields of an op that the exact reader read, by which the columns can be completed.
    """

    begin: int
    end: int
    position: int
    buffers: _Buffers
    objects: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, str | None] = field(default_factory=dict)
    odd: dict[int, Any] = field(default_factory=dict)
    f_of: dict[int, str] = field(default_factory=dict)
    node_of: dict[int, str] = field(default_factory=dict)
    error: LineError | None = None


def _stretches(
    source: Bytes, data: np.ndarray, begin: int, notation: Notation, threads: int, spare: list[_Buffers]
) -> Iterator[_Stretch]:
    """The stretches in their order, some read ahead. Each is read as if a form began where it begins."""
    size = len(source)
    if threads == 1 or size - begin <= STRETCH_BYTES:
        for start, end in _cuts(source, begin, size):
            yield _read_stretch(source, data, start, end, notation, spare)
        return
    pool = ThreadPoolExecutor(threads)
    running: deque[Future[_Stretch]] = deque()
    try:
        for start, end in _cuts(source, begin, size):
            running.append(pool.submit(_read_stretch, source, data, start, end, notation, spare))
            if len(running) > threads + 1:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _cuts(source: Bytes, begin: int, size: int) -> Iterator[tuple[int, int]]:
    while begin < size:
        end = source.find(b"\n", min(begin + STRETCH_BYTES, size)) + 1 or size
        yield begin, end
        begin = end


def _read_stretch(
    source: Bytes, data: np.ndarray, begin: int, end: int, notation: Notation, spare: list[_Buffers]
) -> _Stretch:
    try:
        buffers = spare.pop()
    except IndexError:
        buffers = _Buffers(min(STRETCH_BYTES, len(source)))
    buffers.state[:] = 0
    buffers.state[walk.POSITION] = begin
    stretch = _Stretch(begin, end, begin, buffers)
    lines = 1
    try:
        if len(source) < WALK_FROM_BYTES:
            _read_exactly(source, stretch, len(source), notation)
        while buffers.state[walk.POSITION] < end:
            before = int(buffers.state[walk.RECORDS])
            status = buffers.read(data, end, notation.json)
            if status == walk.DONE:
                break
            if status == walk.FULL:
                buffers.grow(int(buffers.state[walk.FULL_BUFFER]))
                continue
            lines = 1 if int(buffers.state[walk.RECORDS]) > before else min(2 * lines, _STRANGE_LINES_MAX)
            _read_exactly(source, stretch, lines, notation)
    except LineError as error:
        stretch.error = error
    stretch.position = int(buffers.state[walk.POSITION])
    return stretch


def _read_exactly(source: Bytes, stretch: _Stretch, lines: int, notation: Notation) -> None:
    """Let the exact reader take the next lines. Raises LineError; what was read before it is kept."""
    position = int(stretch.buffers.state[walk.POSITION])
    ops: list[Any] = []
    starts: list[int] = []
    try:
        for _ in range(lines):
            if position >= stretch.end:
                break
            found, start, position = notation.read(source, position)
            ops += found
            starts += [start] * len(found)
    finally:
        _append(stretch, ops, starts)
        stretch.buffers.state[walk.POSITION] = position


def _append(stretch: _Stretch, ops: list[Any], starts: list[int]) -> None:
    """Write ops that are objects to the buffers."""
    buffers, state = stretch.buffers, stretch.buffers.state
    begin = int(state[walk.RECORDS])
    values = ValueColumnsBuilder()
    rows: list[tuple[int, int, int, int]] = []
    for place, op in enumerate(ops, start=begin):
        try:
            fields = op_fields(op)
        except MalformedError:
            stretch.odd[place] = op
            stretch.f_of[place] = ""
            values.add(None)
            rows.append((0, 0, 0, -1))
            continue
        rows.append((fields.type, fields.process, fields.time_ns, fields.index))
        stretch.f_of[place] = fields.f
        value, error, node = op.get("value"), op.get("error"), op.get("node")
        if values.add(value) == OTHER:
            stretch.objects[place] = value
        if error is not None:
            stretch.errors[place] = error_text(error)
        if node is not None:
            stretch.node_of[place] = str(node)
    if not rows:
        return
    columns = values.finish()
    buffers.ensure(walk.RECORDS, len(rows))
    buffers.ensure(walk.MICRO_OPS, len(columns.key))
    buffers.ensure(walk.ELEMENTS, len(columns.element))
    mop, element = int(state[walk.MICRO_OPS]), int(state[walk.ELEMENTS])
    end, mop_end, element_end = begin + len(rows), mop + len(columns.key), element + len(columns.element)
    types, processes, times, indexes = zip(*rows)
    small, records = buffers.record_small, buffers.records
    small[walk.TYPE, begin:end] = types
    small[walk.SHAPE, begin:end] = columns.shape
    small[walk.F, begin:end] = -1
    small[walk.NODE, begin:end] = -1
    for row, column in (
        (walk.PROCESS, processes),
        (walk.TIME, times),
        (walk.INDEX, indexes),
        (walk.FIRST, columns.first),
        (walk.SECOND, columns.second),
        (walk.THIRD, columns.third),
        (walk.MOP_END, columns.mop_start[1:] + mop),
        (walk.START, starts),
    ):
        records[row, begin:end] = column
    buffers.mop_small[walk.FUNCTION, mop:mop_end] = columns.function
    buffers.mop_small[walk.ARGUMENT, mop:mop_end] = columns.argument
    buffers.mops[walk.KEY, mop:mop_end] = columns.key
    buffers.mops[walk.ARGUMENT_NUMBER, mop:mop_end] = columns.number
    buffers.mops[walk.LIST_END, mop:mop_end] = columns.list_start[1:] + element
    buffers.elements[element:element_end] = columns.element
    state[walk.RECORDS], state[walk.MICRO_OPS], state[walk.ELEMENTS] = end, mop_end, element_end


class _Grown:
    """A column that grows."""

    def __init__(self, dtype: Any) -> None:
        self._room = np.empty(0, dtype)
        self.size = 0

    def add(self, items: np.ndarray | int | float, count: int, expected: int, plus: int = 0) -> np.ndarray:
        """Append; the place that it now has. expected: how large it will be in the end, as far as one can tell."""
        end = self.size + count
        if end > len(self._room):
            room = np.empty(max(end, expected, len(self._room) * 3 // 2), self._room.dtype)
            room[: self.size] = self.items
            self._room = room
        added = self._room[self.size : end]
        if plus:
            np.add(items, plus, out=added, casting="same_kind")
        else:
            added[:] = items
        self.size = end
        return added

    @property
    def items(self) -> np.ndarray:
        """What it holds."""
        return self._room[: self.size]


class _Gathered:
    """The columns of all stretches so far."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._read = 0
        int8, int32, int64 = np.int8, np.int32, np.int64
        self.type, self.shape = _Grown(int8), _Grown(int8)
        self.f, self.node = _Grown(int32), _Grown(int32)
        self.process, self.time_ns, self.index, self.start = (_Grown(int64) for _ in range(4))
        self.first, self.second, self.third, self.mop_start = (_Grown(int64) for _ in range(4))
        self.function, self.argument = _Grown(int8), _Grown(int8)
        self.key, self.number, self.list_start, self.element = (_Grown(int64) for _ in range(4))
        self.mop_start.add(0, 1, 1)
        self.list_start.add(0, 1, 1)
        self.texts = [_GatheredTexts() for _ in range(2)]
        self.f_codes: dict[str, int] = {}
        self.node_codes: dict[str, int] = {}
        self.objects: dict[int, Any] = {}
        self.errors: dict[int, str | None] = {}
        self.odd: dict[int, Any] = {}

    def add(self, stretch: _Stretch) -> None:
        """Append what a stretch holds."""
        buffers, state = stretch.buffers, stretch.buffers.state
        self._read += stretch.position - stretch.begin
        records, mops, elements = (int(state[i]) for i in (walk.RECORDS, walk.MICRO_OPS, walk.ELEMENTS))
        begin, mop_begin, element_begin = self.type.size, self.key.size, self.element.size

        def add(grown: _Grown, items: np.ndarray, plus: int = 0) -> None:
            expected = int((grown.size + len(items)) * min(64.0, self._size / max(1, self._read)) * 1.02) + 64
            grown.add(items, len(items), expected, plus)

        small, numbers = buffers.record_small[:, :records], buffers.records[:, :records]
        add(self.type, small[walk.TYPE])
        add(self.shape, small[walk.SHAPE])
        add(self.f, _codes(small[walk.F], buffers.name_list(walk.F_TABLE), stretch.f_of, self.f_codes))
        add(self.node, _codes(small[walk.NODE], buffers.name_list(walk.NODE_TABLE), stretch.node_of, self.node_codes))
        add(self.process, numbers[walk.PROCESS])
        add(self.time_ns, numbers[walk.TIME])
        add(self.index, numbers[walk.INDEX])
        add(self.start, numbers[walk.START])
        add(self.first, numbers[walk.FIRST])
        add(self.second, numbers[walk.SECOND])
        add(self.third, numbers[walk.THIRD])
        add(self.mop_start, numbers[walk.MOP_END], mop_begin)
        add(self.function, buffers.mop_small[walk.FUNCTION, :mops])
        add(self.argument, buffers.mop_small[walk.ARGUMENT, :mops])
        add(self.key, buffers.mops[walk.KEY, :mops])
        add(self.number, buffers.mops[walk.ARGUMENT_NUMBER, :mops])
        add(self.list_start, buffers.mops[walk.LIST_END, :mops], element_begin)
        add(self.element, buffers.elements[:elements])
        for kind, texts in enumerate(self.texts):
            texts.add(buffers, kind, begin)
        for of_stretch, of_all in (
            (stretch.objects, self.objects),
            (stretch.errors, self.errors),
            (stretch.odd, self.odd),
        ):
            of_all.update({place + begin: thing for place, thing in of_stretch.items()})

    def records(self) -> RecordColumns:
        """All of them."""
        return RecordColumns(
            type=self.type.items,
            process=self.process.items,
            time_ns=self.time_ns.items,
            f=self.f.items,
            f_names=tuple(self.f_codes),
            node=self.node.items,
            node_names=tuple(self.node_codes),
            index=self.index.items,
            numbers=ValueColumns(
                shape=self.shape.items,
                first=self.first.items,
                second=self.second.items,
                third=self.third.items,
                mop_start=self.mop_start.items,
                function=self.function.items,
                key=self.key.items,
                argument=self.argument.items,
                number=self.number.items,
                list_start=self.list_start.items,
                element=self.element.items,
            ),
            value_texts=self.texts[walk.VALUE_TEXT].texts(),
            error_texts=self.texts[walk.ERROR_TEXT].texts(),
            objects=self.objects,
            errors=self.errors,
            odd=self.odd,
        )


class _GatheredTexts:
    """The texts of one kind of all stretches so far."""

    def __init__(self) -> None:
        self.places: list[np.ndarray] = []
        self.lengths: list[np.ndarray] = []
        self.data: list[np.ndarray] = []

    def add(self, buffers: _Buffers, kind: int, begin: int) -> None:
        """Append those of a stretch whose first record has the place `begin`."""
        count = int(buffers.state[walk.TEXTS])
        texts = buffers.texts[:, :count]
        lengths = np.diff(texts[walk.TEXT_END], prepend=0)
        ours = texts[walk.TEXT_KIND] == kind
        if not ours.any():
            return
        self.places.append(texts[walk.TEXT_RECORD, ours] + begin)
        self.lengths.append(lengths[ours])
        data = buffers.text_bytes[: int(buffers.state[walk.TEXT_BYTES])]
        self.data.append(data.copy() if ours.all() else data[np.repeat(ours, lengths)])

    def texts(self) -> Texts:
        """All of them."""
        none = np.empty(0, np.int64)
        lengths = np.concatenate([none, *self.lengths])
        return Texts(
            place=np.concatenate([none, *self.places]),
            start=np.concatenate(([0], np.cumsum(lengths))),
            data=np.concatenate([np.empty(0, np.uint8), *self.data]),
        )


def _codes(codes: np.ndarray, names: list[str], exact: Mapping[int, str], known: dict[str, int]) -> np.ndarray:
    """int32: the codes of names in `known`, where new ones are put in the order in which they first appear.

    codes: int8, into names, -1 for none. exact: by place, names that the exact reader found.
    """
    first = {name: int((codes == code).argmax()) for code, name in enumerate(names) if (codes == code).any()}
    for place, name in exact.items():
        first[name] = min(place, first.get(name, place))
    for name in sorted(first, key=first.__getitem__):
        known.setdefault(name, len(known))
    to = np.array([*(known.get(name, -1) for name in names), -1], np.int32)
    column = to[codes]
    if exact:
        column[list(exact)] = [known[name] for name in exact.values()]
    return column
