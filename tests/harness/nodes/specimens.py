"""Programs that stand in for a database where the test is about its processes, and what the tests ask of them.

`FAMILY` is a tree of three generations, each in a session of its own, as PostgreSQL's backends are. Every process
writes the time that it sees to a file of its own every few milliseconds: so a test sees from outside whether it
runs, and with which skew, without asking the agent.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.nodes.agent_client import AgentClient

FAMILY = """
import os, select, signal, struct, sys, time
home, generations = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGINT, signal.SIG_IGN)
for generation in range(generations):
    if generation:
        os.setsid()
    for width in range(2):
        if generation + 1 < generations and os.fork() == 0:
            break
    else:
        break
fd = os.open(f"{home}/beat-{generation}-{os.getpid()}", os.O_RDWR | os.O_CREAT)
while True:
    os.pwrite(fd, struct.pack("<qqq", time.time_ns(), time.monotonic_ns(), os.getpid()), 0)
    select.select([], [], [], 0.005)  # time.sleep fails under libfaketime 0.9.10
"""
FAMILY_SIZE = 1 + 2 + 4


def usable_python(agent: AgentClient) -> str:
    """A Python that the database's user can run (root's own may lie in a closed home)."""
    for candidate in (sys.executable, "/usr/bin/python3", shutil.which("python3") or "python3"):
        if agent.request("run", argv=[candidate, "-c", "import struct"], limit_s=5.0)["rc"] == 0:
            return candidate
    pytest.skip("no python3 that user nobody can run (install python3)")


def start_family(agent: AgentClient, home: Path, generations: int = 3) -> int:
    """Start it as the node's database and wait until all processes beat. The root's pid."""
    python = usable_python(agent)
    answer = agent.request("database-start", argv=[python, "-c", FAMILY, str(home), str(generations)],
                           env={"PATH": os.defpath}, cwd=str(home), log=str(home / "log"))  # fmt: skip
    size = 2**generations - 1
    await_true(lambda: len(fresh_beats(home)) == size, 10.0, f"{size} processes beat")
    return int(answer["pid"])


def beats(home: Path) -> dict[int, tuple[float, float]]:
    """pid → (how long ago it last wrote, seconds; the skew that it saw then, seconds)."""
    found = {}
    for path in home.glob("beat-*"):
        data = path.read_bytes()
        if len(data) == 24:
            real_ns, monotonic_ns, pid = struct.unpack("<qqq", data)
            age_s = (time.monotonic_ns() - monotonic_ns) / 1e9
            found[pid] = age_s, (real_ns - time.time_ns()) / 1e9 + age_s
    return found


def fresh_beats(home: Path, within_s: float = 0.5) -> dict[int, float]:
    """pid → skew, of those who wrote just now."""
    return {pid: skew for pid, (age_s, skew) in beats(home).items() if age_s < within_s}


def await_true(condition: Any, timeout_s: float, what: str) -> float:
    """How long it took until the condition held; fails the test when it does not."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.01)
    return time.monotonic() - began


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def state(pid: int) -> str:
    """The letter of /proc/PID/stat, "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
