"""The finished record, as columns.

A `History` is what every checker takes. Base columns are numpy arrays, one entry a record, in the order of `index`;
values stay Python objects until a workload's own columns are made of them (`txn_columns` and the like).

What is refused, because a verdict on it would mean nothing: a completion without an invocation (in a history that has
any invocation), two open operations of one process, an `index` that does not grow, a type, process or time that is
none. What is accepted: histories that hold completions only (nothing is then known about realtime), operations that
never complete, processes that go on after an `info`. Transactions of one process that overlap (some of Elle's own test
histories) are taken where their writes tell which of them completes.

A file's values, errors and nodes are made when somebody asks for one (`harness.history_columns`); a value asked for
twice may be made twice, so it is nobody's to change.

Cost: of ops one pass, some 2 µs and 150 bytes a record beside its value; of files see `harness.reading`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from harness.fault import Fault, Window
from harness.op import NEMESIS, PHASE, Op
from harness.records import (
    FAIL,
    INFO,
    INVOKE,
    NEMESIS_PROCESS,
    OK,
    TYPES,
    HistoryError,
    MalformedError,
    Pairing,
    error_text,
    fields_of,
    show,
)
from harness.value_columns import ValueColumns

__all__ = ["FAIL", "INFO", "INVOKE", "NEMESIS_PROCESS", "OK", "TYPES", "History", "HistoryError"]


@dataclass(frozen=True)
class History:
    """n records.

    type: int8[n], one of INVOKE, OK, FAIL, INFO. process: int64[n], NEMESIS_PROCESS for faults. time_ns: int64[n].
    f: int32[n], index into f_names. value: n Python objects. error: n of str or None. node: n of str or None; the
    three of a file are lazy.
    index: int64[n], the record's own index (equals its place in our own runs).
    pair: int64[n], place of the other half of the operation (completion of an invocation and back), -1 where there
    is none. client: bool[n], not a fault record.
    numbers: the values as columns too, where the reader made them; None where they are objects only.
    """

    type: np.ndarray
    process: np.ndarray
    time_ns: np.ndarray
    f: np.ndarray
    f_names: tuple[str, ...]
    value: Sequence[Any]
    error: Sequence[str | None]
    node: Sequence[str | None]
    index: np.ndarray
    pair: np.ndarray
    numbers: ValueColumns | None = None

    def __len__(self) -> int:
        return len(self.type)

    @cached_property
    def client(self) -> np.ndarray:
        """bool[n]: the record is a client's, not a fault's."""
        return self.process != NEMESIS_PROCESS

    @cached_property
    def has_invocations(self) -> bool:
        """Whether any client's invocation was recorded; without them nothing is known about realtime."""
        return bool(np.any(self.client & (self.type == INVOKE)))

    @classmethod
    def from_ops(cls, ops: Iterable[Op | Mapping[str, Any]], where: Callable[[int], str] | None = None) -> History:
        """Columns of a list of ops, or of op maps in Jepsen's form (`time` or `time_ns`; keywords as plain strings).

        where: names the record at a place in messages (a file's line); by default "record 7". Raises HistoryError.
        """
        builder = _Builder(where or (lambda place: f"record {place}"))
        for op in ops:
            if isinstance(op, Op):
                builder.add(op.type, op.f, op.value, op.process, op.time_ns, op.index, op.error, op.node)
            elif isinstance(op, Mapping):
                get = op.get
                builder.add(
                    get("type"),
                    get("f"),
                    get("value"),
                    get("process"),
                    get("time_ns", get("time", 0)),
                    get("index", -1),
                    get("error"),
                    get("node"),
                )
            else:
                raise builder.error(f"expected an op map such as {{type, process, f, value}}, got {show(op)}")
        return builder.finish()

    def op(self, place: int) -> Op:
        """One record as an Op."""
        process = int(self.process[place])
        return Op(
            type=TYPES[self.type[place]],  # type: ignore[arg-type]
            f=self.f_names[self.f[place]],
            value=self.value[place],
            process=NEMESIS if process == NEMESIS_PROCESS else process,
            time_ns=int(self.time_ns[place]),
            index=int(self.index[place]),
            error=self.error[place],
            node=self.node[place],
        )

    def without(self, *fs: str) -> History:
        """The same record without the ops of these names; each record keeps its index, not its place."""
        kept = np.flatnonzero(~np.isin(self.f, [code for code, name in enumerate(self.f_names) if name in fs]))
        if len(kept) == len(self):
            return self
        places = np.full(len(self) + 1, -1, dtype=np.int64)
        places[kept] = np.arange(len(kept))
        rows = kept.tolist()
        return History(
            type=self.type[kept],
            process=self.process[kept],
            time_ns=self.time_ns[kept],
            f=self.f[kept],
            f_names=self.f_names,
            value=[self.value[place] for place in rows],
            error=[self.error[place] for place in rows],
            node=[self.node[place] for place in rows],
            index=self.index[kept],
            pair=places[self.pair[kept]],
        )

    def phases(self) -> list[tuple[int, str]]:
        """(place, name) of each record that begins a phase of a run, in order; none in histories of others."""
        if PHASE not in self.f_names:
            return []
        places = np.flatnonzero((self.f == self.f_names.index(PHASE)) & ~self.client).tolist()
        return [(place, str(self.value[place])) for place in places]

    def windows(self) -> list[Window]:
        """The fault windows, in order of their beginning.

        What inject and heal observed is merged; where both name the same thing the heal's later word counts. Fault
        records of others than this harness (Jepsen's nemeses) give no window. A window ends with the last heal of its
        fault: where all records of a fault are `info`, as in `history.edn`, the first says only that it was asked for.
        """
        open_at: dict[int, int] = {}
        windows: list[Window] = []
        for place in np.flatnonzero(~self.client).tolist():
            f = self.f_names[self.f[place]]
            if f not in ("inject", "heal"):
                continue
            fault = self._fault(place)
            if fault is None:
                continue
            if f == "inject" and fault.id not in open_at:
                open_at[fault.id] = len(windows)
                last = len(self) - 1
                windows.append(
                    Window(
                        fault=fault,
                        begin_index=int(self.index[place]),
                        begin_ns=int(self.time_ns[place]),
                        end_index=int(self.index[last]),
                        end_ns=int(self.time_ns[last]),
                        healed=False,
                    )
                )
            if self.type[place] == INVOKE or fault.id not in open_at:
                continue
            window = windows[open_at[fault.id]]
            observed = {**window.fault.observed, **fault.observed}
            changes: dict[str, Any] = {"fault": msgspec.structs.replace(window.fault, observed=observed)}
            if f == "inject":
                changes["error"] = self.error[place]
            elif self.error[place] is None:
                changes |= {
                    "end_index": int(self.index[place]),
                    "end_ns": int(self.time_ns[place]),
                    "healed": True,
                }
            windows[open_at[fault.id]] = msgspec.structs.replace(window, **changes)
        return windows

    def _fault(self, place: int) -> Fault | None:
        value = self.value[place]
        if isinstance(value, Fault):
            return value
        if not isinstance(value, Mapping) or "id" not in value or "kind" not in value:
            return None
        try:
            return msgspec.convert(dict(value), Fault)
        except msgspec.ValidationError as error:
            raise HistoryError(f"index {self.index[place]}: a fault record is malformed: {error}") from None


class _Builder:
    """Grows a History record by record."""

    def __init__(self, where: Callable[[int], str]) -> None:
        self.values: list[Any] = []
        self.errors: list[str | None] = []
        self.nodes: list[str | None] = []
        self.times_ns = array("q")
        self.pairing = Pairing(self.values, where)

    def error(self, what: str) -> HistoryError:
        """The error for the record that comes next."""
        return self.pairing.error(what)

    def add(
        self, type_: Any, f: Any, value: Any, process: Any, time_ns: Any, index: Any, error: Any, node: Any
    ) -> None:
        """Check one record and append it. Raises HistoryError."""
        try:
            fields = fields_of(type_, f, process, time_ns, index)
        except MalformedError as wrong:
            raise self.error(str(wrong)) from None
        self.values.append(value)
        self.pairing.add(fields)
        self.times_ns.append(fields.time_ns)
        self.errors.append(None if error is None else error_text(error))
        self.nodes.append(None if node is None else str(node))

    def finish(self) -> History:
        """The columns. Raises HistoryError for a completion without an invocation."""
        pairing = self.pairing
        pair = pairing.finish()
        return History(
            type=np.array(pairing.types, dtype=np.int8),
            process=np.array(pairing.processes, dtype=np.int64),
            time_ns=np.array(self.times_ns, dtype=np.int64),
            f=np.array(pairing.fs, dtype=np.int32),
            f_names=tuple(pairing.f_codes),
            value=self.values,
            error=self.errors,
            node=self.nodes,
            index=np.array(pairing.indexes, dtype=np.int64),
            pair=pair,
        )
