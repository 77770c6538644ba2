"""Strings by key with get, put and append, as a model for the linearizability checker.

Ops, by key: get [k, null] → ok [k, s], put [k, s], append [k, s]; initially the empty string.
Actions: ("get", s), ("put", s), ("append", s). States: the string. Appends in flight are tried in every order until a
get tells: some ten at once on one key are the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.linearizable_model import ILLEGAL, Action, Kind, Operation, State, _Illegal
from checkers.values import show
from harness.history import HistoryError


@dataclass(frozen=True)
class KeyValue:
    """initial: every key's string before any op; null stands for the empty one."""

    initial: State = ""
    name: ClassVar[str] = "key-value store"
    noun: ClassVar[str] = "key"
    fs: ClassVar[tuple[str, ...]] = ("get", "put", "append")
    read_fs: ClassVar[tuple[str, ...]] = ("get",)
    grows: ClassVar[bool] = True

    def action(self, f: str, argument: Any, result: Any, index: int) -> Action | None:
        """See Model."""
        text = result if f == "get" else argument
        if not isinstance(text, str):
            raise HistoryError(f"index {index}: {f} needs a string, not {show(text)}")
        return (f, text)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        f, text = action
        if f == "get":
            return state if state == text else ILLEGAL
        return text if f == "put" else state + text

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return {"get": Kind.READ_ONLY, "put": Kind.BLIND, "append": Kind.OTHER}[action[0]]

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        did = {"get": "read", "put": "wrote", "append": "appended"}[action[0]]
        return f"{did} {show(action[1])!r}"

    def describe_state(self, state: State) -> str:
        """See Model."""
        return repr(show(state))
