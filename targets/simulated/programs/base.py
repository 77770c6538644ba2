"""What the simulated store does for one workload: a plain value, one file a workload beside this one.

A program runs one op. It takes the op, its transaction and the store, yields at each gap between two statements, and
returns the op as `ok`; it raises DidNotHappen to give up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.op import Op
from targets.simulated.store import Store, Transaction

Program = Callable[[Op, Transaction, Store], Generator[None, None, Op]]


def only_reads(*fs: str) -> Callable[[Op], bool]:
    """Ops that write nothing, by their names."""
    return lambda op: op.f in fs


@dataclass(frozen=True)
class Programs:
    """by_f: the program of each `f`. writes_nothing(op): it can't change anything, whatever it finds.

    named_as: the flaws that these ops can show at all, and the anomaly that names each. A flaw that is not in it is
    refused for this workload: its silence would prove nothing.
    claim: the consistency model that a store without a flaw keeps, as the workload's checkers name it.
    gives_out: the `f`s that hand something out once; with the flaw `duplicate` they hand it out again.
    initial(options): what is in the store at the beginning, by key.
    """

    by_f: Mapping[str, Program]
    writes_nothing: Callable[[Op], bool]
    named_as: Mapping[str, str]
    claim: str = "strict-serializable"
    gives_out: tuple[str, ...] = ()
    initial: Callable[[Mapping[str, Any]], Mapping[Hashable, Any]] = lambda options: {}
