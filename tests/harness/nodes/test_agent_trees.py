"""A database is a process tree: three generations of processes killed, paused and resumed as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from specimens import FAMILY_SIZE, alive, await_true, beats, fresh_beats, start_family, state

from harness.nodes import agent as node_agent
from harness.nodes.agent_client import AgentClient


def test_pause_stops_and_resume_continues_every_generation(agent: AgentClient, home: Path):
    root = start_family(agent, home)
    paused = agent.request("pause")
    assert paused["pids"][0] == root
    assert len(paused["pids"]) == FAMILY_SIZE
    assert set(paused["states"].values()) == {"T"}
    before = beats(home)
    time.sleep(0.3)
    after = beats(home)
    assert all(after[pid][0] >= before[pid][0] + 0.25 for pid in before), "nobody wrote meanwhile"
    assert agent.request("tree")["paused"]
    agent.request("resume")
    await_true(lambda: len(fresh_beats(home, 0.1)) == FAMILY_SIZE, 2.0, "all go on")


def test_kill_ends_every_generation(agent: AgentClient, home: Path):
    start_family(agent, home)
    killed = agent.request("kill")["pids"]
    assert len(killed) == FAMILY_SIZE
    assert not any(alive(pid) for pid in killed)
    assert agent.request("tree") | {"id": 0} == {
        "root": None, "pids": [], "states": {}, "paused": False, "offset_s": None, "id": 0
    }  # fmt: skip


def test_a_paused_database_can_be_killed_and_started_again(agent: AgentClient, home: Path):
    start_family(agent, home)
    pids = agent.request("pause")["pids"]
    assert sorted(agent.request("kill")["pids"]) == sorted(pids)
    for path in home.glob("beat-*"):
        path.unlink()
    start_family(agent, home)
    assert not set(fresh_beats(home)) & set(pids)
    assert agent.request("resume")["pids"] == [], "the pause ended with the processes"


def test_orphans_still_belong_to_it_and_a_start_waits_until_they_are_gone(agent: AgentClient, home: Path):
    root = start_family(agent, home)
    os.kill(root, signal.SIGKILL)
    await_true(lambda: not alive(root), 2.0, "the root is dead")
    tree = agent.request("tree")
    assert tree["root"] is None
    assert len(tree["pids"]) == FAMILY_SIZE - 1
    orphans = tree["pids"]
    threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in orphans[1:]]).start()
    for path in home.glob("beat-*"):
        path.unlink()
    new = agent.request("database-start", argv=["sleep", "30"], env={}, cwd=str(home), log=str(home / "log"))
    assert new["killed"] == orphans[:1], "who did not go by itself was ended"
    assert agent.request("tree")["pids"] == [new["pid"]]


def test_a_fork_bomb_in_miniature_is_stopped_as_a_whole(agent: AgentClient, home: Path):
    """Goal: processes that appear while the tree is being stopped are stopped too. Method: a tree that forks always."""
    script = "while :; do sh -c 'sh -c \"sleep 0.05\" & sleep 0.02' & sleep 0.01; done"
    agent.request("database-start", argv=["sh", "-c", script], env={"PATH": os.defpath}, cwd="/", log="/dev/null")
    for _ in range(20):
        time.sleep(0.05)
        paused = agent.request("pause")["pids"]
        time.sleep(0.03)
        tree = agent.request("tree")
        assert set(tree["states"].values()) <= {"T", "D"}, "D: waits for a child of vfork, which is stopped"
        assert set(tree["pids"]) <= set(paused)
        agent.request("resume")
    killed = agent.request("kill")["pids"]
    time.sleep(0.1)
    assert agent.request("tree")["pids"] == []
    assert not any(alive(pid) for pid in killed)


def test_a_process_that_ends_while_it_is_looked_at_counts_as_stopped() -> None:
    """Method: the look at many processes that end at once; a list of threads that is cut short was once an error."""
    for _ in range(150):
        popen = subprocess.Popen(["sleep", "0"])
        each = node_agent.process(popen.pid)
        waiting = threading.Thread(target=popen.wait)
        waiting.start()
        while each is not None and waiting.is_alive():
            node_agent.stopped(each)
        waiting.join()
        assert each is None or node_agent.stopped(each)


def test_commands_in_progress_are_not_the_database(agent: AgentClient, home: Path):
    root = start_family(agent, home, generations=1)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(agent.run("sh", "-c", "sleep 0.6 & wait; echo done").stdout))
    thread.start()
    time.sleep(0.2)
    assert agent.request("pause")["pids"] == [root]
    thread.join()
    assert ended == ["done\n"]


def test_starting_twice_starts_once(agent: AgentClient, home: Path):
    root = start_family(agent, home, generations=1)
    again = agent.request("database-start", argv=["sleep", "1"], env={}, cwd="/", log="/dev/null")
    assert again["pid"] == root
    assert again["running"]


def test_stopping_is_orderly_first_then_kill(agent: AgentClient, home: Path):
    start_family(agent, home, generations=2)  # ignores SIGINT
    began = time.monotonic()
    assert len(agent.request("database-stop", limit_s=0.5)["killed"]) == 3
    assert 0.4 < time.monotonic() - began < 5
    agent.request("database-start", argv=["sleep", "30"], env={}, cwd="/", log="/dev/null", stop_signal="SIGTERM")
    stopped = agent.request("database-stop", limit_s=5.0)
    assert (stopped["killed"], stopped["rc"]) == ([], -signal.SIGTERM)
    assert agent.request("database-stop", limit_s=5.0)["killed"] == []


def test_the_database_ends_with_the_agent(agent: AgentClient, home: Path):
    root = start_family(agent, home, generations=2)
    agent.close()
    assert state(root) == ""
