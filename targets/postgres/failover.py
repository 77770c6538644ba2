"""Failover: an operator's: the primary is given up, and the standby with most of the log takes its place.

    cut     first, replication is cut on the wire for so long, while clients go on writing (0: not at all)
    fence   yes: the old primary is killed, and can only come back as a standby. no: it lives on, cut off from the
            others: it takes its own node's clients for its own, those of the other nodes turn to the new primary

Promoted is only a standby that followed this primary when the fault began, and only if enough of them can be asked to
be sure of one that has every acknowledged commit, as far as `sync` promises one: an operator in his right mind does no
less. So what is lost is what asynchronous replication, or the lack of a fence, loses. Healing makes the old primary a
standby of the new one, by pg_rewind or by a new copy: what only it had is gone then.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.nodes.base import Node, node_named
from harness.options import Option
from nemeses.base import Setting
from nemeses.choose import on_each
from targets.postgres import replicated
from targets.postgres.roles import Role, newest_leader

READY_S = 20.0
"""How long an inject waits for standbys that follow: an earlier fault may just have ended."""
SOON_S = 5.0
"""How long all standbys that followed are waited for, where fewer would be enough."""
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name LIKE 'faultline-n%' AND application_name NOT LIKE 'faultline-{name}-%'"
    " AND wait_event IS DISTINCT FROM 'SyncRep'"
)
"""Not those that wait for a standby, see `targets.postgres.target.END_BACKEND`; their clients leave at the deadline."""


class Failover:
    """Another server is made the primary, with or without an end to the old one (`TOPOLOGY=replicated`)."""

    kind = "failover"
    options: Mapping[str, Option] = {
        "cut": Option(0.0, "for how long replication is cut before a failover, seconds", least=0, most=600),
        "fence": Option("yes", "whether the old primary is killed before another takes its place", ("yes", "no")),
    }

    def prove(self, setting: Setting) -> str | None:
        """Whether there is a primary with standbys that follow it; a failover for trial would be no trial."""
        topology = setting.options.get("topology")
        if topology == "patroni":
            return "Patroni fails over by itself (FAULTS=kill, or partition with OPTS=partition-shape=primary)"
        if topology != "replicated":
            return "there is one server (TOPOLOGY=replicated)"
        try:
            self._primary_and_standbys(setting)
        except InfrastructureError as error:
            return str(error)
        return None

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        params = {"cut_s": setting.options.get("cut", 0.0), "fence": setting.options.get("fence", "yes") == "yes"}
        return [node.name for node in setting.cluster.nodes], params

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        target: Any = setting.target
        cluster, fence = setting.cluster, fault.params["fence"]
        primary, following = self._primary_and_standbys(setting)
        standbys = [node_named(cluster, role.name) for role in following]
        others = [node for node in cluster.nodes if node is not primary]
        cut = fault.params["cut_s"] > 0 or not fence
        if cut:
            _cut(setting, fault, primary, others)
            time.sleep(fault.params["cut_s"])
        if fence:
            replicated.leave_order(primary, replicated.WAIT)
            primary.agent.request("kill", timeout_s=20.0)
        found = standbys_that_answer(target, standbys, _enough(setting))
        best = node_named(cluster, replicated.best_standby(found).name)
        if fence:
            replicated.leave_order(primary, best.address)
        replicated.promote(target, best)
        turned = [node.name for node in standbys if node is not best and _turn(target, node, best)]
        if cut and fence:
            _mend(setting, fault)
        if not fence:
            replicated.tell(target, primary, END_SESSIONS.format(name=primary.name))
        return {
            "primary": primary.name,
            "promoted": best.name,
            "turned": turned,
            "received": {role.name: role.received for role in found},
            "old_primary": "killed" if fence else "left alive",
            "took_effect": True,
        }

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        began = time.monotonic()
        _mend(setting, fault)
        target: Any = setting.target
        done = replicated.reunite(target, setting.cluster, _enough(setting))
        return {"done": done, "served_after_s": round(time.monotonic() - began, 3)}

    def _primary_and_standbys(self, setting: Setting) -> tuple[Node, list[Role]]:
        """Who leads, and enough of those that follow it. Raises InfrastructureError."""
        target: Any = setting.target
        cluster, needed = setting.cluster, _enough(setting)
        until = time.monotonic() + READY_S
        while True:
            found = replicated.roles_in(target, cluster.nodes)
            leading = newest_leader(found)
            if leading is not None:
                primary = node_named(cluster, leading.name)
                following = [role for role in found if role.follows == primary.address]
                if len(following) >= needed:
                    return primary, following
                said = f"{len(following)} standbys follow {primary.name}, {needed} are needed for a failover"
            else:
                said = "no server leads"
            if time.monotonic() > until:
                raise InfrastructureError(said)
            time.sleep(replicated.POLL_S)


def _enough(setting: Setting) -> int:
    return replicated.enough_to_choose(setting.options.get("sync", "off"), len(setting.cluster.nodes))


def standbys_that_answer(target: Any, standbys: list[Node], needed: int) -> list[Role]:
    """How far each standby's log reaches: of all of them, or of enough where the others don't answer soon.

    Raises InfrastructureError where too few do.
    """
    began = time.monotonic()
    while True:
        found = [role for role in replicated.roles_in(target, standbys) if not role.leads]
        waited_s = time.monotonic() - began
        if len(found) == len(standbys) or (waited_s > SOON_S and len(found) >= needed):
            return found
        if waited_s > READY_S:
            raise InfrastructureError(
                f"{len(found)} standbys answer, {needed} are needed to know what was acknowledged"
            )
        time.sleep(replicated.POLL_S)


def _turn(target: Any, node: Node, leader: Node) -> bool:
    """Have another standby follow the new primary. One that can't be told now is told at the heal."""
    try:
        replicated.follow(target, node, leader)
    except InfrastructureError:
        return False
    return True


def _cut(setting: Setting, fault: Fault, primary: Node, others: list[Node]) -> None:
    """Between the primary and all the others, both ways."""
    primary.agent.request("drop", key=_key(fault), sources=[node.address for node in others])
    on_each(
        setting.cluster,
        [node.name for node in others],
        lambda node: node.agent.request("drop", key=_key(fault), sources=[primary.address]),
    )


def _mend(setting: Setting, fault: Fault) -> None:
    on_each(setting.cluster, fault.nodes, lambda node: node.agent.request("undrop", key=_key(fault)))


def _key(fault: Fault) -> str:
    return f"fault-{fault.id}"
