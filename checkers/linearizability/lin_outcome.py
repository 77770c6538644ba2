"""What an algorithm for one data type says: yes, or what is wrong: a name, a sentence, the ops that prove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from checkers.linearizability.linearizable_model import NEVER, Operation, Outcome

NONLINEARIZABLE = "nonlinearizable"


@dataclass
class Judged(Outcome):
    """type: the anomaly's name. parts: the sentence; a number in it stands for the client of that op of the proof.

    grounds: what the proof's ops need so that, judged alone, nothing else is wrong with them: who put there what they
    found. until: what returned after this place is not known to have returned, for the proof.
    """

    type: str = NONLINEARIZABLE
    parts: tuple[str | int, ...] = ()
    grounds: Sequence[Operation] = ()
    until: int = NEVER

    def sentence(self, client_of: Callable[[Operation], str]) -> str:
        """What is wrong, as a sentence that begins after the object's name."""
        return "".join(part if isinstance(part, str) else client_of(self.proof[part]) for part in self.parts)


def act(operation: Operation) -> Any:
    """What an operation did, as the data type's own tuple."""
    return operation.action


def fits(operations: Sequence[Operation]) -> Judged:
    """There is an order."""
    returned = sum(not operation.crashed for operation in operations)
    return Judged(True, returned, returned)


def broken(
    operations: Sequence[Operation],
    type_: str,
    proof: Sequence[Operation],
    *parts: str | int,
    grounds: Sequence[Operation] = (),
    until: int = NEVER,
) -> Judged:
    """There is none. proof: ops that show it, with `grounds`, whatever else happened; the rest as Judged has it."""
    judged = Judged(False, 0, sum(not operation.crashed for operation in operations), type=type_, parts=parts)
    judged.proof, judged.grounds, judged.until = tuple(proof), tuple(grounds), until
    judged.violation = judged.sentence(lambda operation: "a client")
    return judged
