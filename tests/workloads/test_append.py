"""Goal: the append workload's promises (unique values, keys used once, keys hot). Method: simulated time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness import generator as gen
from harness.op import Op
from harness.options import with_defaults
from harness.simulation import Simulation
from harness.target import DidNotHappen
from workloads.append import APPEND, FINAL_KEYS, KEYS_OF_A_PHASE, first_key, generator


def options(**given: Any) -> dict[str, Any]:
    return with_defaults(APPEND.options, {name.replace("_", "-"): value for name, value in given.items()})


class Lists:
    """A database of lists that does one transaction at a time, and loses some chance of them."""

    def __init__(self, failing: float = 0.0) -> None:
        self.lists: dict[int, list[int]] = {}
        self.failing, self.random = failing, random.Random(0)

    def is_read(self, op: Op) -> bool:
        return all(what == "r" for what, _, _ in op.value)

    def begin(self, op: Op, clock: Any, finish: Callable[[Any], None]) -> None:
        delay_ns = self.random.randrange(1, 10_000_000)
        if self.random.random() < self.failing:
            clock.after(delay_ns, lambda: finish(DidNotHappen("lost")))
            return
        done = []
        for what, key, value in op.value:
            if what == "append":
                self.lists.setdefault(key, []).append(value)
            done.append([what, key, value if what == "append" else list(self.lists.get(key, []))])
        clock.after(delay_ns, lambda: finish(op.replace(type="ok", value=done)))


def run(given: Mapping[str, Any], ops: int, *, failing: float = 0.0, seed: int = 1) -> tuple[list[Op], Lists]:
    model = Lists(failing)
    simulation = Simulation(model, concurrency=8, nodes=("n1",), seed=seed)
    return simulation.run(gen.limit(ops, generator(given))), model


def micro_ops(history: list[Op], what: str) -> list[tuple[int, Any]]:
    return [(key, value) for op in history if op.type == "invoke" for kind, key, value in op.value if kind == what]


@pytest.mark.parametrize("writes", [1, 4, 32])
@pytest.mark.parametrize("distribution", ["exponential", "uniform"])
def test_values_of_a_key_are_counted_and_a_key_is_retired_after_its_share(writes: int, distribution: str) -> None:
    history, _ = run(options(writes_per_key=writes, distribution=distribution), 2000)
    seen: dict[int, list[int]] = {}
    for key, value in micro_ops(history, "append"):
        seen.setdefault(key, []).append(value)
    assert all(values == list(range(1, len(values) + 1)) for values in seen.values())
    assert max(map(len, seen.values())) <= writes
    assert len([values for values in seen.values() if len(values) < writes]) <= 10


def test_at_most_so_many_keys_are_in_use_but_for_looks_back() -> None:
    history, _ = run(options(keys=5), 2000)
    full: set[int] = set()
    looks_back = 0
    for op in history:
        for what, key, value in op.value if op.type == "invoke" else ():
            looks_back += key in full
            assert what == "r" or key not in full
            if value == 4:
                full.add(key)
    reads = len(micro_ops(history, "r"))
    assert 0.01 * reads < looks_back < 0.06 * reads


def test_transactions_have_one_op_to_the_most_and_both_kinds() -> None:
    history, _ = run(options(max_ops=3), 2000)
    sizes = Counter(len(op.value) for op in history if op.type == "invoke")
    assert set(sizes) == {1, 2, 3} and min(sizes.values()) > 500
    assert 0.45 < len(micro_ops(history, "append")) / sum(size * count for size, count in sizes.items()) < 0.55


def test_exponential_keys_are_hotter_than_uniform_ones() -> None:
    def share_of_hottest(distribution: str) -> float:
        history, _ = run(options(writes_per_key=1000, distribution=distribution), 500)
        counts = Counter(key for op in history if op.type == "invoke" for _, key, _ in op.value)
        return counts.most_common(1)[0][1] / sum(counts.values())

    assert share_of_hottest("exponential") > 0.4 > 0.2 > share_of_hottest("uniform")


def test_phases_share_no_key() -> None:
    keys = []
    for phase in range(3):
        history, _ = run({**options(), "phase": phase}, 1000)
        keys.append({key for op in history for _, key, _ in op.value})
    assert not keys[0] & keys[1] and not keys[1] & keys[2] and not keys[0] & keys[2]
    assert first_key(0) > max(first_key(1), first_key(2)) + KEYS_OF_A_PHASE - 1, "the main phase has no end"


def test_the_same_seed_gives_the_same_transactions() -> None:
    assert run(options(), 300, seed=3)[0] == run(options(), 300, seed=3)[0]
    assert run(options(), 300, seed=3)[0] != run(options(), 300, seed=4)[0]


@pytest.mark.parametrize("ops, failing", [(0, 0.0), (1, 0.0), (40, 0.4), (3000, 0.0), (3000, 0.4), (18_000, 0.0)])
def test_final_reads_see_the_last_keys(ops: int, failing: float) -> None:
    model = run(options(), ops, failing=failing)[1]
    simulation = Simulation(model, concurrency=8, nodes=("n1",))
    assert APPEND.final_generator is not None
    final = simulation.run(APPEND.final_generator(options()))
    read = {key: elements for op in final if op.type == "ok" for _, key, elements in op.value}
    used = sorted(model.lists)
    for key in used[-FINAL_KEYS + 500 :]:
        assert read[key] == model.lists[key]
    assert len(final) < 2 * 260
    assert all(op.f == "txn" and model.is_read(op) for op in final)


@pytest.mark.parametrize("bad", [{"keys": 0}, {"keys": 61}, {"writes_per_key": 0}, {"max_ops": -1}])
def test_bad_options_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad)).replace("_", "-")):
        options(**bad)
