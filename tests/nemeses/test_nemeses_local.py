"""Kill, pause and clock on a real PostgreSQL, one by one and all at once on the same node."""

from __future__ import annotations

import platform
import random
import threading
import time
from collections.abc import Iterator

import pytest

from harness.fault import Fault
from harness.nodes.local import LocalCluster
from harness.options import with_defaults
from harness.stall import StallGate
from harness.target import Timeouts
from nemeses import NEMESES
from nemeses.base import Setting
from targets.postgres.target import Postgres

x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux", reason="the vDSO patch is for x86-64 Linux"
)


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    options = {name: value for each in NEMESES.values() for name, value in with_defaults(each.options, {}).items()}
    with LocalCluster(run_id="nemeses", nodes=1) as cluster:
        target = Postgres(image="", options=with_defaults(Postgres.options, {}), timeouts=Timeouts(), workload="append")
        target.start(cluster)
        yield Setting(cluster, target, StallGate(), options)


def server_skew_s(setting: Setting) -> float:
    with setting.target.connected(setting.cluster.nodes[0]) as connection:  # type: ignore[attr-defined]
        before = time.time()
        ((told,),) = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").rows
        return float(told) - (before + time.time()) / 2


def test_what_can_be_had_here_is_proved(setting: Setting):
    assert NEMESES["kill"].prove(setting) is None
    assert NEMESES["pause"].prove(setting) is None
    assert NEMESES["stall"].prove(setting) is None
    assert NEMESES["partition"].prove(setting) == "there is one node only: nothing to cut (NODES=3)"
    assert abs(server_skew_s(setting)) < 1, "nothing of a proof is left"


@x86
def test_the_clock_is_proved(setting: Setting):
    assert NEMESES["clock"].prove(setting) is None
    assert setting.cluster.nodes[0].agent.request("clock-measure")["offset_s"] is None


def test_kill(setting: Setting):
    fault = Fault(1, "kill", "kill", ["n1"])
    before = setting.cluster.nodes[0].db_pids()
    observed = NEMESES["kill"].inject(setting, fault)
    assert observed["took_effect"]
    assert set(before) <= set(observed["died"]["n1"])
    assert setting.cluster.nodes[0].db_pids() == []
    assert not NEMESES["kill"].inject(setting, fault)["took_effect"], "a dead database can't be killed"
    healed = NEMESES["kill"].heal(setting, fault)
    assert 0 < healed["served_after_s"]["n1"] < 60
    pids = setting.cluster.nodes[0].db_pids()
    NEMESES["kill"].heal(setting, fault)
    assert pids[0] == setting.cluster.nodes[0].db_pids()[0], "healing again starts nothing again"


def test_pause(setting: Setting):
    fault = Fault(2, "pause", "pause", ["n1"])
    observed = NEMESES["pause"].inject(setting, fault)
    assert observed["took_effect"]
    assert "T" in observed["states"]["n1"]
    assert set(observed["states"]["n1"]) <= {"T", "gone"}, "gone: a helper process that ended just then"
    assert len(observed["stopped"]["n1"]) > 5
    healed = NEMESES["pause"].heal(setting, fault)
    assert sorted(healed["resumed"]["n1"]) == sorted(observed["stopped"]["n1"])
    assert "T" not in healed["states_after"]["n1"]
    assert NEMESES["pause"].heal(setting, fault)["resumed"]["n1"] == []
    server_skew_s(setting)


@x86
@pytest.mark.parametrize("offset_s", [60.0, -3600.0])
def test_clock_jump(setting: Setting, offset_s: float):
    fault = Fault(3, "clock", "clock", ["n1"], {"mode": "jump", "offset_s": offset_s})
    observed = NEMESES["clock"].inject(setting, fault)
    assert observed["took_effect"]
    assert observed["skew_s"]["n1"] == [offset_s]
    assert abs(server_skew_s(setting) - offset_s) < 1, "the server itself says so"
    healed = NEMESES["clock"].heal(setting, fault)
    assert healed["skew_before_heal_s"]["n1"] == [offset_s]
    assert abs(server_skew_s(setting)) < 1
    assert NEMESES["clock"].heal(setting, fault)["restored"]["n1"] == 0


@x86
def test_clock_strobe(setting: Setting):
    fault = Fault(4, "clock", "clock", ["n1"], {"mode": "strobe", "offset_s": 30.0, "period_ms": 20})
    assert NEMESES["clock"].inject(setting, fault)["took_effect"]
    seen = {round(server_skew_s(setting) / 30) for _ in range(60)}
    healed = NEMESES["clock"].heal(setting, fault)
    assert seen == {0, 1}
    assert healed["changes"]["n1"] > 10


@x86
def test_a_kill_under_a_clock_fault_starts_under_it_again(setting: Setting):
    clock = Fault(5, "clock", "clock", ["n1"], {"mode": "jump", "offset_s": 45.0})
    kill = Fault(6, "kill", "kill", ["n1"])
    NEMESES["clock"].inject(setting, clock)
    NEMESES["kill"].inject(setting, kill)
    NEMESES["kill"].heal(setting, kill)
    assert abs(server_skew_s(setting) - 45.0) < 1
    NEMESES["kill"].inject(setting, kill)
    assert NEMESES["clock"].heal(setting, clock)["restored"]["n1"] == 0
    NEMESES["kill"].heal(setting, kill)
    assert abs(server_skew_s(setting)) < 1


def test_a_paused_node_can_be_killed(setting: Setting):
    pause, kill = Fault(7, "pause", "pause", ["n1"]), Fault(8, "kill", "kill", ["n1"])
    NEMESES["pause"].inject(setting, pause)
    assert NEMESES["kill"].inject(setting, kill)["took_effect"]
    NEMESES["kill"].heal(setting, kill)
    assert NEMESES["pause"].heal(setting, pause)["resumed"]["n1"] == []
    server_skew_s(setting)


@x86
def test_all_lanes_at_once_leave_a_healthy_node(setting: Setting):
    """Goal: whatever the interleaving, each heal undoes its own fault and nothing stays behind."""
    rng, problems = random.Random(3), []

    def lane(kind: str, plans: list[tuple[list[str], dict]], first_id: int) -> None:
        nemesis = NEMESES[kind]
        for number, (nodes, params) in enumerate(plans):
            fault = Fault(first_id + number, kind, kind, nodes, params)
            try:
                nemesis.inject(setting, fault)
                time.sleep(0.05 + 0.1 * (number % 4))
                nemesis.heal(setting, fault)
            except Exception as error:
                problems.append(f"{kind}: {error}")

    lanes = [
        threading.Thread(
            target=lane, args=(kind, [NEMESES[kind].plan(setting, rng) for _ in range(count)], place * 100)
        )
        for place, (kind, count) in enumerate((("kill", 4), ("pause", 12), ("clock", 12)))
    ]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    assert problems == []
    tree = setting.cluster.nodes[0].agent.request("tree")
    assert (tree["paused"], tree["offset_s"]) == (False, None)
    assert "T" not in tree["states"].values()
    assert abs(server_skew_s(setting)) < 1
