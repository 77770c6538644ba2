"""The agent's plain requests, and what may be fed to a node."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from specimens import alive, await_true, state

from harness.nodes.agent_client import AGENT_SOURCE, AgentClient, PopenChannel, bootstrap_argv
from harness.nodes.base import AgentLost, CommandFailed


def test_is_one_file_of_the_standard_library_for_python_3_9():
    tree = ast.parse(AGENT_SOURCE.read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_runs_on_python_3_9():
    python = next(
        (path for path in (shutil.which("python3.9"), *map(str, Path.home().glob(".pyenv/versions/3.9.*/bin/python")))
         if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0), None
    )  # fmt: skip
    if python is None:
        pytest.skip("no python3.9 on this machine")
    agent = AgentClient(lambda: PopenChannel(bootstrap_argv(python)), "n1", {"scope": "children"})
    try:
        assert agent.hello["python"].startswith("3.9.")
        assert agent.run("echo", "here").stdout == "here\n"
    finally:
        agent.close()


def test_runs_commands(agent: AgentClient, home: Path):
    assert agent.run("pwd").stdout.strip() == str(home)
    assert agent.run("cat", stdin="to and fro").stdout == "to and fro"
    assert agent.run("sh", "-c", "echo $X", env={"X": "set"}).stdout == "set\n"
    with pytest.raises(CommandFailed, match="ended with 3: a reason"):
        agent.run("sh", "-c", "echo a reason >&2; exit 3")
    with pytest.raises(CommandFailed, match="ended with 127"):
        agent.run("no-such-program")


def test_commands_have_default_signals(agent: AgentClient):
    # bits 0, 1, 12 and 14: HUP, INT, PIPE, TERM. The agent's own handling must not be inherited.
    ignored = int(agent.run("sed", "-n", "s/^SigIgn:\t//p", "/proc/self/status").stdout, 16)
    assert ignored & 0b101_0000_0000_0011 == 0


def test_a_command_out_of_time_is_killed_with_its_children(agent: AgentClient):
    began = time.monotonic()
    with pytest.raises(CommandFailed, match=r"timed out: [0-9]+"):
        agent.run("sh", "-c", "sleep 60 & echo $!; wait", timeout_s=0.3)
    assert time.monotonic() - began < 5
    answer = agent.request("run", argv=["sh", "-c", "sleep 61 & echo $!; wait"], limit_s=0.3)
    assert answer["rc"] is None
    await_true(lambda: not alive(int(answer["stdout"])), 2.0, "the command's child is dead")


def test_as_root_it_runs_as_nobody(agent: AgentClient):
    uid = int(agent.run("id", "-u").stdout)
    assert uid == agent.hello["user"]
    assert uid != 0
    assert os.geteuid() == 0 or uid == os.geteuid()
    assert agent.run("id", "-G").stdout.split() == [agent.run("id", "-g").stdout.strip()] or os.geteuid() != 0


def test_files_go_to_and_fro(agent: AgentClient, home: Path, tmp_path: Path):
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(1_300_000))
    source.chmod(0o755)
    agent.put(source, "copy")
    assert (home / "copy").stat().st_mode & 0o777 == 0o755
    agent.get("copy", back)
    assert back.read_bytes() == source.read_bytes()
    with pytest.raises(CommandFailed, match="No such file"):
        agent.get("missing", back)


def test_ports_are_free_and_below_the_ephemeral_ones(agent: AgentClient):
    ports = {agent.request("port")["port"] for _ in range(5)}
    assert len(ports) > 1
    assert all(20000 <= port <= 32000 for port in ports)


def test_bad_requests_are_answered_with_the_reason(agent: AgentClient):
    with pytest.raises(CommandFailed, match="unknown request 'dance'"):
        agent.request("dance")
    with pytest.raises(CommandFailed, match="share its network"):
        agent.request("drop", key="k", sources=["10.0.0.1"])
    with pytest.raises(CommandFailed, match="hello was said before"):
        agent.request("hello", node="n1", scope="children")
    with pytest.raises(CommandFailed, match=r"ValueError|TypeError"):
        agent.request("clock", offset_s="soon")


def test_refuses_to_take_the_whole_machine_for_a_pod():
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        pytest.skip("this test itself runs in a pid namespace of its own")
    with pytest.raises(AgentLost, match="shares its pid namespace with the database alone"):
        AgentClient(lambda: PopenChannel(bootstrap_argv(sys.executable)), "n1", {"scope": "pod"})


def test_answers_come_in_the_order_of_completion(agent: AgentClient):
    import threading

    ended = []

    def ask(what: str, argv: list[str]) -> None:
        agent.run(*argv)
        ended.append(what)

    threads = [threading.Thread(target=ask, args=("slow", ["sleep", "0.5"])), threading.Thread(target=ask, args=("quick", ["true"]))]  # fmt: skip  # noqa: E501
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == ["quick", "slow"]


def test_a_lost_agent_is_said_at_once(agent: AgentClient):
    import signal
    import threading

    threading.Timer(0.3, os.kill, (agent.hello["pid"], signal.SIGKILL)).start()
    began = time.monotonic()
    with pytest.raises(AgentLost):
        agent.run("sleep", "20")
    assert time.monotonic() - began < 2
    assert not agent.alive
    assert agent.lost
    with pytest.raises(AgentLost):
        agent.request("tree")


@pytest.mark.parametrize("number", [1, 2, 13, 15])
def test_signals_do_not_end_it_before_it_has_healed(agent: AgentClient, home: Path, number: int):
    from specimens import fresh_beats, start_family

    start_family(agent, home, generations=2)
    pids = agent.request("pause")["pids"]
    os.kill(agent.hello["pid"], number)
    if number == 13:
        assert agent.request("tree")["paused"]
        return
    await_true(lambda: set(fresh_beats(home, 0.1)) == set(pids), 2.0, "all go on")
    await_true(lambda: not any(alive(pid) for pid in pids), 8.0, "the database is stopped")
    await_true(lambda: state(agent.hello["pid"]) in ("", "Z"), 2.0, "the agent ends")
