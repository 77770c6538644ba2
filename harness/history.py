"""The finished record, as columns.

A `History` is what every checker takes. Base columns are numpy arrays, one entry a record, in the order of `index`;
values stay Python objects until a workload's own columns are made of them (`checkers.txn_columns` and the like).

What is refused, because a verdict on it would mean nothing: a completion without an invocation (in a history that has
any invocation), two open operations of one process, an `index` that does not grow, a type, process or time that is
none. What is accepted: histories that hold completions only (nothing is then known about realtime), operations that
never complete, processes that go on after an `info`. Transactions of one process that overlap (some of Elle's own test
histories) are taken where their writes tell which of them completes.

Cost: one pass, some 2 µs and 150 bytes a record beside its value.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from harness.errors import UsageError
from harness.fault import Fault, Window
from harness.op import NEMESIS, Op
from harness.value_columns import ValueColumns

INVOKE, OK, FAIL, INFO = range(4)
TYPES = ("invoke", "ok", "fail", "info")
NEMESIS_PROCESS = -1
"""What the process column holds for `nemesis` (and any other process that is no number)."""

INT64_MAX = 2**63 - 1
_TYPE_CODES = {name: code for code, name in enumerate(TYPES)} | {f":{name}": code for code, name in enumerate(TYPES)}


class HistoryError(UsageError):
    """A record that is no history: names the line or index, what is wrong, and what was expected."""


@dataclass(frozen=True)
class History:
    """n records.

    type: int8[n], one of INVOKE, OK, FAIL, INFO. process: int64[n], NEMESIS_PROCESS for faults. time_ns: int64[n].
    f: int32[n], index into f_names. value: n Python objects. error: n of str or None. node: n of str or None.
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
                raise builder.error(f"expected an op map such as {{type, process, f, value}}, got {_show(op)}")
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
    """Grows the columns record by record, and pairs invocations with completions on the way."""

    def __init__(self, where: Callable[[int], str]) -> None:
        self.where = where
        self.types = array("b")
        self.processes = array("q")
        self.times_ns = array("q")
        self.fs = array("i")
        self.f_codes: dict[str, int] = {}
        self.values: list[Any] = []
        self.errors: list[str | None] = []
        self.nodes: list[str | None] = []
        self.indexes = array("q")
        self.pairs = array("q")
        self.numbered = False
        self.open: dict[int, int] = {}
        self.overlapping: dict[int, list[int]] = {}
        self.open_faults: dict[tuple[str, int], int] = {}
        self.orphan: int | None = None
        self.invoked = False

    def error(self, what: str) -> HistoryError:
        """The error for the record that comes next."""
        return HistoryError(f"{self.where(len(self.types))}: {what}")

    def add(
        self, type_: Any, f: Any, value: Any, process: Any, time_ns: Any, index: Any, error: Any, node: Any
    ) -> None:
        """Check one record and append it."""
        try:
            code = _TYPE_CODES[type_]
        except (KeyError, TypeError):
            raise self.error(f"type must be one of {', '.join(TYPES)}, not {_show(type_)}") from None
        number = self._process(process)
        if type(f) is not str:
            if f is not None:
                raise self.error(f"f must be a name, not {_show(f)}")
            f = ""
        elif f.startswith(":"):
            f = f[1:]
        time_ns = self._whole("time", time_ns)
        index = self._index(index)
        pair = self._pair(code, number, f, value)
        if pair >= 0:
            self.pairs[pair] = len(self.pairs)
        self.types.append(code)
        self.processes.append(number)
        self.times_ns.append(time_ns)
        self.fs.append(self.f_codes.setdefault(f, len(self.f_codes)))
        self.values.append(value)
        self.errors.append(None if error is None else error_text(error))
        self.nodes.append(None if node is None else str(node))
        self.indexes.append(index)
        self.pairs.append(pair)

    def _process(self, process: Any) -> int:
        if type(process) is int:
            if 0 <= process <= INT64_MAX:
                return process
            raise self.error(f"process must be a number from 0 to 2^63-1, or a name, not {process}")
        if isinstance(process, str) and process:
            return NEMESIS_PROCESS
        raise self.error(f"process must be a whole number, or a name such as nemesis, not {_show(process)}")

    def _whole(self, name: str, number: Any) -> int:
        if type(number) is float and math.isfinite(number) and number.is_integer():
            number = int(number)
        if type(number) is not int:
            raise self.error(f"{name} must be a whole number, not {_show(number)}")
        if not -INT64_MAX <= number <= INT64_MAX:
            raise self.error(f"{name} must fit 64 bits, {_show(number)} does not")
        return number

    def _index(self, index: Any) -> int:
        index = -1 if index is None else self._whole("index", index)
        place = len(self.indexes)
        if index < 0:
            if place and self.numbered:
                raise self.error("has no index, but records before it have one")
            self.numbered = False
            return place
        if place and not self.numbered:
            raise self.error(f"has index {index}, but records before it have none")
        self.numbered = True
        if place and index <= self.indexes[-1]:
            raise self.error(f"index {index} comes after index {self.indexes[-1]}: the records are out of order")
        return index

    def _pair(self, code: int, process: int, f: str, value: Any) -> int:
        place = len(self.types)
        if process == NEMESIS_PROCESS:
            id_ = value.id if isinstance(value, Fault) else value.get("id") if isinstance(value, Mapping) else None
            if type(id_) is not int:
                return -1
            if code == INVOKE:
                self.open_faults[f, id_] = place
                return -1
            return self.open_faults.pop((f, id_), -1)
        if code == INVOKE:
            earlier = self.open.get(process)
            if earlier is not None:
                if _skeleton(value) is None or _skeleton(self.values[earlier]) is None:
                    raise self.error(
                        f"process {process} invokes {f or 'an op'} while its op of {self.where(earlier)} is still "
                        "open: a process does one op at a time"
                    )
                self.overlapping.setdefault(process, []).append(earlier)
            self.open[process] = place
            self.invoked = True
            return -1
        invocation: int | None
        if process in self.overlapping:
            invocation = self._overlapped(process, value)
        else:
            invocation = self.open.pop(process, None)
        if invocation is None:
            if self.orphan is None:
                self.orphan = place
            return -1
        if self.f_codes.get(f) != self.fs[invocation]:
            invoked_f = list(self.f_codes)[self.fs[invocation]]
            raise self.error(
                f"process {process} completes {f or 'an op without f'}, but its open op, "
                f"{self.where(invocation)}, is {invoked_f or 'one without f'}"
            )
        return invocation

    def _overlapped(self, process: int, value: Any) -> int:
        """Which of several open transactions of one process this completion belongs to, by what they write."""
        candidates = [*self.overlapping[process], self.open[process]]
        skeleton = _skeleton(value)
        matches = [place for place in candidates if _skeleton(self.values[place]) == skeleton]
        if len(matches) != 1:
            raise self.error(
                f"process {process} has {len(candidates)} open ops, and this completion could belong to "
                f"{len(matches)} of them: a process does one op at a time"
            )
        candidates.remove(matches[0])
        self.open[process] = candidates.pop()
        if candidates:
            self.overlapping[process] = candidates
        else:
            del self.overlapping[process]
        return matches[0]

    def finish(self) -> History:
        """The columns. Raises HistoryError for a completion without an invocation."""
        if self.orphan is not None and self.invoked:
            kind = TYPES[self.types[self.orphan]]
            raise HistoryError(
                f"{self.where(self.orphan)}: process {self.processes[self.orphan]} completes ({kind}) an op that it "
                "never invoked"
            )
        return History(
            type=np.array(self.types, dtype=np.int8),
            process=np.array(self.processes, dtype=np.int64),
            time_ns=np.array(self.times_ns, dtype=np.int64),
            f=np.array(self.fs, dtype=np.int32),
            f_names=tuple(self.f_codes),
            value=self.values,
            error=self.errors,
            node=self.nodes,
            index=np.array(self.indexes, dtype=np.int64),
            pair=np.array(self.pairs, dtype=np.int64),
        )


def _skeleton(value: Any) -> list[Any] | None:
    """A transaction's micro-ops with what its reads returned left out; None for a value that is no transaction."""
    if not isinstance(value, list | tuple) or not value:
        return None
    if not all(isinstance(micro_op, list | tuple) and len(micro_op) == 3 for micro_op in value):
        return None
    return [(f, key, None if f == "r" else element) for f, key, element in value]


def error_text(error: Any) -> str:
    """An op's error as one line: Jepsen's are often vectors, `[:timeout "no answer"]` → `timeout: no answer`."""
    if isinstance(error, str):
        return error
    if isinstance(error, list | tuple):
        return ": ".join(error_text(part) for part in error if part is not None)
    return str(error)


def _show(thing: Any) -> str:
    try:
        text = repr(thing)
    except (RecursionError, ValueError):
        text = f"a {type(thing).__name__} too large to show"
    return "nothing" if thing is None else text if len(text) <= 80 else text[:77] + "..."
