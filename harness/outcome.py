"""From what a session returned or raised to the completion that is recorded, for interpreter and simulation alike.

    an op                     → as it is (`ok`)
    DidNotHappen              → fail
    Unknown                   → info, or fail for an op that writes nothing
    any other exception       → the same, and counted by class as unmapped: no table of the target has it
    what is not a completion  → info, counted as unmapped

`info` wherever it is not proven that nothing happened.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.op import Op
from harness.target import DidNotHappen, Unknown


class Settled(msgspec.Struct, frozen=True):
    """A completion. lost: the session must be closed. unmapped: class of an exception that no table has."""

    completion: Op
    lost: bool
    unmapped: str | None = None


def settle(invocation: Op, outcome: Any, *, is_read: bool) -> Settled:
    """The completion of an invocation. outcome: what `Session.invoke` returned, or the exception that it raised."""
    if isinstance(outcome, Op) and outcome.type != "invoke":
        return Settled(outcome, lost=False)
    if isinstance(outcome, DidNotHappen):
        return Settled(invocation.replace(type="fail", error=text_of(outcome)), lost=outcome.lost)
    unsure = "fail" if is_read else "info"
    if isinstance(outcome, Unknown):
        return Settled(invocation.replace(type=unsure, error=text_of(outcome)), lost=outcome.lost)
    if isinstance(outcome, BaseException):
        name = f"{type(outcome).__module__}.{type(outcome).__qualname__}"
        error = f"{name}: {text_of(outcome)}"
    else:
        name = f"a session that returned {type(outcome).__name__}"
        error = f"the session returned no completion: {outcome!r}"[:500]
    return Settled(invocation.replace(type=unsure, error=error), lost=True, unmapped=name)


def text_of(error: BaseException) -> str:
    """The message of an exception as one line; its class's name where it has none."""
    text = " ".join(str(error).split())[:500] or type(error).__name__
    return text.encode("utf-8", "replace").decode()
