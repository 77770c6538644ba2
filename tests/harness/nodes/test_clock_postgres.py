"""Clock faults on a real PostgreSQL under load."""

from __future__ import annotations

import os
import platform
import threading
import time
from typing import Any

import pytest

from harness.nodes.local import LocalCluster, LocalNode
from harness.options import with_defaults
from harness.target import Timeouts
from targets.postgres.target import Postgres

TOGGLES = int(os.environ.get("FAULTLINE_CLOCK_TOGGLES", "1000"))


def start(cluster: LocalCluster) -> Postgres:
    target = Postgres(image="", options=with_defaults(Postgres.options, {}), timeouts=Timeouts(), workload="append")
    target.start(cluster)
    return target


class Load:
    """Threads that commit short transactions all the time, and remember what time the server told them."""

    def __init__(self, target: Postgres, node: LocalNode, threads: int) -> None:
        self.over = threading.Event()
        self.commits, self.errors, self.skews_s = 0, [], set()
        with target.connected(node) as connection:
            connection.execute("CREATE TABLE toggles (id int PRIMARY KEY, n int)")
            connection.execute("INSERT INTO toggles SELECT i, 0 FROM generate_series(0, 9) i")
        self.threads = [threading.Thread(target=self.go, args=(target, node, i)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def go(self, target: Postgres, node: LocalNode, number: int) -> None:
        with target.connected(node) as connection:
            while not self.over.is_set():
                try:
                    before = time.time()
                    connection.execute(f"UPDATE toggles SET n = n + 1 WHERE id = {number}")
                    ((told,),) = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").rows
                    after = time.time()
                    self.commits += 1
                    if after - before < 0.3:
                        self.skews_s.add(round((float(told) - (before + after) / 2) * 2) / 2)
                except Exception as error:
                    self.errors.append(error)
                    return

    def stop(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux", reason="the vDSO patch is for x86-64"
)
@pytest.mark.timeout(900)
def test_toggled_a_thousand_times_under_load():
    """Goal: no session is lost, no commit fails, every session sees the skew while it lasts and never another one."""
    with LocalCluster(run_id="test-clock", nodes=1) as cluster:
        target = start(cluster)
        node = cluster.nodes[0]
        load = Load(target, node, 4)
        pids: Any = ()
        for number in range(TOGGLES):
            answer = node.agent.request("clock", offset_s=120.0 if number % 2 else -300.0)
            unmeasured = {str(pid) for pid in answer["pids"]} - set(answer["measured"])
            assert not unmeasured or not unmeasured & set(map(str, node.db_pids())), "only who has ended since is not"
            assert len(answer["measured"]) > 5
            node.agent.request("clock-reset")
            pids = answer["pids"]
        load.stop()
        assert load.errors == []
        assert load.commits > TOGGLES
        assert {120.0, -300.0} <= load.skews_s <= {0.0, 120.0, -300.0}
        assert pids[0] in node.db_pids(), "the server was never restarted"
        assert not any("terminated by signal" in line.text for line in node.log_stream())


def test_libfaketime_on_postgres():
    with LocalCluster(run_id="test-faketime", nodes=1, clock="libfaketime") as cluster:
        node = cluster.nodes[0]
        missing = node.agent.hello["abilities"]["clock"]
        if missing is not None:
            pytest.skip(missing)
        target = start(cluster)
        load = Load(target, node, 2)
        node.agent.request("clock", offset_s=-60.0)
        time.sleep(2.0)
        load.skews_s.clear()
        time.sleep(1.0)
        assert load.skews_s == {-60.0}
        node.agent.request("clock-reset")
        time.sleep(2.0)
        load.skews_s.clear()
        time.sleep(1.0)
        load.stop()
        assert load.skews_s == {0.0}
        assert load.errors == []
