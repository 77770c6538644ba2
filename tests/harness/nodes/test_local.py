"""The local substrate, with real processes and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from specimens import alive, await_true, fresh_beats, start_family

from harness.errors import InfrastructureError
from harness.nodes import local
from harness.nodes.base import CommandFailed, Database
from harness.nodes.local import LocalCluster, LocalNode
from harness.options import with_defaults
from harness.target import Timeouts
from targets.postgres.target import Postgres

ROOT = Path(__file__).parents[3]


def test_nodes_have_homes_and_ports_of_their_own():
    with LocalCluster(run_id="two", nodes=2) as cluster:
        first, second = cluster.nodes
        assert (first.name, second.name) == ("n1", "n2")
        assert first.home != second.home
        ports = [first.port(5432), first.port(5433), second.port(5432)]
        assert len(set(ports)) == 3
        assert [first.port(5432), first.port(5433), second.port(5432)] == ports, "fixed for the run"
        assert first.endpoint(5432) == ("127.0.0.1", ports[0])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", ports[0]))
        cluster.check()
        assert cluster.describe()["clock"] == "vdso"
        folder = cluster.folder
        assert folder is not None
        assert folder.is_dir()
    assert not folder.exists()


def test_no_mode_outside_of_the_directory_changes_and_homes_are_closed(tmp_path: Path):
    places = [Path("/tmp"), Path("/"), Path(sys.prefix), Path.home()]
    before = [place.stat().st_mode for place in places]
    with LocalCluster(run_id="modes", nodes=1) as cluster:
        home = Path(cluster.nodes[0].home)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        if os.geteuid() == 0:
            assert home.stat().st_uid != 0
        assert [place.stat().st_mode for place in places] == before
    assert [place.stat().st_mode for place in places] == before


def test_files_come_to_the_node_and_back(local_node: LocalNode, tmp_path: Path):
    folder = tmp_path / "tree" / "bin"
    folder.mkdir(parents=True)
    (folder / "tool").write_text("#!/bin/sh\necho it runs\n")
    (folder / "tool").chmod(0o755)
    local_node.put(tmp_path / "tree", "tree")
    assert local_node.run(f"{local_node.home}/tree/bin/tool").stdout == "it runs\n"
    local_node.run("sh", "-c", "echo from the node > back")
    local_node.get("back", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "from the node\n"
    with pytest.raises(InfrastructureError, match="outside of the node's home"):
        local_node.put(tmp_path / "back", "../elsewhere")
    with pytest.raises(InfrastructureError, match="outside of the node's home"):
        local_node.put(tmp_path / "back", "/etc/elsewhere")
    with pytest.raises(InfrastructureError, match="could not be copied"):
        local_node.get("missing", tmp_path / "missing")


def test_configuration_files_and_the_log(local_node: LocalNode):
    local_node.install(
        Database(argv=["sh", "-c", "cat conf/x; echo $A; exec sleep 30"], env={"A": "b"}, files={"conf/x": "text\n"})
    )
    local_node.start_db()
    await_true(lambda: len(list(local_node.log_stream())) == 2, 3.0, "two lines")
    assert [line.text for line in local_node.log_stream()] == ["text", "b"]
    assert len(local_node.db_pids()) == 1
    local_node.stop_db()
    assert local_node.db_pids() == []
    local_node.stop_db()


def test_what_cant_be_started_is_said(local_node: LocalNode):
    with pytest.raises(InfrastructureError, match="no database is installed"):
        local_node.start_db()
    local_node.install(Database(argv=["/no/such/postgres"]))
    with pytest.raises(CommandFailed, match="/no/such/postgres"):
        local_node.start_db()
    with pytest.raises(InfrastructureError, match="1 to 50 nodes, not 0"):
        LocalCluster(run_id="none", nodes=0)


def test_a_lost_agent_ends_the_run_and_another_heals(tmp_path: Path):
    with LocalCluster(run_id="lost", nodes=1) as cluster:
        node = cluster.nodes[0]
        start_family(node.agent, Path(node.home), 2)
        pids = node.agent.request("pause")["pids"]
        os.kill(node.agent.hello["pid"], signal.SIGKILL)
        await_true(lambda: not node.agent.alive, 2.0, "the loss is seen")
        with pytest.raises(InfrastructureError, match="n1: its agent was lost"):
            cluster.check()
    assert not any(alive(pid) for pid in pids)
    assert cluster.folder is not None
    assert not cluster.folder.exists()


def test_postgres_is_killed_and_serves_again(tmp_path: Path):
    with LocalCluster(run_id="pg", nodes=1) as cluster:
        options = with_defaults(Postgres.options, {})
        target = Postgres(image="", options=options, timeouts=Timeouts(), workload="append")
        target.start(cluster)
        node = cluster.nodes[0]
        with target.connected(node) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS x")
        for _ in range(3):
            assert len(node.agent.request("kill")["pids"]) > 5
            assert node.db_pids() == []
            node.start_db()
            target.await_node(node, 30.0)
        with target.connected(node) as connection:
            assert [str(row[0]) for row in connection.execute("SELECT x FROM kept").rows] == ["42"]
        began = time.monotonic()
        target.stop(cluster)
        assert time.monotonic() - began < 10
        assert "database system is shut down" in list(node.log_stream())[-1].text, "in an orderly way"
        cluster.collect_logs(tmp_path)
    assert "shut down" in (tmp_path / "n1" / "database.log").read_text()


CRASHING = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
from harness.nodes.local import LocalCluster
from specimens import start_family

with LocalCluster(run_id=sys.argv[1], nodes=1) as cluster:
    node = cluster.nodes[0]
    start_family(node.agent, Path(node.home), 2)
    node.agent.request("clock", offset_s=60.0)
    node.agent.request("pause")
    print(node.agent.hello["pid"], node.home, *node.db_pids(), flush=True)
    time.sleep(60)
"""


def crashed(run_id: str) -> tuple[int, Path, list[int], subprocess.Popen[str]]:
    """A controller with a paused, skewed database: (agent's pid, node's home, database's pids, itself)."""
    popen = subprocess.Popen(
        [sys.executable, "-c", CRASHING, run_id, str(ROOT), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert popen.stdout is not None
    agent, home, *pids = popen.stdout.readline().split()
    return int(agent), Path(home), [int(pid) for pid in pids], popen


def test_clean_removes_what_a_killed_controller_left():
    _, home, pids, popen = crashed("crash-1")
    local.clean()
    assert home.exists(), "what a living controller uses is left alone"
    popen.kill()
    popen.wait()
    await_true(lambda: not any(alive(pid) for pid in pids), 9.0, "the agent has stopped the database")
    assert home.exists(), "logs and data stay until they are cleaned"
    assert f"directory {home.parent}" in local.clean()
    assert not home.exists()
    assert local.clean("crash-1") == []


def test_heal_and_clean_after_controller_and_agent_were_killed():
    agent, home, pids, popen = crashed("crash-2")
    os.kill(agent, signal.SIGKILL)
    popen.kill()
    popen.wait()
    time.sleep(0.3)
    assert fresh_beats(home, 0.25) == {}, "still paused: nobody is there to heal"
    done = local.heal("crash-2")
    assert any("clocks restored" in line for line in done)
    assert any("resumed" in line for line in done)
    assert not any(alive(pid) for pid in pids)
    assert local.heal("another") == []
    assert local.clean("crash-2") == [f"directory {home.parent}"]


def test_directories_of_others_are_not_believed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(local, "PLACES", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    forged = tmp_path / f"{local.PREFIX}x"
    forged.mkdir()
    (forged / local.DESCRIPTION).write_text(json.dumps({"run_id": "x", "controller": [1, "1"]}))
    if os.geteuid() == 0:
        os.chown(forged, 65534, 65534)
        assert local.clean("x") == []
        assert forged.exists()
        os.chown(forged, 0, 0)
    assert local.clean("x") == [f"directory {forged}"]


def test_a_place_that_is_unfit_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    if os.geteuid() != 0:
        pytest.skip("only root's directories can be closed to nobody")
    with LocalCluster(run_id="elsewhere", nodes=1) as cluster:
        assert cluster.folder is not None
        assert not cluster.folder.is_relative_to(closed)
    monkeypatch.setattr(local, "PLACES", ())
    with pytest.raises(InfrastructureError, match=r"no directory for the nodes: .* not open to user nobody.*TMPDIR"):
        LocalCluster(run_id="nowhere", nodes=1).__enter__()
