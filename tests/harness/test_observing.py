"""Goal: what is seen from outside gets into the record, and nothing waits for it.

Method: targets that answer, fail and hang; the interpreter, the journal and the readers are the real ones. Ops go on
until the observations that a test needs are in the record, however slow the machine is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import generator as gen
from harness.history_edn import write_lines
from harness.interpreter import Interpreter
from harness.journal import Journal, read_journal
from harness.judging import check
from harness.observing import Observer, Poll, polls_of
from harness.op import LAG, PRIMARIES, Op, invoke
from harness.reading import read_history
from harness.target import Leader, SessionContext, Timeouts

pytestmark = pytest.mark.timeout(120)
NODES = [SimpleNamespace(name="n1"), SimpleNamespace(name="n2")]


class Echo:
    """A session that does everything."""

    def invoke(self, op: Op) -> Op:
        return op.replace(type="ok")

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def close(self) -> None:
        pass


class Leads:
    def leaders(self, cluster: Any) -> list[Leader]:
        return [Leader("n1", 7), Leader("n2", 7)]


class LeadsWithoutTerms:
    def primaries(self, cluster: Any) -> list[str]:
        return ["n1"]

    def replication_lag(self, cluster: Any) -> dict[str, float]:
        return {"n2": 12.0}


class KnowsBoth(Leads, LeadsWithoutTerms):
    pass


def observed(path: Path, polls: list[Poll], enough: Callable[[], bool]) -> list[Op]:
    """The record of a run in which ops go on until `enough()`."""
    with Journal(path) as journal:

        def open_session(node: Any, context: SessionContext) -> Echo:
            return Echo()

        interpreter = Interpreter(journal, open_session, NODES, concurrency=2, timeouts=Timeouts(), seed=1)
        observer = Observer(polls, interpreter.record)
        ops = gen.stagger(0.002, lambda context: None if enough() else invoke("read"))
        interpreter.run(gen.time_limit(60, ops))
        observer.close()
        interpreter.close()
    return read_journal(path)[0]


def of(target: Any, cluster: Any = None) -> list[Poll]:
    polls = polls_of(target, cluster)
    for poll in polls:
        poll.interval_s = 0.01
    return polls


@pytest.mark.parametrize(
    "target, expected",
    [
        (Leads(), {PRIMARIES: [{"node": n, "primary": n, "term": 7} for n in ("n1", "n2")]}),
        (
            LeadsWithoutTerms(),
            {PRIMARIES: [{"node": "n1", "primary": "n1", "term": None}], LAG: [{"replica": "n2", "bytes": 12.0}]},
        ),
        (
            KnowsBoth(),
            {
                PRIMARIES: [{"node": n, "primary": n, "term": 7} for n in ("n1", "n2")],
                LAG: [{"replica": "n2", "bytes": 12.0}],
            },
        ),
        (object(), {}),
    ],
    ids=["leaders", "primaries and lag", "leaders before primaries", "neither"],
)
def test_a_target_is_asked_what_it_can_answer(target: Any, expected: dict[str, Any]) -> None:
    assert {poll.f: poll.ask() for poll in polls_of(target, None)} == expected  # type: ignore[arg-type]


def test_observations_are_records_of_the_nemesis_between_the_ops(tmp_path: Path) -> None:
    polls = of(KnowsBoth())
    ops = observed(tmp_path / "journal.jsonl", polls, lambda: all(poll.answered > 3 for poll in polls))
    seen = [op for op in ops if op.process == "nemesis"]
    primaries = [op for op in seen if op.f == PRIMARIES]
    assert {op.f for op in seen} == {PRIMARIES, LAG}
    assert [op.type for op in primaries[:6]] == ["invoke", "info"] * 3
    assert all(op.value is None for op in primaries if op.type == "invoke")
    assert {op.type for op in seen if op.f == LAG} == {"info"}
    assert [op.index for op in ops] == list(range(len(ops)))
    indexes = [op.index for op in seen]
    assert any(op.process != "nemesis" and indexes[0] < op.index < indexes[-1] for op in ops), "ops went on meanwhile"


def test_a_poll_is_in_the_record_before_anything_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    asked_at: list[int] = []
    clock: list[Callable[[], int]] = []

    def ask() -> list[Any]:
        asked_at.append(clock[0]())
        return []

    poll = Poll(PRIMARIES, 0.01, ask, timed=True)
    with Journal(path) as journal:
        interpreter = Interpreter(
            journal, lambda node, context: Echo(), NODES, concurrency=2, timeouts=Timeouts(), seed=1
        )
        clock.append(interpreter.now_ns)
        observer = Observer([poll], interpreter.record)
        stop = gen.stagger(0.002, lambda context: None if poll.answered >= 3 else invoke("read"))
        interpreter.run(gen.time_limit(60, stop))
        observer.close()
        interpreter.close()
    records = [op for op in read_journal(path)[0] if op.f == PRIMARIES]
    for place, asked_ns in enumerate(asked_at[:3]):
        assert records[2 * place].time_ns <= asked_ns <= records[2 * place + 1].time_ns


def test_polls_that_fail_or_hang_leave_no_answer_and_hold_up_nothing(tmp_path: Path) -> None:
    over = threading.Event()
    begun = threading.Event()

    def hang() -> list[Any]:
        begun.set()
        over.wait(60)
        return []

    def fail() -> list[Any]:
        raise ConnectionRefusedError("nobody there")

    failing, hanging = Poll(PRIMARIES, 0.01, fail, timed=True), Poll(LAG, 0.01, hang)
    try:
        ops = observed(tmp_path / "j", [failing, hanging], lambda: failing.failed > 3 and begun.is_set())
    finally:
        over.set()
    assert sum(op.type == "ok" for op in ops) > 0
    assert [op for op in ops if op.process == "nemesis" and op.value is not None] == []
    assert (hanging.answered, failing.answered) == (0, 0)
    assert failing.last_error == "ConnectionRefusedError: nobody there"


def test_nobody_records_after_the_run_and_closing_does_not_wait_for_it(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        interpreter = Interpreter(
            journal, lambda node, context: Echo(), NODES, concurrency=1, timeouts=Timeouts(), seed=1
        )
        poll = Poll(PRIMARIES, 0.01, list, timed=True)
        observer = Observer([poll], interpreter.record)
        observer.close()
        interpreter.close()
    assert observer.describe() == {PRIMARIES: {"answered": 0, "failed": 0, "last_error": None}}


def test_the_journal_and_its_edn_are_judged_the_same(tmp_path: Path) -> None:
    """Two leaders in one term are found in both; clients' counts know nothing of polls."""
    path, edn = tmp_path / "journal.jsonl", tmp_path / "history.edn"
    polls = of(KnowsBoth())
    observed(path, polls, lambda: all(poll.answered > 1 for poll in polls))
    history = read_history(path)
    edn.write_text("".join(write_lines(history.op(place) for place in range(len(history)))))
    for source in (path, edn):
        verdict = check(source, workload="sequential")
        assert (verdict.verdict, verdict.anomaly_types) == ("invalid", ["split-brain"])
        assert verdict.checkers["replication-lag"].stats["lag_bytes_max"] == 12.0
        assert set(verdict.stats["stats"]["by_f"]) == {"read"}


def test_records_that_another_nemesis_calls_so_are_left_alone(tmp_path: Path) -> None:
    records = [
        {"type": "info", "process": "nemesis", "f": "primaries", "value": "n1"},
        {"type": "info", "process": "nemesis", "f": "replication-lag", "value": 3},
        {"type": "invoke", "process": 0, "f": "generate", "value": None},
        {"type": "ok", "process": 0, "f": "generate", "value": 3},
    ]
    verdict = check(records, workload="unique-ids")
    assert (verdict.verdict, "split-brain" in verdict.checkers) == ("valid", False)
