"""Goal: the rw-register workload's promises (unique values, keys used once). Method: simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from checkers.transactions.rw_register import RwRegister
from harness import generator as gen
from harness.checker import CheckOptions
from harness.history import History
from harness.op import Op
from harness.options import with_defaults
from harness.simulation import Simulation
from workloads.rw_register import RW_REGISTER


class Registers:
    """A database of registers that does one transaction at a time."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}
        self.random = random.Random(0)

    def is_read(self, op: Op) -> bool:
        return all(what == "r" for what, _, _ in op.value)

    def begin(self, op: Op, clock: Any, finish: Callable[[Any], None]) -> None:
        done = []
        for what, key, value in op.value:
            if what == "w":
                self.registers[key] = value
            done.append([what, key, value if what == "w" else self.registers.get(key)])
        clock.after(self.random.randrange(1, 10_000_000), lambda: finish(op.replace(type="ok", value=done)))


def run(ops: int, **given: Any) -> list[Op]:
    options = with_defaults(RW_REGISTER.options, {name.replace("_", "-"): value for name, value in given.items()})
    simulation = Simulation(Registers(), concurrency=8, nodes=("n1",), seed=1)
    return simulation.run(gen.limit(ops, RW_REGISTER.clients(options)))


def test_values_are_unique_for_their_key_and_keys_are_retired() -> None:
    written: dict[int, list[int]] = {}
    for op in run(2000, writes_per_key=5):
        for what, key, value in op.value if op.type == "invoke" else ():
            assert what in ("w", "r")
            if what == "w":
                written.setdefault(key, []).append(value)
    assert all(values == list(range(1, len(values) + 1)) for values in written.values())
    assert max(map(len, written.values())) == 5
    assert len(written) > 200


def test_a_sound_database_is_valid_and_a_read_that_is_changed_is_not() -> None:
    ops = run(500)
    assert RwRegister().check(History.from_ops(ops), CheckOptions()).verdict == "valid"
    place, at = next(
        (i, j)
        for i, op in enumerate(ops)
        if op.type == "ok" and i > len(ops) // 2
        for j, (what, _, value) in enumerate(op.value)
        if what == "r" and value is not None and ["w", op.value[j][1], value] not in op.value
    )
    body = [list(micro_op) for micro_op in ops[place].value]
    body[at][2] = 1000
    ops[place] = ops[place].replace(value=body)
    verdict = RwRegister().check(History.from_ops(ops), CheckOptions())
    assert verdict.verdict == "invalid" and "garbage-read" in verdict.anomaly_types
