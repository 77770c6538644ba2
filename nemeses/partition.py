"""Partitions: nodes that no longer hear some of the others.

What a node drops is decided at its own door, by the source address of what comes in; so a cut can be one-way: n1 hears
n2, n2 does not hear n1. Only traffic between nodes is cut, never the controller's: clients reach every node all the
time, and see what a cut-off node answers. Counters of the rules say how many packets were dropped.

    halves            two halves, of about the same size
    one               one node alone
    majorities-ring   every node hears a majority, and no two the same (4 nodes or more)
    bridge            two halves that both hear one node between them (3 nodes or more)
    primary           whoever leads when the fault begins, alone; only when asked for, of a database that can say who
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.nodes.base import CommandFailed, Node, node_named
from harness.options import Option
from harness.target import HasPrimaries
from nemeses.base import Setting
from nemeses.choose import on_each

LEAST_NODES: Final[dict[str, int]] = {"halves": 2, "one": 2, "majorities-ring": 4, "bridge": 3}
"""Shape → how many nodes it needs; those that a mix is drawn from."""
PRIMARY: Final = "primary"
"""The shape that only a look at the cluster can tell: it is drawn when the fault is injected."""
CONFIRM_S = 0.3
"""How long an inject waits to see a first dropped packet; a quieter cluster confirms at the heal."""
SEND_A_PACKET = "import socket,sys;socket.socket({family},socket.SOCK_DGRAM).sendto(b'faultline',(sys.argv[1],9))"

Cut = dict[str, list[str]]
"""Node → the nodes that it does not hear."""


def cut_pairs(shape: str, order: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of nodes that a shape separates, for the nodes in this (shuffled) order."""
    count, half = len(order), len(order) // 2
    if shape == "halves":
        return [(a, b) for a in order[:half] for b in order[half:]]
    if shape == "one":
        return [(order[0], b) for b in order[1:]]
    if shape == "bridge":
        middle = order[0]
        left, right = order[1 : 1 + (count - 1) // 2], order[1 + (count - 1) // 2 :]
        return [(a, b) for a in left for b in right if middle not in (a, b)]
    if shape == "majorities-ring":
        reach = (count // 2 + 1) // 2  # neighbours heard on each side, so that with itself a node hears a majority
        return [
            (order[i], order[j])
            for i in range(count)
            for j in range(i + 1, count)
            if min(j - i, count - (j - i)) > reach
        ]
    raise ValueError(f"unknown shape {shape!r}")


def cut(shape: str, order: Sequence[str], one_way: bool, reverse: bool = False) -> Cut:
    """What each node drops. one_way: only one side of each pair does, the other if `reverse`."""
    drops: Cut = {}
    for a, b in cut_pairs(shape, order):
        if one_way and reverse:
            a, b = b, a
        drops.setdefault(a, []).append(b)
        if not one_way:
            drops.setdefault(b, []).append(a)
    return {node: sorted(drops[node]) for node in sorted(drops)}


class Partition:
    """Nodes stop hearing each other: halves, one alone, a ring of majorities, a bridge; also in one direction only."""

    kind = "partition"
    options: Mapping[str, Option] = {
        "partition-shape": Option("mix", "who is cut from whom", ("mix", *LEAST_NODES, PRIMARY)),
        "partition-direction": Option("mix", "whether cuts are one-way", ("mix", "both", "one-way")),
    }

    def prove(self, setting: Setting) -> str | None:
        """Drop one packet between two nodes of the cluster."""
        nodes = setting.cluster.nodes
        if len(nodes) < 2:
            return "there is one node only: nothing to cut (NODES=3)"
        shape = setting.options.get("partition-shape", "mix")
        if LEAST_NODES.get(shape, 0) > len(nodes):
            return f"partition-shape={shape} needs {LEAST_NODES[shape]} nodes, there are {len(nodes)}"
        if shape == PRIMARY and not isinstance(setting.target, HasPrimaries):
            return f"partition-shape={PRIMARY} needs a database that can say who leads"
        sender, receiver, key = nodes[0], nodes[1], "proof"
        try:
            receiver.agent.request("drop", key=key, sources=[sender.address])
            try:
                family = "socket.AF_INET6" if ":" in receiver.address else "socket.AF_INET"
                sender.run("python3", "-c", SEND_A_PACKET.format(family=family), receiver.address)
                packets = _await_packets(receiver, key, 2.0)
            finally:
                receiver.agent.request("undrop", key=key)
        except CommandFailed as error:
            return str(error)
        return None if packets else f"a rule on {receiver.name} dropped nothing of what {sender.name} sent"

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        names = [node.name for node in setting.cluster.nodes]
        order = rng.sample(names, len(names))
        possible = [shape for shape, least in LEAST_NODES.items() if least <= len(names)]
        drawn, one_way, reverse = rng.choice(possible), rng.random() < 0.3, rng.random() < 0.5
        asked = setting.options.get("partition-shape", "mix")
        shape = drawn if asked == "mix" else asked
        direction = setting.options.get("partition-direction", "mix")
        one_way = one_way if direction == "mix" else direction == "one-way"
        if shape == PRIMARY:
            return names, {"shape": shape, "one_way": one_way, "reverse": reverse}
        drops = cut(shape, order, one_way, reverse)
        return list(drops), {"shape": shape, "one_way": one_way, "cut": drops}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        key = _key(fault)
        drops = fault.params["cut"] if "cut" in fault.params else _primary_cut(setting, fault)

        def close(node: Node) -> int:
            addresses = [node_named(setting.cluster, other).address for other in drops[node.name]]
            return int(node.agent.request("drop", key=key, sources=addresses)["rules"])

        rules = on_each(setting.cluster, drops, close)
        packets = on_each(setting.cluster, drops, lambda node: _await_packets(node, key, CONFIRM_S))
        return {"cut": drops, "rules": rules, "dropped": packets, "took_effect": any(packets.values())}

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        def reopen(node: Node) -> int:
            return int(node.agent.request("undrop", key=_key(fault))["packets"])

        packets = on_each(setting.cluster, fault.params.get("cut", fault.nodes), reopen)
        return {"dropped": packets, "took_effect": True} if any(packets.values()) else {"healed": True}


def _primary_cut(setting: Setting, fault: Fault) -> Cut:
    """The primary alone; the first of several. Raises InfrastructureError when nobody leads now."""
    assert isinstance(setting.target, HasPrimaries)
    leaders = setting.target.primaries(setting.cluster)
    if not leaders:
        raise InfrastructureError("no node leads: there is no primary to cut off")
    order = [leaders[0], *(name for name in fault.nodes if name != leaders[0])]
    return cut("one", order, fault.params["one_way"], fault.params["reverse"])


def _key(fault: Fault) -> str:
    return f"fault-{fault.id}"


def _await_packets(node: Node, key: str, timeout_s: float) -> int:
    """Packets dropped so far; waits for the first one."""
    until = time.monotonic() + timeout_s
    while True:
        packets = int(node.agent.request("dropped", key=key)["packets"])
        if packets or time.monotonic() > until:
            return packets
        time.sleep(0.02)
