"""Partitions on a real etcd cluster in pods: what is cut, in which direction, what is counted, what stays."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from harness.fault import Fault
from harness.nodes.base import CommandFailed, Node
from harness.nodes.docker import DockerCluster
from harness.options import with_defaults
from harness.stall import StallGate
from harness.target import Timeouts
from nemeses import NEMESES
from nemeses.base import Setting
from nemeses.partition import cut
from targets.etcd.target import Etcd
from tests.e2e.runs import need_docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

REACH = "import socket,sys;socket.create_connection((sys.argv[1],2380),timeout=0.7)"


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    need_docker(Etcd.default_image)
    options = {name: value for each in NEMESES.values() for name, value in with_defaults(each.options, {}).items()}
    with DockerCluster(run_id="nemeses", nodes=3, image=Etcd.default_image) as cluster:
        target = Etcd(
            image=Etcd.default_image,
            options=with_defaults(Etcd.options, {}),
            timeouts=Timeouts(),
            workload=Etcd.default_workload,
        )
        target.start(cluster)
        yield Setting(cluster, target, StallGate(), options)


def reaches(a: Node, b: Node) -> bool:
    try:
        a.run("python3", "-c", REACH, b.address)
    except CommandFailed:
        return False
    return True


def rules(node: Node) -> list[str]:
    return node.run("iptables", "-S").stdout.splitlines()


@pytest.mark.parametrize("kind", ["partition", "kill", "pause", "clock"])
def test_every_kind_is_proved(setting: Setting, kind: str):
    before = [rules(node) for node in setting.cluster.nodes]
    assert NEMESES[kind].prove(setting) is None
    assert [rules(node) for node in setting.cluster.nodes] == before, "nothing of the proof is left"


def test_one_node_alone(setting: Setting):
    n1, n2, n3 = setting.cluster.nodes
    foreign = "-A INPUT -s 192.0.2.1/32 -j ACCEPT"
    n1.run("iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "ACCEPT")
    before = rules(n1)
    fault = Fault(1, "partition", "partition", [], {"cut": cut("one", ["n1", "n2", "n3"], False)})
    observed = NEMESES["partition"].inject(setting, fault)
    assert observed["rules"] == {"n1": 2, "n2": 1, "n3": 1}
    assert observed["took_effect"]
    assert not reaches(n1, n2)
    assert not reaches(n3, n1)
    assert reaches(n2, n3)
    setting.target.await_node(n2, 10.0)  # the controller reaches all of them, the majority serves
    assert foreign in rules(n1)
    healed = NEMESES["partition"].heal(setting, fault)
    assert healed["took_effect"]
    assert min(healed["dropped"].values()) > 0
    assert reaches(n1, n2)
    assert rules(n1) == before, "foreign rules are as they were"
    assert "took_effect" not in NEMESES["partition"].heal(setting, fault), "idempotent"
    n1.run("iptables", "-D", "INPUT", "-s", "192.0.2.1", "-j", "ACCEPT")
    setting.target.await_node(n1, 20.0)


def test_the_primary_alone_whoever_it_is_when_the_fault_begins(setting: Setting):
    shaped = {**setting.options, "partition-shape": "primary", "partition-direction": "both"}
    setting = Setting(setting.cluster, setting.target, setting.stall_gate, shaped)
    assert NEMESES["partition"].prove(setting) is None
    nodes, params = NEMESES["partition"].plan(setting, random.Random(1))
    assert nodes == ["n1", "n2", "n3"] and "cut" not in params
    [leader] = setting.target.primaries(setting.cluster)
    fault = Fault(3, "partition", "partition", nodes, params)
    observed = NEMESES["partition"].inject(setting, fault)
    assert observed["took_effect"]
    followers = [node for node in nodes if node != leader]
    assert observed["cut"] == {leader: followers} | {node: [leader] for node in followers}
    assert NEMESES["partition"].heal(setting, fault)["took_effect"]
    for node in setting.cluster.nodes:
        setting.target.await_node(node, 20.0)


def test_one_way(setting: Setting):
    """n1 no longer hears the others; what it sends still arrives."""
    fault = Fault(2, "partition", "partition", [], {"cut": cut("one", ["n1", "n2", "n3"], True)})
    NEMESES["partition"].inject(setting, fault)
    dropped = NEMESES["partition"].heal(setting, fault)["dropped"]
    assert list(dropped) == ["n1"]
    assert dropped["n1"] > 0


def test_cuts_of_two_names_are_undone_one_by_one(setting: Setting):
    n1, n2, n3 = setting.cluster.nodes
    n1.agent.request("drop", key="a", sources=[n2.address])
    n1.agent.request("drop", key="b", sources=[n2.address, n3.address])
    assert n1.agent.request("undrop", key="a")["packets"] >= 0
    assert not reaches(n1, n2), "b still cuts"
    assert not reaches(n1, n3)
    assert n1.agent.request("undrop", key="b")["packets"] > 0
    assert reaches(n1, n2)
    assert reaches(n1, n3)


def test_addresses_of_both_families_and_bad_ones(setting: Setting):
    n1 = setting.cluster.nodes[0]
    with pytest.raises(CommandFailed, match="OSError"):
        n1.agent.request("drop", key="bad", sources=["not-an-address"])
    try:
        assert n1.agent.request("drop", key="six", sources=["2001:db8::1", "198.51.100.1"])["rules"] == 2
        assert "-A FAULTLINE -s 2001:db8::1/128 -j DROP" in n1.run("ip6tables", "-S").stdout
    except CommandFailed as error:
        if "ip6tables" not in str(error):
            raise
        pytest.skip(f"no IPv6 rules in this kernel: {error}")
    finally:
        n1.agent.request("undrop", key="six")
    assert "FAULTLINE" not in n1.run("ip6tables", "-S").stdout
    assert "FAULTLINE" not in "".join(rules(n1))


def test_a_running_static_go_program_sees_the_skew(setting: Setting):
    """etcd is a static Go program: it never calls libc, and is not restarted. Its answers carry a Date header."""
    import email.utils
    import urllib.request

    n2 = setting.cluster.nodes[1]

    def skew_s() -> float:
        host, port = n2.endpoint(2379)
        with urllib.request.urlopen(f"http://{host}:{port}/version", timeout=5.0) as answer:
            return email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()

    pids = n2.db_pids()
    fault = Fault(3, "clock", "clock", ["n2"], {"mode": "jump", "offset_s": 3600.0})
    assert NEMESES["clock"].inject(setting, fault)["skew_s"] == {"n2": [3600.0]}
    assert abs(skew_s() - 3600.0) < 2.5
    NEMESES["clock"].heal(setting, fault)
    assert abs(skew_s()) < 2.5
    assert n2.db_pids() == pids
