"""What judging linearizability costs, by data type: CPU seconds of a whole check, best of some, warm, in one process.

    python benchmarks/data_types.py [--ops 100000] [--register-ops 1000000] [--clients 10] [--repeat 3]

Histories are random executions of a real object by clients that overlap; each must be judged valid. `damaged` is the
same with one answer changed near the end: finding that must not cost much more. The register's history is read from
EDN, as Jepsen writes it, so that its values are columns; reading is timed apart. Beside it a peer's figure: Porcupine
takes 57 s for 1,000 unique writes and reads by 20 clients.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checkers.linearizability.lin_bag import Bag
from checkers.linearizability.lin_calls import DataType
from checkers.linearizability.lin_checker import LinearizableType
from checkers.linearizability.lin_counter import Counter
from checkers.linearizability.lin_fenced_lock import FencedLock
from checkers.linearizability.lin_fifo import FifoQueue
from checkers.linearizability.lin_log import Log
from checkers.linearizability.lin_multi_register import MultiRegister
from checkers.linearizability.lin_mutex import Mutex, OwnedMutex
from checkers.linearizability.lin_set import Set
from checkers.linearizability.lin_stack import Stack
from checkers.linearizability.linearizable import Linearizable
from harness.checker import CheckOptions
from harness.history import History
from harness.reading import read_recording

Ops = list[dict[str, Any]]
Happen = Callable[[str, Any, int], Any]
"""(f, argument, process) → the result; WAIT where it can't happen now."""
WAIT = object()


def execution(
    make: Callable[[random.Random, int, int], tuple[str, Any]], happen: Happen, ops: int, clients: int
) -> Ops:
    """Records of so many ops. make: (chance, number, process) → (f, argument)."""
    chance = random.Random(1)
    records: Ops = []
    pending: dict[int, list[Any]] = {}
    begun = 0
    while begun < ops or pending:
        process = chance.randrange(clients)
        call = pending.get(process)
        if call is None:
            if begun == ops:
                if all(each[2] is WAIT for each in pending.values()) and _all_wait(pending, happen):
                    break
                continue
            f, argument = make(chance, begun, process)
            pending[process] = [f, argument, WAIT]
            records.append({"type": "invoke", "process": process, "f": f, "value": argument})
            begun += 1
        elif call[2] is WAIT:
            call[2] = happen(call[0], call[1], process)
            if call[2] is WAIT and begun == ops and _all_wait(pending, happen):
                break
        else:
            records.append({"type": "ok", "process": process, "f": call[0], "value": call[2]})
            del pending[process]
    return records


def _all_wait(pending: dict[int, list[Any]], happen: Happen) -> bool:
    """Whether nothing can happen any more; what can, does."""
    for process, call in pending.items():
        if call[2] is WAIT:
            call[2] = happen(call[0], call[1], process)
    return all(call[2] is WAIT for call in pending.values())


def counter(ops: int, clients: int, amounts: tuple[int, ...] = (1,)) -> Ops:
    value = 0

    def happen(f: str, argument: Any, process: int) -> Any:
        nonlocal value
        value += argument or 0
        return argument if f == "add" else value

    return execution(
        lambda c, n, p: ("add", c.choice(amounts)) if c.random() < 0.5 else ("read", None), happen, ops, clients
    )


def collection(put: str, take: str, last: bool, ops: int, clients: int) -> Ops:
    held: deque[int] = deque()

    def happen(f: str, argument: Any, process: int) -> Any:
        if f == put:
            held.append(argument)
            return argument
        return None if not held else held.pop() if last else held.popleft()

    return execution(lambda c, n, p: (put, n) if c.random() < 0.5 else (take, None), happen, ops, clients)


def set_of(ops: int, clients: int, reads: float) -> Ops:
    held: set[int] = set()

    def happen(f: str, argument: Any, process: int) -> Any:
        if f == "read":
            return list(held)
        if f == "contains":
            return [argument[0], argument[0] in held]
        (held.add if f == "add" else held.discard)(argument)
        return argument

    def make(chance: random.Random, number: int, process: int) -> tuple[str, Any]:
        if chance.random() < reads:
            return "read", None
        if chance.random() < 0.5:
            return "add", number
        return "contains", [chance.randrange(max(0, number - 20), number + 1), None]

    return execution(make, happen, ops, clients)


def log(ops: int, clients: int) -> Ops:
    held: list[int] = []

    def happen(f: str, argument: Any, process: int) -> Any:
        if f == "append":
            held.append(argument)
            return [len(held) - 1, argument] if argument % 2 else argument
        return [argument[0], held[argument[0] : argument[0] + 20]]

    def make(chance: random.Random, number: int, process: int) -> tuple[str, Any]:
        return ("append", number) if chance.random() < 0.5 else ("poll", [chance.randrange(number // 2 + 1), None])

    return execution(make, happen, ops, clients)


def lock(ops: int, clients: int, tokens: bool) -> Ops:
    owner: list[int] = []
    token = 0
    wants: dict[int, str] = {}

    def happen(f: str, argument: Any, process: int) -> Any:
        nonlocal token
        if f == "release":
            owner.clear()
            return None
        if owner:
            return WAIT
        owner.append(process)
        token += 1
        return token if tokens else None

    def make(chance: random.Random, number: int, process: int) -> tuple[str, Any]:
        wants[process] = "release" if wants.get(process) == "acquire" else "acquire"
        return wants[process], None

    return execution(make, happen, ops, clients)


def multi_register(ops: int, clients: int) -> Ops:
    held: dict[str, int] = {}

    def happen(f: str, argument: Any, process: int) -> Any:
        if f == "write":
            held.update(argument)
            return argument
        return {key: held.get(key) for key in argument}

    def make(chance: random.Random, number: int, process: int) -> tuple[str, Any]:
        keys = chance.sample("abcdef", 2)
        return (
            ("write", dict.fromkeys(keys, chance.randrange(5)))
            if chance.random() < 0.5
            else ("read", dict.fromkeys(keys))
        )

    return execution(make, happen, ops, clients)


def register(ops: int, clients: int) -> Ops:
    held: list[int | None] = [None]

    def happen(f: str, argument: Any, process: int) -> Any:
        if f == "write":
            held[0] = argument
        return held[0]

    return execution(lambda c, n, p: ("write", n) if c.random() < 0.5 else ("read", None), happen, ops, clients)


def rows(ops: int, clients: int) -> list[tuple[str, DataType, Callable[[], Ops]]]:
    """What is measured: name, model, history."""
    return [
        ("counter, by one", Counter(), lambda: counter(ops, clients)),
        ("queue (bag)", Bag(), lambda: collection("enqueue", "dequeue", False, ops, clients)),
        ("FIFO queue", FifoQueue(), lambda: collection("enqueue", "dequeue", False, ops, clients)),
        ("stack", Stack(), lambda: collection("push", "pop", True, ops, clients)),
        ("set: add, contains", Set(), lambda: set_of(ops, clients, 0.0)),
        ("set: also 0.05 % whole reads", Set(), lambda: set_of(ops, clients, 0.0005)),
        ("log, polls of 20", Log(), lambda: log(ops, clients)),
        ("mutex", Mutex(), lambda: lock(ops, clients, tokens=False)),
        ("mutex with owners", OwnedMutex(), lambda: lock(ops, clients, tokens=False)),
        ("fenced lock", FencedLock(), lambda: lock(ops, clients, tokens=True)),
        ("counter, by 1 or 2 (search)", Counter(), lambda: counter(ops // 10, 5, (1, 2))),
        ("multi-register (search)", MultiRegister(), lambda: multi_register(ops // 10, 5)),
    ]


def best(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """(CPU seconds, result)."""
    seconds = []
    for _ in range(repeat):
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
    return min(seconds), result


def damaged(records: Ops) -> Ops:
    """One answer near the end is that of another op of its kind long before."""
    place = max(i for i in range(len(records) * 9 // 10) if _answers(records[i]))
    wanted = records[place]
    other = next(
        each
        for each in records[len(records) // 3 :]
        if _answers(each) and each["f"] == wanted["f"] and _asked(each["value"]) == _asked(wanted["value"])
    )
    return [*records[:place], {**wanted, "value": other["value"]}, *records[place + 1 :]]


def _asked(value: Any) -> Any:
    """What an answer must repeat of the question."""
    return (
        list(value) if isinstance(value, dict) else value[:1] if isinstance(value, list) and len(value) == 2 else None
    )


def _answers(record: dict[str, Any]) -> bool:
    return record["type"] == "ok" and record["f"] in ("read", "dequeue", "pop", "acquire", "contains", "poll")


def edn(records: Ops) -> str:
    """As Jepsen writes it."""
    return "\n".join(
        f"{{:index {index}, :time {index}, :type :{op['type']}, :process {op['process']}, :f :{op['f']}, "
        f":value {'nil' if op['value'] is None else op['value']}}}"
        for index, op in enumerate(records)
    )


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=int, default=100_000)
    parser.add_argument("--register-ops", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'data type':<34}{'ops':>9}{'CPU s':>9}{'damaged':>9}")
    if arguments.register_ops:
        _register_row(arguments.register_ops, arguments.clients, arguments.repeat)
    for name, model, make in rows(arguments.ops, arguments.clients):
        _row(name, model, make(), arguments.repeat)


def _row(name: str, model: DataType, records: Ops, repeat: int) -> None:
    checker, options = LinearizableType(lambda options: model), CheckOptions()
    good, bad = History.from_ops(records), History.from_ops(damaged(records))
    seconds, verdict = best(lambda: checker.check(good, options), repeat)
    assert verdict.verdict == "valid", verdict
    bad_s, verdict = best(lambda: checker.check(bad, options), 1)
    ops = sum(record["type"] == "invoke" for record in records)
    print(f"{name:<34}{ops:>9,}{seconds:>9.3f}{bad_s:>9.3f} {verdict.verdict} {verdict.anomaly_types}", flush=True)


def _register_row(ops: int, clients: int, repeat: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.edn"
        path.write_text(edn(register(ops, clients)), "utf-8")
        read_s, recording = best(lambda: read_recording(path), 1)
        seconds, verdict = best(lambda: Linearizable().check(recording.history, CheckOptions()), repeat + 1)
        assert verdict.verdict == "valid", verdict
    print(f"{'register, unique writes':<34}{ops:>9,}{seconds:>9.3f}          (reading {read_s:.2f})", flush=True)


if __name__ == "__main__":
    main()
