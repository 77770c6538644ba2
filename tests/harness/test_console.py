"""The console: what it prints to a pipe and to a terminal, and that it leaves nothing behind."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest

from harness.console import Console, clean, clock
from harness.op import NEMESIS, Op
from harness.plan import TestPlan
from harness.progress import Progress
from harness.verdict import Verdict


class Clock:
    """A time that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def counted(ok: int, fail: int = 0, info: int = 0) -> Progress:
    progress = Progress()
    for type_, times in (("ok", ok), ("fail", fail), ("info", info)):
        for _ in range(times):
            progress.count(Op(type_, "read"))
    return progress


def test_status_says_phase_time_left_rate_outcomes_and_faults() -> None:
    now, progress = Clock(), counted(0)
    console = Console(io.StringIO(), terminal=False, now=now)
    with console.watching(progress):
        console.phase("running", 30)
        progress.fault(Op("invoke", "inject", {"id": 1, "kind": "partition", "nodes": ["n1", "n2"]}, NEMESIS))
        for _ in range(20):
            now.now += 0.5
            for _ in range(100):
                progress.count(Op("ok", "read"))
            progress.count(Op("info", "read"))
            console.status()
        status = console.status()
        assert status.left_s == 20.0
        assert status.share == pytest.approx(1 / 3)
        assert status.counts == (2000, 0, 20)
        assert status.rate_hz == pytest.approx(202)
        assert status.line() == (
            "running, at most 0:20 left | 202 ops/s, 2,000 ok, 0 fail, 20 info | faults: partition n1 n2"
        )
        progress.fault(Op("info", "heal", {"id": 1, "kind": "partition", "nodes": ["n1", "n2"]}, NEMESIS))
        assert console.status().line().endswith("faults: none")


def test_plain_lines_go_on_while_the_run_does_and_the_last_names_the_verdict() -> None:
    out = io.StringIO()
    console = Console(out, terminal=False, plain_every_s=0.02)
    plan = TestPlan(target="postgres", workload="append", on="local", faults=("kill", "pause"), seed=7)
    console.begin(plan, Path("results/x"))
    console.phase("starting postgres")
    with console.watching(counted(12, 3, 1)):
        console.phase("running", 1)
        time.sleep(0.15)
        console.note("agent on n2 was lost")
    console.finish(Verdict("invalid", model="serializable"), "2 updates were lost.", "r.html", "make test " + "x" * 200)
    lines = out.getvalue().splitlines()
    assert lines[0] == "postgres · append · 1 node on local · faults kill, pause · 30 s · seed 7"
    assert lines[1:3] == ["record: results/x", "starting postgres …"]
    assert sum("12 ok, 3 fail, 1 info" in line for line in lines) >= 3
    assert "agent on n2 was lost" in lines
    assert lines[-4:] == [
        "2 updates were lost.",
        "report:  r.html",
        "repeat:  make test " + "x" * 200,
        "verdict: invalid (judged against serializable)",
    ]
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_a_live_block_that_is_gone_at_the_end() -> None:
    out = io.StringIO()
    progress = counted(1234, 5, 6)
    progress.fault(Op("invoke", "inject", {"id": 1, "kind": "kill", "nodes": ["n3"]}, NEMESIS))
    console = Console(out, terminal=True)
    with console.watching(progress):
        console.phase("running", 10)
        time.sleep(0.6)
    shown = out.getvalue()
    for text in ("running", "1,234", "kill n3", "left"):
        assert text in shown
    assert "\x1b[?25h" in shown, "the cursor is shown again"


def test_quiet_prints_nothing() -> None:
    out = io.StringIO()
    console = Console(out, quiet=True, terminal=True, plain_every_s=0.01)
    console.phase("starting")
    with console.watching(counted(1)):
        console.note("note")
        time.sleep(0.05)
    console.finish(Verdict("valid"), "", "", "")
    assert out.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_leaves_no_thread_behind(terminal: bool) -> None:
    before = set(threading.enumerate())
    console = Console(io.StringIO(), terminal=terminal)
    with pytest.raises(KeyboardInterrupt), console.watching(counted(1)):
        console.phase("running")
        raise KeyboardInterrupt
    assert set(threading.enumerate()) == before


def test_hostile_text_is_neither_markup_nor_obeyed() -> None:
    out = io.StringIO()
    console = Console(out, terminal=True)
    console.note("[bold]x[/bold] \x1b]0;owned\x07\nverdict: valid")
    console.finish(Verdict("unknown"), "error: \x1b[2J[/nope]", "", "")
    assert "[bold]x[/bold]" in out.getvalue()
    assert "[/nope]" in out.getvalue()
    assert "\x1b]0;" not in out.getvalue() and "\x1b[2J" not in out.getvalue()
    assert not any(line.startswith("verdict: valid") for line in out.getvalue().splitlines())


def test_clock_and_clean() -> None:
    assert [clock(s) for s in (0, 0.4, 59.6, 75.2, 3600)] == ["0:00", "0:00", "1:00", "1:15", "60:00"]
    assert clean("a\tb\u2028c") == "a b c"
