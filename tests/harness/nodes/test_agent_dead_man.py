"""The dead man's switch: whatever ends the controller or the agent, nothing stays broken.

Goal: a database that is paused under a skewed clock runs again, at the right time, within 2 s. Method: a controller of
its own process makes these faults and is ended in each way; the database's processes write down the time that they see
(`specimens.FAMILY`), so that healing is seen in them and not asked of anybody. They ignore the stop signal, so that
they are still there to be seen; 5 s later the agent ends them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from specimens import alive, await_true, fresh_beats, start_family, state

from harness.nodes.agent_client import AgentClient

ROOT = Path(__file__).parents[3]
GENERATIONS = 2
SIZE = 3
OFFSET_S = 60.0

CONTROLLER = """
import json, os, subprocess, sys, threading, time
from pathlib import Path
sys.path[:0] = sys.argv[3:5]
from harness.nodes.agent_client import AgentClient, PopenChannel, bootstrap_argv
from specimens import start_family

class Channel(PopenChannel):
    deaf = threading.Event()

    def lines(self):
        for line in super().lines():
            yield line
            if self.deaf.is_set():
                time.sleep(1000)

if __name__ == "__main__":
    home, way = Path(sys.argv[1]), sys.argv[2]
    user = "nobody" if os.geteuid() == 0 else ""
    channel = Channel(bootstrap_argv(sys.executable))
    agent = AgentClient(lambda: channel, "n1", {"scope": "children", "home": str(home), "user": user})
    start_family(agent, home, GENERATIONS)
    agent.request("clock", offset_s=OFFSET_S)
    pids = agent.request("pause")["pids"]
    told = {"agent": agent.hello["pid"], "pids": pids, "controller": os.getpid()}
    if way == "command":
        script = f"echo $$ > {home}/command; sleep 6; touch {home}/command-went-on"
        threading.Thread(target=agent.run, args=("sh", "-c", script), daemon=True).start()
        while not (home / "command").exists() or not (home / "command").read_text().strip():
            time.sleep(0.01)
        told["command"] = int((home / "command").read_text())
    if way == "blocked":
        # nobody reads the agent's stdout any more, but a process that outlives us holds its other end open
        holder = subprocess.Popen(["sleep", "60"], pass_fds=[channel.process.stdout.fileno()])
        told["checker"] = holder.pid
        channel.deaf.set()
        ask = json.dumps({"id": 10**6, "what": "run", "argv": ["seq", "100000"], "limit_s": 5})
        for _ in range(30):
            channel.write(ask.encode() + b"\\n")
        time.sleep(1.0)
    if way == "checker":
        import multiprocessing
        checker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,), daemon=False)
        checker.start()
        told["checker"] = checker.pid
        time.sleep(0.5)
    print(json.dumps(told), flush=True)
    time.sleep(120)
"""


@pytest.fixture
def controller(home: Path, tmp_path: Path) -> Iterator[Callable[[str], dict]]:
    """Starts a controller that has made its faults in one of the ways above; returns what it told."""
    started: list[subprocess.Popen[str]] = []
    told: dict = {}

    def start(way: str) -> dict:
        script = tmp_path / "controller.py"
        script.write_text(f"GENERATIONS, OFFSET_S = {GENERATIONS}, {OFFSET_S}\n" + CONTROLLER)
        here = Path(__file__).parent
        popen = subprocess.Popen(
            [sys.executable, str(script), str(home), way, str(ROOT), str(here)], stdout=subprocess.PIPE, text=True
        )
        started.append(popen)
        assert popen.stdout is not None
        told.update(json.loads(popen.stdout.readline()))
        return told

    yield start
    for popen in started:
        popen.kill()
        popen.wait()
    if "checker" in told:
        os.kill(told["checker"], signal.SIGKILL)
    for pid in (told.get("agent"), *told.get("pids", ())):
        if pid and alive(pid):
            os.kill(pid, signal.SIGKILL)


def assert_broken(home: Path, told: dict) -> None:
    time.sleep(0.3)
    assert fresh_beats(home, 0.25) == {}, "nobody runs"
    assert [state(pid) for pid in told["pids"]] == ["T"] * SIZE


def await_healed(home: Path, pids: list[int], within_s: float) -> float:
    """All run again, with the right time."""

    def healed() -> bool:
        skews = fresh_beats(home, 0.2)
        return set(skews) == set(pids) and all(abs(skew) < 0.5 for skew in skews.values())

    return await_true(healed, within_s, f"healed: {fresh_beats(home)}, {[state(pid) for pid in pids]}")


def assert_all_ends(told: dict) -> None:
    await_true(lambda: not any(alive(pid) for pid in told["pids"]), 9.0, "the database is ended")
    await_true(lambda: not alive(told["agent"]), 3.0, "the agent ends")


def test_controller_killed_while_the_agent_runs_a_command(controller, home: Path):
    told = controller("command")
    assert_broken(home, told)
    assert alive(told["command"])
    os.kill(told["controller"], signal.SIGKILL)
    await_healed(home, told["pids"], 2.0)
    assert not alive(told["command"])
    assert_all_ends(told)
    assert not (home / "command-went-on").exists()


def test_controller_killed_while_the_agents_stdout_is_blocked(controller, home: Path):
    told = controller("blocked")
    assert_broken(home, told)
    await_true(lambda: in_write(told["agent"]), 5.0, "a thread of the agent is stuck in writing")
    os.kill(told["controller"], signal.SIGKILL)
    await_healed(home, told["pids"], 2.0)
    assert_all_ends(told)


def in_write(pid: int) -> bool:
    """Whether a thread of it is in write(1, ...) (x86-64 and arm64 numbers)."""
    calls = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/syscall")]
    return any(call[0] in ("1", "64") and call[1] == "0x1" for call in calls)


def test_controller_killed_while_a_checker_process_is_open(controller, home: Path):
    told = controller("checker")
    assert_broken(home, told)
    os.kill(told["controller"], signal.SIGKILL)
    await_healed(home, told["pids"], 2.0)
    assert alive(told["checker"]), "what outlives the controller holds no pipe to the agent"
    assert_all_ends(told)


def test_controller_stopped(controller, home: Path):
    told = controller("plain")
    assert_broken(home, told)
    os.kill(told["controller"], signal.SIGSTOP)
    took_s = await_healed(home, told["pids"], 16.5)
    assert took_s > 10, "one lost heartbeat ends nothing"
    assert_all_ends(told)


def test_agent_killed(open_agent: Callable[..., AgentClient], home: Path):
    first = open_agent()
    start_family(first, home, GENERATIONS)
    first.request("clock", offset_s=OFFSET_S)
    pids = first.request("pause")["pids"]
    os.kill(first.hello["pid"], signal.SIGKILL)
    assert_broken(home, {"pids": pids})
    began = time.monotonic()
    second = open_agent()
    await_healed(home, pids, 2.0)
    assert time.monotonic() - began < 3
    assert sorted(second.hello["healed"]["clocks_restored"]) == sorted(pids)
    assert second.request("tree")["pids"][0] == pids[0], "the next agent has taken the database over"
    second.request("clock", offset_s=-5.0)
    await_true(
        lambda: all(-5.5 < s < -4.5 for s in fresh_beats(home, 0.2).values()), 2.0, "and its clock can be changed"
    )
    second.close()
    assert not any(alive(pid) for pid in pids)


def test_agent_killed_with_the_root_dead(open_agent: Callable[..., AgentClient], home: Path):
    """Orphans alone, stopped, of no living parent: still found and healed."""
    first = open_agent()
    root = start_family(first, home, GENERATIONS)
    pids = first.request("pause")["pids"]
    os.kill(first.hello["pid"], signal.SIGKILL)
    os.kill(root, signal.SIGKILL)
    await_true(lambda: not alive(root), 2.0, "the root is dead")
    second = open_agent()
    orphans = sorted(set(pids) - {root})
    await_healed(home, orphans, 2.0)
    assert sorted(second.hello["healed"]["resumed"]) == orphans
