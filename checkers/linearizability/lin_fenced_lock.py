"""A lock with fencing tokens: each acquire answers with a token that must grow, linearizable.

Ops: acquire null → token (a whole number, or a map with `fence` or `token`), release. Actions: ("acquire", client,
token), ("release", client). States: (owner, the last token).

Own algorithm: tokens grow, so they say in which order the lock was acquired; each acquire is followed by its client's
release. That is one sequence of ops, which is an order iff none of them returned before an earlier one was invoked
(compared with the latest invocation so far). An acquire of unknown outcome is left out: nothing shows that it
happened, and no op needs it. Where a client goes on after an op of unknown outcome, the search decides. Cost: O(n log
n).

With `expires` a lock can be lost without a release (leases): then only the tokens count, and two clients may believe
that they hold it; that is what the tokens are for.

Names: `held-twice`, `released-unheld`, `token-went-back`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.lin_calls import UNKNOWN
from checkers.linearizability.lin_mutex import Hold, held_at_once, held_by
from checkers.linearizability.lin_outcome import Judged, act, broken, fits
from checkers.linearizability.linearizable_model import ILLEGAL, Action, Budget, Kind, Operation, State, _Illegal
from checkers.values import show
from harness.history import HistoryError


@dataclass(frozen=True)
class FencedLock:
    """expires: whether a lock can be lost without a release."""

    expires: bool = False
    initial: ClassVar[State] = (None, None)
    name: ClassVar[str] = "fenced lock"
    noun: ClassVar[str] = "lock"
    fs: ClassVar[tuple[str, ...]] = ("acquire", "release")
    read_fs: ClassVar[tuple[str, ...]] = ()
    grows: ClassVar[bool] = True

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        if f == "release":
            return None if self.expires else (f, process)
        if result is UNKNOWN:
            return (f, process, None)
        if isinstance(result, Mapping):
            result = result.get("fence", result.get("token"))
        if type(result) is not int:
            raise HistoryError(f"index {index}: an acquire answers with its token, a whole number, not {show(result)}")
        return (f, process, result)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model. A token that is not known is taken to be the least possible: that leaves most room for others."""
        owner, last = state
        f, client, *token = action
        if f == "release":
            return (None, last) if owner == client else ILLEGAL
        if token[0] is None:
            token = [None if last is None else last + 1]
        elif last is not None and token[0] <= last:
            return ILLEGAL
        return ILLEGAL if owner is not None else (None if self.expires else client, token[0])

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.OTHER

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        return f"acquired it with token {action[2]}" if action[0] == "acquire" else "released it"

    def describe_state(self, state: Any) -> str:
        """See Model."""
        owner = "no owner" if state[0] is None else f"client {state[0]} as its owner"
        return owner if state[1] is None else f"{owner}, after token {state[1]}"

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        if self.expires:
            known = [Hold(each, None) for each in operations if not each.crashed]
            return self._in_order(operations, known, released=False) or fits(operations)
        holds = held_by(operations)
        if holds is None or isinstance(holds, Judged):
            return holds
        return self._in_order(operations, holds, released=True) or fits(operations)

    def _in_order(self, operations: Sequence[Operation], holds: list[Hold], *, released: bool) -> Judged | None:
        """Walk through the sequence that the tokens tell."""
        last: Hold | None = None
        before: Hold | None = None
        latest = -1
        for hold in sorted(holds, key=_token):
            if before is not None and _token(before) == _token(hold):
                return broken(
                    operations, "token-went-back", [before.acquire, hold.acquire], 1,
                    f" was given token {_token(hold)}, which ", 0, " was given too.",
                    grounds=[*before.operations, *hold.operations],
                )  # fmt: skip
            if released and before is not None and before.release is None:
                return held_at_once(operations, before, hold)
            if last is not None and hold.acquire.returned < latest:
                if hold.acquire.returned < last.acquire.invoked:
                    return broken(
                        operations, "token-went-back", [hold.acquire, last.acquire], 1,
                        f" was given token {_token(last)}, after ", 0, f" had been given {_token(hold)}.",
                        grounds=[*hold.operations, *last.operations],
                    )  # fmt: skip
                return held_at_once(operations, last, hold)
            start = hold.acquire.invoked if hold.release is None else hold.release.invoked
            if start > latest:
                last, latest = hold, start
            before = hold
        return None


def _token(hold: Hold) -> int:
    return act(hold.acquire)[2]
