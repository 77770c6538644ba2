"""What the interpreter costs: no-op ops per second, and what it adds to a completion's latency. Asked for: ≥ 25,000
ops/s with 30 workers and the journal on; < 3 ms at p99 with 5,000 ops/s.

    python benchmarks/interpreter.py [repetitions]

The sessions do nothing and note when they return; what a completion's record says later is the interpreter's addition.
Each figure is the median of several repetitions: other programs on the machine disturb both.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from harness import generator as gen
from harness.interpreter import Interpreter
from harness.journal import Journal, read_journal
from harness.op import Op, invoke
from harness.target import SessionContext, Timeouts

WORKERS = 30
OPS = 100_000
RATE_HZ, RATE_S = 5_000, 4.0
READ = gen.repeat(invoke("txn", [["append", 3, 7], ["r", 9, None]]))


class NothingToDo:
    """A session that succeeds at once and notes when it did, by the index of the invocation."""

    def __init__(self, returned_ns: dict[int, int]) -> None:
        self._returned_ns = returned_ns

    def invoke(self, op: Op) -> Op:
        completion = op.replace(type="ok")
        self._returned_ns[op.index] = time.monotonic_ns()
        return completion

    def is_read(self, op: Op) -> bool:
        return False

    def close(self) -> None:
        pass


def interpreter(journal: Journal, returned_ns: dict[int, int]) -> Interpreter:
    """One with all its sessions open."""

    def open_session(node: SimpleNamespace, context: SessionContext) -> NothingToDo:
        return NothingToDo(returned_ns)

    nodes = [SimpleNamespace(name=f"n{number}") for number in range(1, 6)]
    made = Interpreter(journal, open_session, nodes, concurrency=WORKERS, timeouts=Timeouts(), seed=1)
    made.run(gen.each_thread(gen.once(READ)))
    return made


def throughput(folder: Path) -> float:
    """No-op ops per second, as fast as they go."""
    with Journal(folder / "throughput.jsonl") as journal:
        made = interpreter(journal, {})
        begin = time.perf_counter()
        made.run(gen.limit(OPS, READ))
        ops_per_s = OPS / (time.perf_counter() - begin)
        made.close()
    return ops_per_s


def added_latency_ms(folder: Path) -> tuple[float, float, float]:
    """(p50, p99, ops/s reached) of what lies between a session's return and the completion's time, in milliseconds."""
    path = folder / "latency.jsonl"
    path.unlink(missing_ok=True)
    returned_ns: dict[int, int] = {}
    with Journal(path) as journal:
        made = interpreter(journal, returned_ns)
        origin_ns = time.monotonic_ns() - made.now_ns()
        made.run(gen.time_limit(RATE_S, gen.stagger(1 / RATE_HZ, READ)))
        made.close()
    open_ops: dict[int | str, int] = {}
    added_ns = []
    ops, _ = read_journal(path)
    for op in ops:
        if op.type == "invoke":
            open_ops[op.process] = op.index
        else:
            added_ns.append(op.time_ns + origin_ns - returned_ns[open_ops.pop(op.process)])
    p50, p99 = np.percentile(added_ns, [50, 99]) / 1e6
    return float(p50), float(p99), len(added_ns) / RATE_S


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rates = [throughput(folder) for _ in range(repetitions)]
        latencies = [added_latency_ms(folder) for _ in range(repetitions)]
    print(f"no-op ops/s, {WORKERS} workers, journal on: {statistics.median(rates):,.0f}  (all: {show(rates)})")
    for place, words in enumerate(("p50", "p99")):
        figures = [latency[place] for latency in latencies]
        reached = statistics.median(latency[2] for latency in latencies)
        median = statistics.median(figures)
        print(
            f"added at {reached:,.0f} ops/s, {words}: {median:.2f} ms  (all: {' '.join(f'{x:.2f}' for x in figures)})"
        )


def show(figures: list[float]) -> str:
    """Whole numbers in a row."""
    return " ".join(f"{figure:,.0f}" for figure in figures)


if __name__ == "__main__":
    main()
