"""What a run shows while it goes on, and its last lines.

On a terminal: one live block (phase, time left, operations per second, outcomes, faults in force), drawn by rich four
times a second. Elsewhere (a file, a pipe, CI): one plain line every five seconds. Nothing is pushed to the console: it
looks at counters that the interpreter keeps anyway, so a run costs the same with it and without.

    console = Console()
    console.begin(plan, folder)
    console.phase("starting postgres")
    with console.watching(interpreter.progress):
        console.phase("running", 30)
    console.finish(verdict, sentence, report, repeat_command)

Leaving the block, also by Ctrl-C, ends its only thread before anything else is printed. Text that comes from a
database is never read as markup, and control characters in it do not reach the terminal.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import rich.console
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.plan import TestPlan
from harness.verdict import Verdict

PLAIN_EVERY_S = 5.0
LIVE_EVERY_S = 0.25
RATE_WINDOW_S = 2.0
STYLES = {"valid": "bold green", "invalid": "bold red", "unknown": "bold yellow"}


class Counters(Protocol):
    """What the console looks at; `harness.progress.Progress` is one. active_faults: id → a fault's fields."""

    ok: int
    fail: int
    info: int
    active_faults: dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Status:
    """One look at a run. left_s: of the phase, None where nobody knows; share: of the phase that is over."""

    phase: str
    elapsed_s: float
    left_s: float | None
    share: float | None
    counts: tuple[int, int, int] | None
    rate_hz: float
    faults: tuple[str, ...]

    def line(self) -> str:
        """The status as one plain line."""
        parts = [
            self.phase
            + (f", at most {clock(self.left_s)} left" if self.left_s is not None else f" ({clock(self.elapsed_s)})")
        ]
        if self.counts is not None:
            ok, fail, info = self.counts
            parts.append(f"{self.rate_hz:,.0f} ops/s, {ok:,} ok, {fail:,} fail, {info:,} info")
            parts.append("faults: " + (", ".join(self.faults) or "none"))
        return " | ".join(parts)


class Console:
    """The display of one run. `phase` and `note` may be called from any thread."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        terminal: bool | None = None,
        plain_every_s: float = PLAIN_EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """terminal: whether to draw the live block; None: find out. stream: None is stdout. quiet: print nothing."""
        stream = sys.stdout if stream is None else stream
        self._rich = rich.console.Console(file=stream, force_terminal=terminal, highlight=False, quiet=quiet)
        self._terminal = self._rich.is_terminal and not self._rich.is_dumb_terminal and not quiet
        self._quiet, self._every_s, self._now = quiet, plain_every_s, now
        self._lock = threading.Lock()
        self._phase, self._began = "", now()
        self._lasts_s: float | None = None
        self._counters: Counters | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._live: Live | None = None

    def begin(self, plan: TestPlan, folder: Path) -> None:
        """What is about to be done, and where its record goes."""
        nodes = f"{plan.nodes} node{'' if plan.nodes == 1 else 's'} on {plan.on}"
        faults = ", ".join(plan.faults) or "none"
        self.note(
            f"{plan.target} · {plan.workload} · {nodes} · faults {faults} · {plan.time_s:g} s · seed {plan.seed}",
            "bold",
        )
        self.note(f"record: {folder}")

    @contextlib.contextmanager
    def watching(self, counters: Counters) -> Iterator[None]:
        """Show how a run goes on for as long as the block lasts."""
        self._counters = counters
        if self._quiet:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._look_again, args=(stop,), name="console", daemon=True)
        if self._terminal:
            self._live = Live(console=self._rich, get_renderable=self._block, auto_refresh=False, transient=True)
            self._live.start()
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._counters = None
            if self._live is not None:
                live, self._live = self._live, None
                live.stop()

    def phase(self, name: str, lasts_s: float | None = None) -> None:
        """A new phase begins. lasts_s: how long it will take at most."""
        with self._lock:
            self._phase, self._began, self._lasts_s = clean(name), self._now(), lasts_s
            self._seen.clear()
        if self._live is None:
            self._print(f"{self._phase} …" if self._counters is None else self.status().line())

    def note(self, line: str, style: str = "") -> None:
        """Print a line that stays."""
        self._print(clean(line), style)

    def finish(self, verdict: Verdict, sentence: str, report: str, repeat_command: str) -> None:
        """Print the last lines: what was found, the report, how to repeat it; the very last names the verdict."""
        judged = f" (judged against {verdict.model})" if verdict.model else ""
        self._print("")
        for line in (sentence, f"report:  {report}", f"repeat:  {repeat_command}"):
            self._print(clean(line))
        self._print(f"verdict: {verdict.verdict}{judged}", STYLES.get(verdict.verdict, ""))

    def status(self) -> Status:
        """The run at this moment."""
        with self._lock:
            now = self._now()
            elapsed = now - self._began
            left = None if self._lasts_s is None else max(self._lasts_s - elapsed, 0.0)
            share = min(elapsed / self._lasts_s, 1.0) if self._lasts_s else None
            if self._counters is None:
                return Status(self._phase, elapsed, left, share, None, 0.0, ())
            counts = (self._counters.ok, self._counters.fail, self._counters.info)
            faults = tuple(fault_words(fields) for fields in list(self._counters.active_faults.values()))
            return Status(self._phase, elapsed, left, share, counts, self._rate(now, sum(counts)), faults)

    def _rate(self, now: float, total: int) -> float:
        """Completions per second since the last look that is at least RATE_WINDOW_S old, or the oldest of the phase."""
        while len(self._seen) > 1 and self._seen[1][0] <= now - RATE_WINDOW_S:
            self._seen.popleft()
        self._seen.append((now, total))
        then, before = self._seen[0]
        return (total - before) / (now - then) if now > then else 0.0

    def _print(self, line: str, style: str = "") -> None:
        self._rich.print(Text(line, style=style), soft_wrap=True)

    def _look_again(self, stop: threading.Event) -> None:
        while not stop.wait(LIVE_EVERY_S if self._live is not None else self._every_s):
            if self._live is not None:
                self._live.refresh()
            else:
                self._print(self.status().line())

    def _block(self) -> Group:
        status = self.status()
        head = Table.grid(padding=(0, 1))
        left = f"{clock(status.left_s)} left" if status.left_s is not None else clock(status.elapsed_s)
        bar = ProgressBar(total=1.0, completed=status.share, width=24) if status.share is not None else Text("")
        head.add_row(self._spinner, Text(status.phase, style="bold"), bar, Text(left, style="dim"))
        if status.counts is None:
            return Group(head)
        ok, fail, info = status.counts
        figures = Text.assemble(
            (f"  {status.rate_hz:,.0f} ops/s", "bold"),
            ("   ok ", "dim"),
            (f"{ok:,}", "green"),
            ("   fail ", "dim"),
            (f"{fail:,}", ""),
            ("   info ", "dim"),
            (f"{info:,}", "yellow" if info else ""),
        )
        faults = Text.assemble(
            ("  faults ", "dim"), (", ".join(status.faults) or "none", "red" if status.faults else "dim")
        )
        return Group(head, figures, faults)

    _spinner = Spinner("dots")


def fault_words(fields: Mapping[str, Any]) -> str:
    """`{"kind": "kill", "nodes": ["n2"]}` → `kill n2`."""
    return " ".join([str(fields.get("kind", "?")), *(str(node) for node in fields.get("nodes") or ())])


def clock(seconds: float) -> str:
    """`75.2` → `1:15`."""
    whole = int(seconds + 0.5)
    return f"{whole // 60}:{whole % 60:02d}"


def clean(text: str) -> str:
    """Text without line breaks and control characters: what a terminal might obey."""
    return "".join(c if c.isprintable() else " " for c in text)
