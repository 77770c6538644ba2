"""A register with read, write and compare-and-set, as a model for the linearizability checker.

Ops: read (invocation null → value), write v, cas [old, new]. A cas that succeeds from a value to itself reads it.
Actions: ("read", v), ("write", v), ("cas", old, new). States: the register's value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.linearizable_model import ILLEGAL, Action, Kind, Operation, State, _Illegal
from checkers.values import freeze, is_pair, show
from harness.history import HistoryError


@dataclass(frozen=True)
class Register:
    """initial: the value before any write (null by default)."""

    initial: State = None
    name: ClassVar[str] = "cas-register"
    noun: ClassVar[str] = "register"
    fs: ClassVar[tuple[str, ...]] = ("read", "write", "cas")
    read_fs: ClassVar[tuple[str, ...]] = ("read",)

    def action(self, f: str, argument: Any, result: Any, index: int) -> Action | None:
        """See Model."""
        if f == "read":
            return ("read", freeze(result, index))
        if f == "write":
            return ("write", freeze(argument, index))
        if not is_pair(argument):
            raise HistoryError(f"index {index}: a cas needs a value [old, new], not {show(argument)}")
        old, new = freeze(argument[0], index), freeze(argument[1], index)
        return ("read", old) if old == new else ("cas", old, new)

    def step(self, state: State, action: Any) -> State | _Illegal:
        """See Model."""
        if action[0] == "write":
            return action[1]
        if state != action[1]:
            return ILLEGAL
        return state if action[0] == "read" else action[2]

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return {"read": Kind.READ_ONLY, "write": Kind.BLIND, "cas": Kind.OTHER}[action[0]]

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Without crashed reads, and crashed writes and cas whose new value nobody saw: nothing shows they were.

        A value is seen by a read, by a cas that succeeded from it, and by a crashed cas from it that is needed itself.
        """
        seen = {op.action[1] for op in operations if not op.crashed and op.action[0] != "write"}  # type: ignore[index]
        needed = {place for place, op in enumerate(operations) if not op.crashed}
        crashed = [
            (place, op.action)
            for place, op in enumerate(operations)
            if op.crashed and op.action[0] != "read"  # type: ignore[index]
        ]
        grew = True
        while grew:
            grew = False
            for place, action in crashed:
                if place not in needed and action[-1] in seen:  # type: ignore[index]
                    needed.add(place)
                    grew = True
                    if action[0] == "cas":  # type: ignore[index]
                        seen.add(action[1])  # type: ignore[index]
        return [op for place, op in enumerate(operations) if place in needed]

    def describe(self, action: Any) -> str:
        """See Model."""
        if action[0] == "read":
            return f"read {show(action[1])}"
        if action[0] == "write":
            return f"wrote {show(action[1])}"
        return f"changed {show(action[1])} to {show(action[2])}"

    def describe_state(self, state: State) -> str:
        """See Model."""
        return show(state)
