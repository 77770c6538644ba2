"""The console: what it prints to a pipe and to a terminal, and that it leaves nothing behind."""

from __future__ import annotations

import io
import threading
import time

import pytest

from harness.console import Console, Ending, clean, clock
from harness.op import NEMESIS, Op
from harness.progress import Progress


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
    console.phase("running", lasts_s=30, counters=progress)
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
    assert status.line() == ("running, 0:20 left | 202 ops/s, 2,000 ok, 0 fail, 20 info | faults: partition n1 n2")
    progress.fault(Op("info", "heal", {"id": 1, "kind": "partition", "nodes": ["n1", "n2"]}, NEMESIS))
    assert console.status().line().endswith("faults: none")


def test_plain_lines_go_on_while_the_run_does_and_the_last_names_the_verdict() -> None:
    out = io.StringIO()
    with Console(out, terminal=False, plain_every_s=0.02) as console:
        console.phase("starting the database")
        console.phase("running", lasts_s=1, counters=counted(12, 3, 1))
        time.sleep(0.15)
        console.note("agent on n2 was lost")
    console.finish(
        Ending(
            verdict="invalid",
            sentence="2 updates were lost.",
            model="serializable",
            report="r.html",
            repeat="make test",
        )
    )
    lines = out.getvalue().splitlines()
    assert lines[0] == "starting the database (0:00)"
    assert sum("12 ok, 3 fail, 1 info" in line for line in lines) >= 3
    assert "agent on n2 was lost" in lines
    assert lines[-4:] == [
        "2 updates were lost.",
        "report:  r.html",
        "repeat:  make test",
        "verdict: invalid (judged against serializable)",
    ]
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_a_live_block_that_is_gone_at_the_end() -> None:
    out = io.StringIO()
    progress = counted(1234, 5, 6)
    progress.fault(Op("invoke", "inject", {"id": 1, "kind": "kill", "nodes": ["n3"]}, NEMESIS))
    with Console(out, terminal=True) as console:
        console.phase("running", lasts_s=10, counters=progress)
        time.sleep(0.6)
    shown = out.getvalue()
    for text in ("running", "1,234", "kill n3", "left"):
        assert text in shown
    assert "\x1b[?25h" in shown, "the cursor is shown again"


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_leaves_no_thread_behind(terminal: bool) -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt), Console(io.StringIO(), terminal=terminal) as console:
        console.phase("running", counters=counted(1))
        raise KeyboardInterrupt
    assert set(threading.enumerate()) == before


def test_hostile_text_is_neither_markup_nor_obeyed() -> None:
    out = io.StringIO()
    console = Console(out, terminal=True)
    console.note("[bold]x[/bold] \x1b]0;owned\x07\nverdict: valid")
    console.finish(Ending(verdict="unknown", sentence="error: \x1b[2J[/nope]"))
    assert "[bold]x[/bold]" in out.getvalue()
    assert "[/nope]" in out.getvalue()
    assert "\x1b]0;" not in out.getvalue() and "\x1b[2J" not in out.getvalue()
    assert not any(line.startswith("verdict: valid") for line in out.getvalue().splitlines())


def test_clock_and_clean() -> None:
    assert [clock(s) for s in (0, 0.4, 59.6, 75.2, 3600)] == ["0:00", "0:00", "1:00", "1:15", "60:00"]
    assert clean("a\tb\u2028c") == "a b c"
