"""The agent on a host of the user's: the lock, the folder, a service found by its port. Looked at in-process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.nodes import agent
from harness.nodes.agent import Commands, Host, Refused, ServiceTree

LISTEN = """
import os, socket, time
server = socket.create_server(("127.0.0.1", 0))
child = os.fork()
if child:
    print(server.getsockname()[1], child, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def over() -> threading.Event:
    return threading.Event()


def test_a_service_is_who_listens_and_all_that_descend_from_it(tmp_path: Path):
    popen = subprocess.Popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE, text=True)
    assert popen.stdout is not None
    port, child = (int(word) for word in popen.stdout.readline().split())
    try:
        tree = ServiceTree(str(tmp_path), Commands())
        tree.ports = [port]
        members = tree.members()
        assert [each.pid for each in members] == [popen.pid, child]
        root = tree.root(members)
        assert root is not None and root.pid == popen.pid
        os.kill(popen.pid, signal.SIGKILL)
        popen.wait()
        assert [each.pid for each in tree.members()] == [child], "an orphan is still its own"
    finally:
        os.kill(child, signal.SIGKILL)
        popen.kill()


def test_nobody_who_listens_is_no_service(tmp_path: Path):
    tree = ServiceTree(str(tmp_path), Commands())
    tree.ports = [1]
    assert tree.members() == [] and tree.root([]) is None


def test_a_proxy_is_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    popen = subprocess.Popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE, text=True)
    assert popen.stdout is not None
    port, child = (int(word) for word in popen.stdout.readline().split())
    try:
        mine = agent.process(popen.pid)
        assert mine is not None
        monkeypatch.setattr(ServiceTree, "FOREIGN", (mine.comm,))
        tree = ServiceTree(str(tmp_path), Commands())
        tree.ports = [port]
        with pytest.raises(Refused, match=f"port {port} is held by .* which is no database"):
            tree.members()
    finally:
        os.kill(child, signal.SIGKILL)
        popen.kill()
        popen.wait()


def test_one_run_at_a_time(tmp_path: Path, over: threading.Event, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(agent, "HOST_LOCK", str(tmp_path / "lock"))
    base = tmp_path / "base"
    first = Host(str(base), "one", "")
    first.lock(0.0, over)
    first.make()
    assert Path(first.home).is_dir() and Path(first.log).read_bytes() == b""
    second = Host(str(base), "two", "")
    with pytest.raises(Refused, match=r"another run works on this host \(run one, agent pid \d+\)"):
        second.lock(0.0, over)
    with pytest.raises(Refused, match="not locked"):
        second.leftovers()
    assert first.leftovers() == [first.folder]
    here = os.getcwd()
    try:
        first.remove()
    finally:
        os.chdir(here)
    assert not Path(first.folder).exists()


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, over: threading.Event):
    base = tmp_path / "base"
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(Refused, match="can be written by others"):
        Host(str(base), "one", "").lock(0.0, over)


@pytest.mark.parametrize("run", ["", "..", "../x", "a/b", ".hidden"])
def test_a_run_names_one_folder_and_no_way_out(tmp_path: Path, run: str):
    with pytest.raises(Refused, match="no name of a folder"):
        Host(str(tmp_path), run, "")
