"""Goal: whatever kills the controller, nothing it broke stays broken, and what it recorded can be judged.

Method: a real run, killed with -9 by its pid while faults are in force (read from its journal as it grows). Then the
nodes are looked at from outside: rules by iptables, states by /proc, clocks by comparing the bytes of the vDSO of the
database's processes with those of a process that was never touched.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store import RunFolder
from targets.etcd.target import Etcd
from tests.e2e.runs import command, faultline, need_docker

pytestmark = pytest.mark.timeout(300)
HEALED_WITHIN_S = 10.0
"""Less than the agents' lease of 15 s: it was the end of their stdin that told them, and not a missing heartbeat."""
OVERLAPPING = ("--time", "600", "--opts", "hold=20,rest=1")
"""Every fault is kept up so long that all kinds are soon in force together; no run lasts until its end."""

LOOK = """
import json, os, re
def vdso(pid):
    for line in open(f"/proc/{pid}/maps"):
        if "[vdso]" in line:
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(begin)
                return memory.read(end - begin)
own = vdso("self")
mine = os.readlink("/proc/self/ns/mnt")
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.readlink(f"/proc/{pid}/ns/mnt") == mine:
            continue
        state = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
        theirs = vdso(pid)
        patched = theirs is not None and any(a != b for a, b in zip(own, theirs) if a)
        found.append({"pid": int(pid), "state": state, "patched": patched})
    except (FileNotFoundError, ProcessLookupError):
        pass
print(json.dumps(found))
"""


def records(folder: Path) -> list[dict]:
    journal = next(folder.glob("*/*/*/journal.jsonl"), None)
    if journal is None:
        return []
    lines = journal.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def in_force(folder: Path) -> set[str]:
    """Kinds of faults that took effect and whose heal has not been asked for."""
    kinds: dict[str, bool] = {}
    for op in records(folder):
        if op.get("process") != "nemesis" or op["f"] not in ("inject", "heal"):
            continue
        if op["f"] == "heal":
            kinds[op["value"]["kind"]] = False
        elif op["type"] == "info" and "error" not in op:
            kinds[op["value"]["kind"]] = True
    return {kind for kind, active in kinds.items() if active}


def await_faults(folder: Path, kinds: set[str], process: subprocess.Popen[bytes], limit_s: float = 200) -> None:
    """Wait until faults of all these kinds are in force together."""
    end = time.monotonic() + limit_s
    while not in_force(folder) >= kinds:
        assert process.poll() is None, (folder.parent / "run.log").read_text()
        assert time.monotonic() < end, f"only {in_force(folder)} were in force together"
        time.sleep(0.05)


def kill(process: subprocess.Popen[bytes]) -> float:
    """Kill -9; when it was done."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    return time.monotonic()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(120)


def start(started: list[subprocess.Popen[bytes]], results: Path, *arguments: str) -> subprocess.Popen[bytes]:
    log = (results.parent / "run.log").open("wb")
    process = subprocess.Popen(
        command("test", *arguments, "--results", str(results)),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    started.append(process)
    return process


def judged(results: Path) -> dict:
    done = faultline("check", str(results / "latest"), "--json")
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def test_on_local(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    results = tmp_path / "results"
    process = start(started, results, "--faults", "pause,clock", *OVERLAPPING)
    await_faults(results, {"pause", "clock"}, process)
    killed_s = kill(process)
    pids = {
        pid
        for op in records(results)
        if op["f"] == "inject" and op["type"] == "info" and op["value"]["kind"] == "pause"
        for pids in op["value"]["observed"]["stopped"].values()
        for pid in pids
    }
    assert pids
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < killed_s + HEALED_WITHIN_S, "processes of the database are still there"
        time.sleep(0.02)
    assert judged(results)["verdict"] in ("valid", "unknown")
    folder = RunFolder((results / "latest").resolve())
    assert not folder.held()
    assert faultline("heal", str(folder.path)).returncode == 0
    assert faultline("clean").returncode == 0


@pytest.mark.docker
def test_on_docker(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    need_docker(Etcd.default_image)
    import docker

    client = docker.from_env()
    results = tmp_path / "results"
    process = start(
        started, results, "--target", "etcd", "--nodes", "3", "--faults", "partition,pause,clock", *OVERLAPPING
    )
    await_faults(results, {"partition", "pause", "clock"}, process)
    run_id = RunFolder((results / "latest").resolve()).run_id
    mine = [one for one in client.containers.list() if run_id in one.labels.values()]
    sandboxes = [one for one in mine if one.labels.get("faultline.role") == "sandbox"]
    assert len(sandboxes) == 3
    assert [fault for sandbox in sandboxes for fault in look(sandbox)], "this test does not see faults in force"
    killed_s = kill(process)
    until_s = killed_s + HEALED_WITHIN_S
    while True:
        left = [fault for sandbox in sandboxes for fault in look(sandbox)]
        if not left:
            break
        assert time.monotonic() < until_s, left
    assert judged(results)["verdict"] in ("valid", "unknown")
    assert faultline("heal", str(results / "latest")).returncode == 0
    assert faultline("clean").returncode == 0
    assert not [one for one in client.containers.list(all=True) if run_id in one.labels.values()]
    assert not [one for one in client.networks.list() if run_id in (one.attrs.get("Labels") or {}).values()]


def look(sandbox) -> list[str]:  # type: ignore[no-untyped-def]
    """What is still broken in one pod."""
    left = []
    rules = sandbox.exec_run(["sh", "-c", "iptables -S; ip6tables -S"]).output.decode()
    left += [rule for rule in rules.splitlines() if "FAULTLINE" in rule.upper()]
    for process in json.loads(sandbox.exec_run(["python3", "-c", LOOK]).output):
        if process["state"] in "Tt" or process["patched"]:
            left.append(f"{sandbox.name}: {process}")
    return left


def test_ctrl_c_heals_and_judges_what_there_is(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    results = tmp_path / "results"
    process = start(started, results, "--faults", "pause,clock", *OVERLAPPING)
    await_faults(results, {"pause", "clock"}, process)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(120) in (0, 4)
    folder = RunFolder((results / "latest").resolve())
    assert folder.report.exists() and folder.results.exists() and folder.history_edn.exists()
    assert not in_force(results)
