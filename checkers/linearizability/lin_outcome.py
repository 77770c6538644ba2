"""What an algorithm for one data type says: yes, or what is wrong: a name, a sentence, the ops that prove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from checkers.linearizability.linearizable_model import Operation, Outcome

NONLINEARIZABLE = "nonlinearizable"


@dataclass
class Judged(Outcome):
    """type: the anomaly's name. parts: the sentence; a number in it stands for the client of that op of the proof."""

    type: str = NONLINEARIZABLE
    parts: tuple[str | int, ...] = ()

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


def broken(operations: Sequence[Operation], type_: str, proof: Sequence[Operation], *parts: str | int) -> Judged:
    """There is none. proof: ops that show it by themselves, whatever else happened, but see `parts` of Judged."""
    judged = Judged(False, 0, sum(not operation.crashed for operation in operations), type=type_, parts=parts)
    judged.proof = tuple(proof)
    judged.violation = judged.sentence(lambda operation: "a client")
    return judged
