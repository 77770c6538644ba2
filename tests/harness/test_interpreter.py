"""Goal: every rule for ops, sessions and processes holds with real threads. Method: sessions that fail in every way."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import generator as gen
from harness.errors import InfrastructureError
from harness.history import History
from harness.interpreter import Interpreter
from harness.journal import Journal, read_journal
from harness.op import Op, invoke
from harness.stall import StallGate, StallWindow
from harness.target import DidNotHappen, SessionContext, Timeouts, Unknown

READ, WRITE = invoke("read"), invoke("write", [1, 2])
NODES = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]


class FunctionSession:
    """A session that does what a function says. It can be shut while the function waits for `closed`."""

    def __init__(self, act: Callable[[Op, FunctionSession], Op], context: SessionContext) -> None:
        self.act, self.context = act, context
        self.closed = threading.Event()

    def invoke(self, op: Op) -> Op:
        return self.act(op, self)

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def close(self) -> None:
        self.closed.set()


def ok(op: Op, session: FunctionSession) -> Op:
    return op.replace(type="ok")


class Bench:
    """An interpreter on a journal of its own, and every session that it opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path)
        self.sessions: list[FunctionSession] = []
        self.refuse: Callable[[], None] = lambda: None
        self.interpreter: Any = None

    def make(
        self, act: Callable[[Op, FunctionSession], Op] = ok, *, concurrency: int = 4, op_s: float = 5.0, **more: Any
    ) -> Interpreter:
        def open_session(node: Any, context: SessionContext) -> FunctionSession:
            self.refuse()
            session = FunctionSession(act, context)
            self.sessions.append(session)
            return session

        timeouts = Timeouts(op_s=op_s, connect_s=0.2)
        self.interpreter = Interpreter(
            self.journal, open_session, NODES, concurrency=concurrency, timeouts=timeouts, seed=1, **more
        )
        return self.interpreter

    def ops(self) -> list[Op]:
        self.journal.flush()
        return read_journal(self.path)[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "journal.jsonl")
    yield bench
    if bench.interpreter is not None:
        bench.interpreter.close()
    bench.journal.close()


def types(ops: list[Op]) -> list[str]:
    return [op.type for op in ops]


def well_formed(ops: list[Op]) -> None:
    """What every history must be: numbered, in order of time, one op in flight a process, all completed."""
    assert [op.index for op in ops] == list(range(len(ops)))
    assert all(earlier.time_ns <= later.time_ns for earlier, later in itertools.pairwise(ops))
    in_flight: dict[Any, Op] = {}
    for op in ops:
        if op.process == "nemesis":
            continue
        if op.type == "invoke":
            assert op.process not in in_flight
            in_flight[op.process] = op
        else:
            invocation = in_flight.pop(op.process)
            assert (op.f, op.node) == (invocation.f, invocation.node)
    assert not in_flight
    History.from_ops(ops)


def test_ops_are_done_and_recorded(bench: Bench) -> None:
    act = lambda op, session: op.replace(type="ok", value=[op.value, op.process])  # noqa: E731
    numbers = gen.unfold(0, lambda count, _: (invoke("write", count), count + 1))
    phase = bench.make(act).run(gen.limit(500, numbers))
    ops = bench.ops()
    well_formed(ops)
    assert sorted(op.value for op in ops if op.type == "invoke") == list(range(500))
    assert sorted(op.value[0] for op in ops if op.type == "ok") == list(range(500))
    assert all(op.value[1] == op.process for op in ops if op.type == "ok")
    assert {op.process % 4: op.node for op in ops} == {0: "a", 1: "b", 2: "a", 3: "b"}
    assert (phase.invoked, phase.ok, phase.fail, phase.info) == (500, 500, 0, 0)
    assert phase.ok_nodes["a"] + phase.ok_nodes["b"] == 500
    assert bench.interpreter.progress.ok == 500


def test_an_invocation_is_in_the_journal_before_it_is_sent(bench: Bench) -> None:
    recorded: set[int] = set()
    append = bench.journal.append
    missing: list[Op] = []

    def remember(op: Op) -> None:
        append(op)
        recorded.add(op.index)

    bench.journal.append = remember  # type: ignore[method-assign]

    def act(op: Op, session: FunctionSession) -> Op:
        if op.index not in recorded:
            missing.append(op)
        return op.replace(type="ok")

    bench.make(act).run(gen.limit(300, gen.repeat(WRITE)))
    assert len(recorded) == 600 and not missing


def test_outcomes_become_completions(bench: Bench) -> None:
    outcomes = {
        "no": DidNotHappen("conflict"),
        "lost": DidNotHappen("refused", lost=True),
        "kept": Unknown("cancelled", lost=False),
        "perhaps": Unknown("reset"),
        "odd": KeyError("surprise"),
        "read": ValueError("two\nlines"),
    }

    def act(op: Op, session: FunctionSession) -> Op:
        raise outcomes[op.f]

    interpreter = bench.make(act, concurrency=1)
    interpreter.run([invoke(f) for f in outcomes])
    ops = bench.ops()
    well_formed(ops)
    done = {op.f: op for op in ops if op.type != "invoke"}
    assert {f: op.type for f, op in done.items()} == {
        "no": "fail",
        "lost": "fail",
        "kept": "info",
        "perhaps": "info",
        "odd": "info",
        "read": "fail",
    }
    assert done["no"].error == "conflict"
    assert done["read"].error == "builtins.ValueError: two lines"
    assert [done[f].process for f in outcomes] == [0, 0, 1, 1, 2, 3], "a process is one session"
    assert interpreter.unmapped == {"builtins.KeyError": 1, "builtins.ValueError": 1}


def test_what_is_no_completion_is_unknown(bench: Bench) -> None:
    bench.make(lambda op, session: None if op.f == "write" else op).run([WRITE, invoke("cas")])  # type: ignore[return-value,arg-type]
    assert types(bench.ops()).count("info") == 2
    assert sum(bench.interpreter.unmapped.values()) == 2


def test_a_process_is_exactly_one_session(bench: Bench) -> None:
    rng = random.Random(5)

    def act(op: Op, session: FunctionSession) -> Op:
        used[op.process].add(id(session))
        assert op.process == session.context.process
        if rng.random() < 0.3:
            raise Unknown("reset")
        return op.replace(type="ok")

    used: dict[Any, set[int]] = defaultdict(set)
    bench.make(act).run(gen.time_limit(1.0, gen.limit(300, gen.repeat(WRITE))))
    well_formed(bench.ops())
    assert all(len(sessions) == 1 for sessions in used.values())
    processes = [session.context.process for session in bench.sessions]
    assert len(processes) == len(set(processes)) > 4
    lost = {op.process for op in bench.ops() if op.type == "info"}
    assert all(session.closed.is_set() for session in bench.sessions if session.context.process in lost)


def test_an_op_that_outlives_its_deadline(bench: Bench) -> None:
    """It is info (a read fails), its session is shut, what comes later is dropped, and others go on meanwhile."""
    slow: list[Op] = []

    def act(op: Op, session: FunctionSession) -> Op:
        if op.process < 2:
            session.closed.wait(10)
            time.sleep(0.2)
            slow.append(op)
        return op.replace(type="ok")

    begin = time.monotonic()
    reader, writer = gen.on_threads({0}, gen.repeat(READ)), gen.on_threads({1}, gen.repeat(WRITE))
    others = gen.on_threads({2, 3}, gen.cycle([READ, WRITE]))
    source = gen.time_limit(0.8, gen.any_of(*(gen.stagger(0.01, each) for each in (reader, writer, others))))
    bench.make(act, concurrency=4, op_s=0.3).run(source)
    assert time.monotonic() - begin < 3.0
    ops = bench.ops()
    well_formed(ops)
    late = [op for op in ops if op.error == "deadline"]
    assert sorted((op.f, op.type) for op in late) == [("read", "fail"), ("write", "info")]
    invocations = {op.process: op for op in ops if op.type == "invoke" and op.process < 2}
    for op in late:
        assert 0.3 <= (op.time_ns - invocations[op.process].time_ns) / 1e9 < 0.8
    assert len(slow) == 2, "both came back, and were not heard"
    assert {op.process for op in ops if op.type == "ok"} >= {2, 3, 4, 5}


def test_too_many_threads_that_hang_end_the_run(bench: Bench) -> None:
    release = threading.Event()

    def act(op: Op, session: FunctionSession) -> Op:
        release.wait(30)
        return op

    with pytest.raises(InfrastructureError, match="9 threads hang"):
        interpreter = bench.make(act, concurrency=2, op_s=0.05)
        interpreter.run(gen.time_limit(20, gen.repeat(WRITE)))
    threading.Timer(1.0, release.set).start()
    interpreter.close_sessions()  # while they hang: closing abandons the last ones too, and raises nothing
    ops = bench.ops()
    assert 5 <= types(ops).count("info") <= 10


def test_a_driver_that_blocks_in_close_blocks_nobody(bench: Bench) -> None:
    release = threading.Event()

    class Stubborn(FunctionSession):
        def close(self) -> None:
            release.wait(20)

    interpreter = Interpreter(
        bench.journal,
        lambda node, context: Stubborn(lambda op, session: release.wait(20) and op, context),
        NODES,
        concurrency=2,
        timeouts=Timeouts(op_s=0.2, connect_s=0.2),
        seed=1,
    )
    begin = time.monotonic()
    interpreter.run(gen.repeat(WRITE, 2))
    assert time.monotonic() - begin < 1.5
    assert types(bench.ops()) == ["invoke", "invoke", "info", "info"]
    assert interpreter.close_sessions(timeout_s=0.2) > 0
    release.set()
    interpreter.close()


def test_a_node_that_refuses_gives_few_certain_failures(bench: Bench) -> None:
    def refuse() -> None:
        raise ConnectionRefusedError("nobody listens")

    bench.refuse = refuse
    bench.make(concurrency=2).run(gen.time_limit(1.5, gen.repeat(WRITE)))
    ops = bench.ops()
    well_formed(ops)
    failed = [op for op in ops if op.type != "invoke"]
    assert {(op.type, op.error) for op in failed} == {("fail", "could not connect: nobody listens")}
    assert 4 <= len(failed) <= 12, "one for each attempt, with pauses that double"
    assert {op.process for op in failed} == {0, 1}, "a process that never had a session goes on"


def test_it_connects_again_when_the_node_is_back(bench: Bench) -> None:
    down_until = time.monotonic() + 0.7

    def refuse() -> None:
        if time.monotonic() < down_until:
            raise ConnectionRefusedError("nobody listens")

    bench.refuse = refuse
    phase = bench.make(concurrency=2).run(gen.each_thread(gen.until_ok(gen.repeat(WRITE))))
    assert phase.ok == 2 and phase.fail >= 2
    assert phase.ok_nodes == {"a": 1, "b": 1}


def test_an_opening_that_hangs_is_given_up(bench: Bench) -> None:
    hang = threading.Event()
    opened = itertools.count()

    def refuse() -> None:
        if next(opened) == 0:
            hang.wait(20)

    bench.refuse = refuse
    begin = time.monotonic()
    phase = bench.make(concurrency=1, op_s=0.2).run(gen.until_ok(gen.repeat(WRITE)))
    assert time.monotonic() - begin < 3
    assert phase.last_errors["a"] == "could not connect: no answer in 0.4 s"
    assert phase.ok == 1
    hang.set()
    time.sleep(0.1)
    assert any(session.closed.is_set() for session in bench.sessions), "the late session is shut"


def test_a_stall_moves_the_deadline(bench: Bench) -> None:
    gate = StallGate()
    gate.open(StallWindow(chance=1.0, length_s=0.6))

    def act(op: Op, session: FunctionSession) -> Op:
        session.context.between_statements()
        session.context.between_statements()
        return op.replace(type="ok")

    phase = bench.make(act, concurrency=2, op_s=0.3, stall_gate=gate).run(gen.repeat(WRITE, 2))
    assert phase.ok == 2
    assert gate.stalls == 2
    first, *_, last = bench.ops()
    assert 0.6 <= (last.time_ns - first.time_ns) / 1e9 < 1.0
    gate.close()
    begin = time.monotonic()
    bench.interpreter.run(gen.repeat(WRITE, 2))
    assert time.monotonic() - begin < 0.3


def test_phases_go_on_in_one_history(bench: Bench) -> None:
    interpreter = bench.make()
    interpreter.mark("ready")
    interpreter.run(gen.ok_on_each_node(2, gen.repeat(WRITE)))
    interpreter.mark("main")
    interpreter.run(gen.limit(20, gen.repeat(WRITE)))
    before = {op.process for op in bench.ops() if isinstance(op.process, int)}
    interpreter.close_sessions()
    assert all(session.closed.is_set() for session in bench.sessions)
    interpreter.run(gen.each_thread(gen.until_ok(gen.repeat(READ))))
    ops = bench.ops()
    well_formed(ops)
    after = {op.process for op in ops if op.f == "read"}
    assert len(after) == 4 and not after & before
    assert [op.value for op in ops if op.f == "phase"] == ["ready", "main"]


def test_a_generator_that_raises_ends_the_run(bench: Bench) -> None:
    def broken(context: gen.Context) -> Op:
        raise LookupError("no such key")

    with pytest.raises(LookupError):
        bench.make().run([READ, broken])


def test_stop_returns_soon_and_leaves_nothing_open(bench: Bench) -> None:
    def act(op: Op, session: FunctionSession) -> Op:
        if op.process == 0:
            session.closed.wait(20)
        return op.replace(type="ok")

    interpreter = bench.make(act, op_s=20)
    threading.Timer(0.3, interpreter.stop).start()
    begin = time.monotonic()
    phase = interpreter.run(gen.stagger(0.001, gen.repeat(WRITE)))
    assert time.monotonic() - begin < 2.0
    assert phase.stopped
    ops = bench.ops()
    well_formed(ops)
    assert [(op.process, op.error) for op in ops if op.type == "info"] == [(0, "stopped")]
    interpreter.resume()
    assert interpreter.run(gen.repeat(READ, 3)).ok == 3


def test_stop_with_an_error_raises_it(bench: Bench) -> None:
    interpreter = bench.make()
    threading.Timer(0.1, interpreter.stop, [InfrastructureError("the sandbox is gone")]).start()
    with pytest.raises(InfrastructureError, match="the sandbox is gone"):
        interpreter.run(gen.stagger(0.001, gen.repeat(WRITE)))
    well_formed(bench.ops())


@pytest.mark.parametrize("seed", range(4))
def test_whatever_sessions_do_the_history_is_well_formed(bench: Bench, seed: int) -> None:
    """Random mixtures of success, failure, loss, delay, hanging and refusal, over several phases and a stop."""
    rng = random.Random(seed)

    def refuse() -> None:
        if rng.random() < 0.2:
            raise ConnectionRefusedError("refused")

    def act(op: Op, session: FunctionSession) -> Op:
        draw = rng.random()
        if draw < 0.6:
            return op.replace(type="ok")
        if draw < 0.7:
            time.sleep(rng.random() * 0.02)
            return op.replace(type="ok")
        if draw < 0.75:
            session.closed.wait(1.0)
            raise Unknown("shut")
        raise rng.choice([DidNotHappen("no"), DidNotHappen("no", lost=True), Unknown("lost"), RuntimeError("odd")])

    bench.refuse = refuse
    interpreter = bench.make(act, concurrency=6, op_s=0.1)
    source = gen.time_limit(0.6, gen.mix(gen.repeat(READ), gen.repeat(WRITE)))
    interpreter.run(source)
    interpreter.close_sessions()
    interpreter.run(gen.phases(source, gen.each_thread(gen.limit(3, gen.repeat(READ)))))
    threading.Timer(0.2, interpreter.stop).start()
    interpreter.run(gen.repeat(WRITE))
    ops = bench.ops()
    well_formed(ops)
    assert {"ok", "fail", "info"} <= set(types(ops))
