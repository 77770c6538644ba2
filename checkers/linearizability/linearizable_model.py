"""What a data type is to the linearizability checker: one small pure value.

As in Porcupine (Athalye, github.com/anishathalye/porcupine): an initial state and a step function say everything. An
operation is boiled down to an *action*, a hashable value that holds what it did and what it returned, so
that equal actions can be told to be the same. Two hints make the search fast, and are never needed for correctness:
`READ_ONLY` actions leave the state alone; `BLIND` ones are legal in every state and lead to the same one.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from harness.compiled import working_time

State = Hashable
Action = Hashable

NEVER: Final = 2**62
"""The place at which an op returns that never did."""

CONFIGURATION_BYTES: Final = 250
"""What one configuration of the search takes in memory."""


class Kind(enum.IntEnum):
    """What the search may presume of an action."""

    READ_ONLY = 0
    BLIND = 1
    OTHER = 2


class _Illegal:
    def __repr__(self) -> str:
        return "ILLEGAL"


ILLEGAL: Final = _Illegal()
"""What `step` returns where an action can't happen in a state."""


@dataclass(frozen=True)
class Operation:
    """One operation on one object.

    action: what it did. invoked, returned: places in the history; returned is NEVER where nobody knows whether and
    when it happened (then it may happen at any time after its invocation, or never).
    """

    action: Action
    invoked: int
    returned: int = NEVER

    @property
    def crashed(self) -> bool:
        """Nobody knows whether it happened."""
        return self.returned == NEVER


class Model(Protocol):
    """A data type.

    noun: what one object is called in a sentence (`register`). fs: the ops that it knows. read_fs: those among them
    that write nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def noun(self) -> str: ...

    @property
    def fs(self) -> tuple[str, ...]: ...

    @property
    def read_fs(self) -> tuple[str, ...]: ...

    @property
    def initial(self) -> State: ...

    def action(self, f: str, argument: Any, result: Any, index: int) -> Action | None:
        """What an op did; None when it says nothing. result: of an `ok`, else None. Raises HistoryError."""
        ...

    def step(self, state: State, action: Action) -> State | _Illegal:
        """The state after the action, ILLEGAL where it can't have happened."""
        ...

    def kind(self, action: Action) -> Kind: ...

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """The operations without crashed ones that can make no difference."""
        ...

    def describe(self, action: Action) -> str:
        """The action as a clause with a past tense: `wrote 3`, `read 4`, `changed 1 to 2`."""
        ...

    def describe_state(self, state: State) -> str:
        """The state as a noun: `3`."""
        ...


@dataclass
class Budget:
    """deadline: of working_time(). configurations: how many may be held at once."""

    deadline: float
    configurations: int

    @property
    def bytes(self) -> int:
        """The memory for them."""
        return self.configurations * CONFIGURATION_BYTES

    @classmethod
    def of(cls, time_s: float, memory_mb: int) -> Budget:
        """From now on, so many seconds and megabytes."""
        return cls(working_time() + time_s, max(1000, memory_mb * 1_000_000 // CONFIGURATION_BYTES))


@dataclass
class Outcome:
    """linearizable: None where the budget ran out. completed: how many completions were placed, of all.

    stuck: the operation that could not be placed, or at which the search gave up. states: those possible just before.
    ordered: what completed before `stuck` is known to have an order. complete: no such order leads to another state.
    violation, proof: from an algorithm that finds no stuck operation: what is wrong, as a whole sentence without the
    object's name (`client` numbers may be left out), and operations that prove it whatever else happened. With `stuck`
    a proof is the part of the operations that was judged by itself: `completed` and `states` are of that part alone.
    """

    linearizable: bool | None
    completed: int
    completions: int
    stuck: Operation | None = None
    states: list[State] = field(default_factory=list)
    configurations_max: int = 1
    ordered: bool = True
    complete: bool = True
    violation: str = ""
    proof: Sequence[Operation] = ()


@runtime_checkable
class KnowsArguments(Protocol):
    """A model that can tell an argument from a key and its argument, `[k, v]`."""

    def is_argument(self, value: Any) -> bool:
        """Whether an op may have it as its argument."""
        ...


@runtime_checkable
class HasOwnAlgorithm(Protocol):
    """A model that can decide some histories of its objects faster than the search does."""

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Outcome | None:
        """Judge one object's operations (by invocation; failed ones left out); None: its premises do not hold, search.

        An invalid outcome has either `stuck`, `states` and `completed` as the search gives them, or `violation` and
        `proof`.
        """
        ...
