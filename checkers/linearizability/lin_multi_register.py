"""Several registers that are read and written at once, linearizable.

Ops: read {k: null, ...} → {k: v, ...}, write {k: v, ...}; or, as in Knossos, txn [[r k null] [w k v] ...] → with
values. What is written at once takes effect at once. Actions: tuples of micro-ops ("r" or "w", k, v), done one after
the other at one instant. States: the registers that do not hold the initial value, a frozenset of (k, v).

Own algorithm: registers that no op touches together, directly or through others, are objects of their own (locality);
each such group is searched by itself. The problem is NP-complete even for one register (Gibbons and Korach 1997), so
nothing more is promised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.lin_calls import UNKNOWN
from checkers.linearizability.lin_outcome import act
from checkers.linearizability.linearizable_model import (
    ILLEGAL,
    Action,
    Budget,
    Kind,
    Operation,
    Outcome,
    State,
    _Illegal,
)
from checkers.linearizability.linearizable_search import search
from checkers.values import freeze, show
from harness.history import HistoryError

READ, WRITE = "r", "w"


@dataclass(frozen=True)
class MultiRegister:
    """value: what every register holds before any write."""

    value: Any = None
    initial: ClassVar[State] = frozenset()
    name: ClassVar[str] = "multi-register"
    noun: ClassVar[str] = "store"
    fs: ClassVar[tuple[str, ...]] = ("read", "write", "txn")
    read_fs: ClassVar[tuple[str, ...]] = ("read",)

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        told = argument if result is UNKNOWN or (f == "write" and result is None) else result
        asked = self._micro_ops(f, told, index)
        given = self._micro_ops(f, argument, index)
        if [each[:2] for each in asked] != [each[:2] for each in given]:
            raise HistoryError(f"index {index}: {f} answers for other registers than it was asked for: {show(told)}")
        if any(did != was for did, was in zip(asked, given) if did[0] == WRITE):
            raise HistoryError(
                f"index {index}: {f} says that it wrote {show(told)}, but it was asked for {show(argument)}"
            )
        if result is UNKNOWN:
            asked = tuple(each for each in asked if each[0] == WRITE)
        return asked or None

    def _micro_ops(self, f: str, value: Any, index: int) -> tuple[tuple[str, Any, Any], ...]:
        if f == "txn":
            if not isinstance(value, list | tuple) or not all(_is_micro_op(each) for each in value):
                raise HistoryError(f"index {index}: txn needs [[r or w, register, value] ...], not {show(value)}")
            return tuple((str(each[0])[-1], freeze(each[1], index), freeze(each[2], index)) for each in value)
        if not isinstance(value, Mapping):
            raise HistoryError(f"index {index}: {f} needs {{register: value, ...}}, not {show(value)}")
        made = [(f[0], freeze(key, index), freeze(part, index)) for key, part in value.items()]
        return tuple(sorted(made, key=lambda each: repr(each[1])))

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        held = dict(state)
        for f, key, value in action:
            if f == READ:
                if held.get(key, self.value) != value:
                    return ILLEGAL
            elif value == self.value:
                held.pop(key, None)
            else:
                held[key] = value
        return frozenset(held.items())

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.READ_ONLY if all(each[0] == READ for each in action) else Kind.OTHER

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        did = [f"{'read' if f == READ else 'wrote'} {show(key)} = {show(value)}" for f, key, value in action]
        return " and ".join(did) + (" at once" if len(did) > 1 else "")

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return "{" + ", ".join(sorted(f"{show(key)}: {show(value)}" for key, value in state)) + "}"

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Outcome | None:
        """See HasOwnAlgorithm."""
        groups = _together(operations)
        undecided: Outcome | None = None
        completed = completions = most = 0
        for group in groups:
            alone = len({each[1] for operation in group for each in act(operation)}) == 1
            outcome = search(_OneRegister(self.value) if alone else self, group, budget)
            if outcome.linearizable is False:
                outcome.proof = group if len(groups) > 1 else ()
                return outcome
            undecided = undecided or (None if outcome.linearizable else outcome)
            completed += outcome.completed
            completions += outcome.completions
            most = max(most, outcome.configurations_max)
        return undecided or Outcome(True, completed, completions, configurations_max=most)


@dataclass(frozen=True)
class _OneRegister(MultiRegister):
    """A register that is never touched together with another."""

    def kind(self, action: Any) -> Kind:
        return Kind.BLIND if all(each[0] == WRITE for each in action) else super().kind(action)


def _is_micro_op(each: Any) -> bool:
    return isinstance(each, list | tuple) and len(each) == 3 and str(each[0]) in ("r", "w", ":r", ":w")


def _together(operations: Sequence[Operation]) -> list[list[Operation]]:
    """The operations by groups of registers that are touched together (union-find)."""
    parent: dict[Any, Any] = {}

    def root(key: Any) -> Any:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for operation in operations:
        first, *others = [each[1] for each in act(operation)]
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[Any, list[Operation]] = {}
    for operation in operations:
        groups.setdefault(root(act(operation)[0][1]), []).append(operation)
    return list(groups.values())
