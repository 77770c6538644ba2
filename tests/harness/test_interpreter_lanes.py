"""Goal: fault lanes never block each other or the clients, and end healed, whatever breaks. Method: real threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import generator as gen
from harness import lane as lanes
from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.history import History
from harness.interpreter import Interpreter
from harness.journal import Journal, read_journal
from harness.lane import Lane
from harness.nodes.base import AgentLost
from harness.op import Op, invoke
from harness.target import SessionContext, Timeouts

CLIENTS = gen.stagger(0.001, gen.repeat(invoke("write", [1, 2])))


class Immediate:
    """A session whose ops succeed at once."""

    def __init__(self, context: SessionContext) -> None:
        pass

    def invoke(self, op: Op) -> Op:
        return op.replace(type="ok")

    def is_read(self, op: Op) -> bool:
        return False

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path)
        self.interpreter = self.interpret(self.journal)

    def interpret(self, journal: Journal) -> Interpreter:
        nodes = [SimpleNamespace(name="a")]
        return Interpreter(
            journal, lambda node, context: Immediate(context), nodes, concurrency=3, timeouts=Timeouts(), seed=1
        )

    def ops(self) -> list[Op]:
        self.journal.flush()
        return read_journal(self.path)[0]

    def faults(self) -> list[tuple[str, str, str, str | None]]:
        return [(op.value["lane"], op.type, op.f, op.error) for op in self.ops() if op.process == "nemesis"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "journal.jsonl")
    yield bench
    bench.interpreter.close()
    bench.journal.close()


def inject(kind: str) -> Op:
    return invoke("inject", {"kind": kind, "nodes": ["a"], "params": {}})


HEAL = invoke("heal")


class Executor:
    """Notes what is in force. act: what else it does, or raises."""

    def __init__(self, act: Callable[[Op], None] = lambda op: None) -> None:
        self.act = act
        self.in_force: set[int] = set()
        self.threads: set[str] = set()

    def __call__(self, op: Op) -> Op:
        self.threads.add(threading.current_thread().name)
        if op.f == "inject":
            self.in_force.add(op.value["id"])
        self.act(op)
        if op.f == "heal":
            self.in_force.discard(op.value["id"])
        return op.replace(type="info", value={**op.value, "observed": {"took_effect": True}})


def test_a_slow_lane_blocks_nobody(bench: Bench) -> None:
    slow = Executor(lambda op: time.sleep(0.6))
    quick = Executor()
    bench.interpreter.run(
        gen.time_limit(1.0, CLIENTS),
        [
            Lane("slow", [inject("kill"), HEAL], slow),
            Lane("quick", gen.delay(0.02, gen.cycle([inject("pause"), HEAL])), quick),
        ],
    )
    ops = bench.ops()
    slow_ops = [op for op in ops if op.process == "nemesis" and op.value["lane"] == "slow"]
    assert [(op.type, op.f) for op in slow_ops] == [
        ("invoke", "inject"),
        ("info", "inject"),
        ("invoke", "heal"),
        ("info", "heal"),
    ]
    meanwhile = ops[slow_ops[0].index + 1 : slow_ops[1].index]
    assert sum(op.process == "nemesis" for op in meanwhile) >= 8, "the quick lane went on"
    assert sum(op.type == "ok" for op in meanwhile) >= 20, "and the clients did"
    assert slow.threads == {"lane slow"} and quick.threads == {"lane quick"}
    assert not slow.in_force and not quick.in_force
    windows = History.from_ops(bench.ops()).windows()
    assert all(window.healed and window.took_effect for window in windows)
    assert len({window.fault.id for window in windows}) == len(windows)


def test_an_open_fault_is_healed_when_the_clients_are_done(bench: Bench) -> None:
    executor = Executor()
    bench.interpreter.run(gen.time_limit(0.3, CLIENTS), [Lane("kill", [inject("kill"), gen.sleep(60)], executor)])
    assert not executor.in_force
    assert [(kind, f) for _, kind, f, _ in bench.faults()][-1] == ("info", "heal")
    assert bench.interpreter.progress.active_faults == {}


def test_active_faults_are_shown(bench: Bench) -> None:
    seen: list[dict[int, dict[str, Any]]] = []

    def look(context: gen.Context) -> Op:
        seen.append(bench.interpreter.progress.active_faults)
        return invoke("read")

    source = gen.time_limit(0.3, gen.stagger(0.005, look))
    bench.interpreter.run(source, [Lane("kill", [gen.sleep(0.1), inject("kill"), gen.sleep(9)], Executor())])
    assert seen[0] == {} and seen[-1][1]["kind"] == "kill"


def test_an_inject_that_fails_is_recorded_and_healed(bench: Bench) -> None:
    def act(op: Op) -> None:
        if op.f == "inject":
            raise InfrastructureError("no such chain")

    executor = Executor(act)
    bench.interpreter.run(gen.time_limit(0.3, CLIENTS), [Lane("cut", [inject("partition")], executor)])
    assert bench.faults()[1] == ("cut", "info", "inject", "InfrastructureError: no such chain")
    assert bench.faults()[-1][1:3] == ("info", "heal")
    [window] = History.from_ops(bench.ops()).windows()
    assert window.healed and not window.took_effect


def test_a_heal_that_fails_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "HEAL_RETRY_NS", 50_000_000)
    failures = [True, True, False]

    def act(op: Op) -> None:
        if op.f == "heal" and failures.pop(0):
            raise InfrastructureError("did not start")

    executor = Executor(act)
    phase = bench.interpreter.run(gen.time_limit(0.2, CLIENTS), [Lane("kill", [inject("kill"), HEAL], executor)])
    assert [error is None for _, kind, f, error in bench.faults() if (kind, f) == ("info", "heal")] == [
        False,
        False,
        True,
    ]
    assert not executor.in_force and phase.unhealed == []


def test_a_fault_that_cannot_be_healed_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "HEAL_RETRY_NS", 10_000_000)

    def act(op: Op) -> None:
        if op.f == "heal":
            raise InfrastructureError("did not start")

    phase = bench.interpreter.run(gen.time_limit(0.2, CLIENTS), [Lane("kill", [inject("kill")], Executor(act))])
    assert [fault["kind"] for fault in phase.unhealed] == ["kill"]
    assert sum(f == "heal" and kind == "info" for _, kind, f, _ in bench.faults()) == lanes.HEAL_ATTEMPTS
    [window] = History.from_ops(bench.ops()).windows()
    assert not window.healed
    assert bench.interpreter.progress.active_faults


@pytest.mark.parametrize("error, words", [(AgentLost("n1: lease lost"), "lease lost"), (KeyError("x"), "KeyError")])
def test_a_lost_agent_or_a_bug_ends_the_run_and_heals_the_others(bench: Bench, error: Exception, words: str) -> None:
    def act(op: Op) -> None:
        if op.f == "inject":
            raise error

    other = Executor()
    begin = time.monotonic()
    with pytest.raises(InfrastructureError, match=words):
        bench.interpreter.run(
            gen.time_limit(30, CLIENTS),
            [
                Lane("broken", [gen.sleep(0.2), inject("kill")], Executor(act)),
                Lane("other", [inject("pause"), gen.sleep(60)], other),
            ],
        )
    assert time.monotonic() - begin < 10
    assert not other.in_force
    assert [op.index for op in bench.ops()] == list(range(len(bench.ops())))


def test_a_lane_whose_generator_breaks_heals(bench: Bench) -> None:
    def broken(context: gen.Context) -> Op:
        raise LookupError("no primary")

    executor = Executor()
    with pytest.raises(InfrastructureError, match="no primary"):
        bench.interpreter.run(gen.time_limit(30, CLIENTS), [Lane("kill", [inject("kill"), broken], executor)])
    assert not executor.in_force


def test_stop_heals(bench: Bench) -> None:
    executor = Executor()
    threading.Timer(0.3, bench.interpreter.stop).start()
    begin = time.monotonic()
    bench.interpreter.run(CLIENTS, [Lane("kill", [inject("kill"), gen.sleep(60)], executor)])
    assert time.monotonic() - begin < 5
    assert not executor.in_force


def test_a_client_generator_that_raises_heals(bench: Bench) -> None:
    def broken(context: gen.Context) -> Op:
        raise LookupError("no such key")

    executor = Executor()
    with pytest.raises(LookupError):
        bench.interpreter.run([gen.time_limit(0.2, CLIENTS), broken], [Lane("kill", [inject("kill")], executor)])
    assert not executor.in_force
    assert bench.faults()[-1][1:3] == ("info", "heal")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_heals_and_ends_the_run(bench: Bench) -> None:
    interpreter = bench.interpret(Journal(Path("/dev/full")))
    executor = Executor()
    with pytest.raises(InfrastructureError, match="No space left"):
        interpreter.run(gen.time_limit(30, CLIENTS), [Lane("kill", [inject("kill"), gen.sleep(60)], executor)])
    assert not executor.in_force
    interpreter.close()


def test_what_is_recorded_is_a_fault(bench: Bench) -> None:
    bench.interpreter.run(gen.time_limit(0.1, CLIENTS), [Lane("kill", [inject("kill")], Executor())])
    first = next(op for op in bench.ops() if op.process == "nemesis")
    assert first.value == {"id": 1, "kind": "kill", "lane": "kill", "nodes": ["a"], "params": {}}
    assert Fault(**first.value).lane == "kill"
