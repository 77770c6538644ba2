"""What records a history is made of: each checked, one after the other, and invocations paired with completions.

Problem: a verdict on records that contradict each other would mean nothing, and whoever made them needs to know which
line is wrong. This is the exact way, which names it; `harness.history_columns` does the same over whole columns, and
comes here whenever something is odd. Cost: some 2 µs a record.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.fault import Fault

INVOKE, OK, FAIL, INFO = range(4)
TYPES = ("invoke", "ok", "fail", "info")
NEMESIS_PROCESS = -1
"""What the process column holds for `nemesis` (and any other process that is no number)."""
INT64_MAX = 2**63 - 1
_TYPE_CODES = {name: code for code, name in enumerate(TYPES)} | {f":{name}": code for code, name in enumerate(TYPES)}


class HistoryError(UsageError):
    """A record that is no history: names the line or index, what is wrong, and what was expected."""


class MalformedError(ValueError):
    """What is wrong with a record, without its place."""


@dataclass(slots=True)
class Fields:
    """A record's own numbers. process: NEMESIS_PROCESS for a name. index: -1 for none."""

    type: int
    f: str
    process: int
    time_ns: int
    index: int


def fields_of(type_: Any, f: Any, process: Any, time_ns: Any, index: Any) -> Fields:
    """A record's fields, from what stands in it. Raises MalformedError."""
    try:
        code = _TYPE_CODES[type_]
    except (KeyError, TypeError):
        raise MalformedError(f"type must be one of {', '.join(TYPES)}, not {show(type_)}") from None
    number = _process(process)
    if type(f) is not str:
        if f is not None:
            raise MalformedError(f"f must be a name, not {show(f)}")
        f = ""
    elif f.startswith(":"):
        f = f[1:]
    time_ns = _whole("time", time_ns)
    return Fields(code, f, number, time_ns, -1 if index is None else max(-1, _whole("index", index)))


def op_fields(op: Any) -> Fields:
    """The fields of an op map in Jepsen's form. Raises MalformedError, also for what is no map."""
    if not isinstance(op, Mapping):
        raise MalformedError(f"expected an op map such as {{type, process, f, value}}, got {show(op)}")
    get = op.get
    return fields_of(get("type"), get("f"), get("process"), get("time_ns", get("time", 0)), get("index"))


def _process(process: Any) -> int:
    if type(process) is int:
        if 0 <= process <= INT64_MAX:
            return process
        raise MalformedError(f"process must be a number from 0 to 2^63-1, or a name, not {show(process)}")
    if isinstance(process, str) and process:
        return NEMESIS_PROCESS
    raise MalformedError(f"process must be a whole number, or a name such as nemesis, not {show(process)}")


def _whole(name: str, number: Any) -> int:
    if type(number) is float and math.isfinite(number) and number.is_integer():
        number = int(number)
    if type(number) is not int:
        raise MalformedError(f"{name} must be a whole number, not {show(number)}")
    if not -INT64_MAX <= number <= INT64_MAX:
        raise MalformedError(f"{name} must fit 64 bits, {show(number)} does not")
    return number


class Pairing:
    """Pairs records that are added in order, and refuses those that contradict earlier ones.

    values: the records' values, which must be there when a record is added. where: names the record at a place.
    """

    def __init__(self, values: Sequence[Any], where: Callable[[int], str]) -> None:
        self.values = values
        self.where = where
        self.types = array("b")
        self.processes = array("q")
        self.fs = array("i")
        self.f_codes: dict[str, int] = {}
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

    def add(self, fields: Fields) -> None:
        """Pair one record. Raises HistoryError."""
        index = self._index(fields.index)
        pair = self._pair(fields)
        if pair >= 0:
            self.pairs[pair] = len(self.pairs)
        self.types.append(fields.type)
        self.processes.append(fields.process)
        self.fs.append(self.f_codes.setdefault(fields.f, len(self.f_codes)))
        self.indexes.append(index)
        self.pairs.append(pair)

    def _index(self, index: int) -> int:
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

    def _pair(self, fields: Fields) -> int:
        place = len(self.types)
        code, f, process = fields.type, fields.f, fields.process
        if process == NEMESIS_PROCESS:
            return self._pair_fault(code, f, self.values[place], place)
        if code == INVOKE:
            earlier = self.open.get(process)
            if earlier is not None:
                if _skeleton(self.values[place]) is None or _skeleton(self.values[earlier]) is None:
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
            invocation = self._overlapped(process, self.values[place])
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

    def _pair_fault(self, code: int, f: str, value: Any, place: int) -> int:
        id_ = fault_id(value)
        if id_ is None:
            return -1
        if code == INVOKE:
            self.open_faults[f, id_] = place
            return -1
        return self.open_faults.pop((f, id_), -1)

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

    def finish(self) -> np.ndarray:
        """int64[n]: the pairs. Raises HistoryError for a completion without an invocation."""
        if self.orphan is not None and self.invoked:
            kind = TYPES[self.types[self.orphan]]
            raise HistoryError(
                f"{self.where(self.orphan)}: process {self.processes[self.orphan]} completes ({kind}) an op that it "
                "never invoked"
            )
        return np.array(self.pairs, dtype=np.int64)


def fault_id(value: Any) -> int | None:
    """The id of a fault record's fault, by which its records are paired; None for another nemesis' record."""
    id_ = value.id if isinstance(value, Fault) else value.get("id") if isinstance(value, Mapping) else None
    return id_ if type(id_) is int else None


def _skeleton(value: Any) -> list[Any] | None:
    """A transaction's micro-ops with what its reads returned left out; None for a value that is no transaction."""
    if not isinstance(value, list | tuple) or not value:
        return None
    if not all(isinstance(micro_op, list | tuple) and len(micro_op) == 3 for micro_op in value):
        return None
    return [(f, key, None if f == "r" else element) for f, key, element in value]


def show(thing: Any) -> str:
    """A value in a message, cut to a line."""
    try:
        text = repr(thing)
    except (RecursionError, ValueError):
        text = f"a {type(thing).__name__} too large to show"
    return "nothing" if thing is None else text if len(text) <= 80 else text[:77] + "..."


def error_text(error: Any) -> str:
    """An op's error as one line: Jepsen's are often vectors, `[:timeout "no answer"]` → `timeout: no answer`."""
    if isinstance(error, str):
        return error
    if isinstance(error, list | tuple):
        return ": ".join(error_text(part) for part in error if part is not None)
    return str(error)
