"""How long the checkers of sets, ids, queues, counters and banks take, on histories that are made here.

    python -m benchmarks.small_checkers [--ops 100000] [--repeat 3]

Ten clients do one op after another with overlaps; one in a hundred has an unknown outcome. Each checker is timed on a
valid history and on one where the answers of one in a hundred ops were changed (of sets, of every other read, and of
all that come last), never those that only repeat what was asked. Seconds are of the process (CPU).
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from checkers.collections.bank import Bank
from checkers.collections.counter import Counter
from checkers.collections.set_basic import SetAtTheEnd
from checkers.collections.set_full import SetFull
from checkers.collections.total_queue import TotalQueue
from checkers.collections.unique_ids import UniqueIds
from checkers.replicas.durability import Durability
from harness.checker import Checker, CheckOptions
from harness.history import History

CLIENTS = 10
Step = Callable[[int, random.Random], tuple[str, Any, Callable[[], Any]]]
"""step(number, chance) → (f, argument, take effect and answer)."""


def history_of(step: Step, ops: int, *, spoil: Callable[[Any], Any] | None, last: Step | None = None) -> History:
    """Interleaved calls: each takes effect when it returns. spoil: changes what was found, in one of a hundred."""
    chance = random.Random(7)
    records: list[dict[str, Any]] = []
    pending: list[tuple[int, str, Any, Callable[[], Any]]] = []
    processes = list(range(CLIENTS))
    number = 0

    def record(type_: str, process: int, f: str, value: Any) -> None:
        place = len(records)
        node = f"n{process % 5}"
        records.append(
            {
                "index": place,
                "time": place * 1000,
                "type": type_,
                "process": process,
                "f": f,
                "value": value,
                "node": node,
            }
        )

    def finish(place: int) -> None:
        process, f, argument, effect = pending.pop(place)
        unknown = chance.random() < 0.01
        answer = effect() if not unknown or chance.random() < 0.5 else None
        if unknown:
            record("info", process, f, argument)
            processes.append(process + CLIENTS)
            return
        if spoil is not None and argument is None and chance.random() < (0.5 if isinstance(answer, list) else 0.01):
            answer = spoil(answer)
        record("ok", process, f, answer)
        processes.append(process)

    while number < ops:
        if processes and (len(pending) < 3 or chance.random() < 0.5):
            process = processes.pop(0)
            f, argument, effect = step(number, chance)
            record("invoke", process, f, argument)
            pending.append((process, f, argument, effect))
            number += 1
        else:
            finish(chance.randrange(len(pending)))
    while pending:
        finish(0)
    for process in range(10**6, 10**6 + 5):
        if last is None:
            break
        f, argument, effect = last(number, chance)
        record("invoke", process, f, argument)
        answer = effect()
        record("ok", process, f, answer if spoil is None or f == "drain" else spoil(answer))
    return History.from_ops(records)


def put(values: list[int], number: int) -> int:
    """One more value."""
    values.append(number)
    return number


def sets(read_every: int) -> tuple[Step, Step]:
    """Adds, and a read in every so many ops; at last reads."""
    elements: list[int] = []

    def read(number: int, chance: random.Random) -> tuple[str, Any, Callable[[], Any]]:
        return "read", None, lambda: list(elements)

    def step(number: int, chance: random.Random) -> tuple[str, Any, Callable[[], Any]]:
        if number % read_every == read_every - 1:
            return read(number, chance)
        return "add", number, lambda: put(elements, number)

    return step, read


def ids() -> Step:
    """Ids one after the other."""
    numbers = iter(range(10**12))
    return lambda number, chance: ("generate", None, lambda: next(numbers))


def queues() -> tuple[Step, Step]:
    """Enqueues and dequeues in turn; at last drains."""
    values: list[int] = []

    def drain() -> list[int]:
        taken = values[:]
        values.clear()
        return taken

    def step(number: int, chance: random.Random) -> tuple[str, Any, Callable[[], Any]]:
        if number % 2:
            return "dequeue", None, lambda: values.pop() if values else None
        return "enqueue", number, lambda: put(values, number)

    return step, lambda number, chance: ("drain", None, drain)


def counters() -> Step:
    """Adds up and down, and reads."""
    total = [0]

    def add(amount: int) -> int:
        total[0] += amount
        return amount

    def step(number: int, chance: random.Random) -> tuple[str, Any, Callable[[], Any]]:
        if chance.random() < 0.4:
            return "read", None, lambda: total[0]
        amount = chance.choice([1, 2, 3, 4, 5, -1, -2])
        return "add", amount, lambda: add(amount)

    return step


def banks() -> Step:
    """Transfers and reads of eight accounts."""
    balances = dict.fromkeys(range(8), 1000)

    def move(transfer: Mapping[str, int]) -> Mapping[str, int]:
        balances[transfer["from"]] -= transfer["amount"]
        balances[transfer["to"]] += transfer["amount"]
        return transfer

    def step(number: int, chance: random.Random) -> tuple[str, Any, Callable[[], Any]]:
        if chance.random() < 0.4:
            return "read", None, lambda: dict(balances)
        source, goal = chance.sample(range(8), 2)
        transfer = {"from": source, "to": goal, "amount": chance.randint(1, 5)}
        return "transfer", transfer, lambda: move(transfer)

    return step


def cases(ops: int) -> Iterator[tuple[str, Checker, Callable[[], tuple[Step, Step | None]], Callable[[Any], Any], Any]]:
    """(name, checker, steps, what spoils an answer, options)."""

    def less(answer: list[int]) -> list[int]:
        return answer[: len(answer) * 99 // 100]

    yield "set-full, a read in 1000 ops", SetFull(), lambda: sets(1000), less, {}
    yield "durability", Durability(), lambda: sets(1000), less, {}
    yield "set", SetAtTheEnd(), lambda: sets(ops), less, {}
    yield "unique-ids", UniqueIds(), lambda: (ids(), None), lambda answer: answer - answer % 2, {}
    yield "total-queue", TotalQueue(), queues, lambda answer: None if answer is None else answer - answer % 4, {}
    yield "counter", Counter(), lambda: (counters(), None), lambda answer: answer + 100_000, {}
    options = {"accounts": 8, "balance": 1000}
    yield "bank", Bank(), lambda: (banks(), None), lambda found: {**found, 0: found[0] + 1}, options


def main() -> None:
    """Measure each checker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    for name, checker, steps, spoil, options in cases(arguments.ops):
        for spoiled in (False, True):
            step, last = steps()
            history = history_of(step, arguments.ops, spoil=spoil if spoiled else None, last=last)
            asked = CheckOptions(model="linearizable", workload=options)
            best_s = 1e9
            for _ in range(arguments.repeat):
                begin_s = time.process_time()
                verdict = checker.check(history, asked)
                best_s = min(best_s, time.process_time() - begin_s)
            found = sum(verdict.anomaly_counts.values())
            print(f"{name:<30}{len(history):>10} records{best_s:9.3f} s  {verdict.verdict:<8}{found:>8} anomalies")


if __name__ == "__main__":
    main()
