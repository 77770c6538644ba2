"""Goal: MongoDB's sessions do what the ops say, ask with the concerns that were chosen, and know who leads.

Method: scripted servers that keep documents, transactions, elections and configurations, over real sockets with the
real driver, because no mongod can be had here. The nightly workflow runs the same code on the vendor's image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from harness.errors import InfrastructureError, UsageError
from harness.fault import Fault
from harness.nodes.base import Cluster
from harness.op import Op, invoke
from harness.stall import StallGate
from harness.target import DidNotHappen, HasLeaders, HasMembership, HasPrimaries, Leader, Target, Unknown
from nemeses.base import Setting
from targets.mongodb import replica_set
from targets.mongodb.faults import Freeze, StepDown
from targets.mongodb.target import MongoDB
from tests.targets.mongodb_cluster import REFUSED, USUAL, cluster_of, installed, session, target_for
from tests.targets.mongodb_server import ReplicaSet, drop_after, error

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def members() -> Iterator[ReplicaSet]:
    with ReplicaSet() as made:
        yield made


@pytest.fixture
def cluster(members: ReplicaSet) -> Cluster:
    return cluster_of(members)


class TestSessions:
    @pytest.mark.parametrize("cas", ["update", "find-and-modify"])
    def test_a_register(self, members: ReplicaSet, cluster: Cluster, cas: str) -> None:
        with session(cluster, "register", cas_command=cas) as mine:
            assert mine.invoke(invoke("read", [1, None])) == Op("ok", "read", [1, None])
            with pytest.raises(DidNotHappen, match="compare failed"):
                mine.invoke(invoke("cas", [1, [4, 5]]))
            assert mine.invoke(invoke("cas", [1, [None, 5]])) == Op("ok", "cas", [1, [None, 5]])
            with pytest.raises(DidNotHappen, match="compare failed: it was written before"):
                mine.invoke(invoke("cas", [1, [None, 6]]))
            assert mine.invoke(invoke("write", [1, 6])) == Op("ok", "write", [1, 6])
            with pytest.raises(DidNotHappen, match="compare failed"):
                mine.invoke(invoke("cas", [1, [5, 7]]))
            assert mine.invoke(invoke("cas", [1, [6, 7]])).type == "ok"
            assert mine.invoke(invoke("read", [1, None])).value == [1, 7]
        assert members.primary.count("findAndModify") == (3 if cas == "find-and-modify" else 0)

    def test_a_set_and_a_counter(self, cluster: Cluster) -> None:
        with session(cluster, "set") as mine:
            for element in (10, 9):
                assert mine.invoke(invoke("add", element)) == Op("ok", "add", element)
            assert mine.invoke(invoke("read")).value == [9, 10]
            with pytest.raises(DidNotHappen):
                mine.invoke(invoke("add", 9))
        target = target_for("counter", cluster)
        target.workloads["counter"].setup(target, cluster)
        with session(cluster, "counter") as mine:
            for amount in (3, -1):
                assert mine.invoke(invoke("add", amount)) == Op("ok", "add", amount)
            assert mine.invoke(invoke("read")).value == 2

    @pytest.mark.parametrize("transactions", ["on", "off"])
    def test_lists_that_grow(self, members: ReplicaSet, cluster: Cluster, transactions: str) -> None:
        gaps: list[int] = []
        with session(cluster, "append", transactions=transactions, gap=lambda: gaps.append(1)) as mine:
            asked = [["append", 1, 1], ["r", 1, None], ["append", 2, 1], ["r", 3, None]]
            done = [["append", 1, 1], ["r", 1, [1]], ["append", 2, 1], ["r", 3, []]]
            assert mine.invoke(invoke("txn", asked)).value == done
            assert mine.invoke(invoke("txn", [["append", 1, 2], ["r", 1, None]])).value[1] == ["r", 1, [1, 2]]
        assert len(gaps) == 4
        assert members.primary.count("commitTransaction") == (2 if transactions == "on" else 0)

    @pytest.mark.parametrize("transactions", ["on", "off"])
    def test_a_bank(self, members: ReplicaSet, cluster: Cluster, transactions: str) -> None:
        target = target_for("bank", cluster, accounts="3", balance="5")
        target.workloads["bank"].setup(target, cluster)
        with session(cluster, "bank", transactions=transactions) as mine:
            move = {"from": 0, "to": 2, "amount": 4}
            assert mine.invoke(invoke("transfer", move)) == Op("ok", "transfer", move)
            assert mine.invoke(invoke("read")).value == [[0, 1], [1, 5], [2, 9]]
            with pytest.raises(DidNotHappen, match="not enough in 0") as raised:
                mine.invoke(invoke("transfer", move))
            assert not raised.value.lost
            assert mine.invoke(invoke("read")).value == [[0, 1], [1, 5], [2, 9]]
        assert members.primary.transactions == {}, "nothing is left open"

    def test_of_two_transactions_that_write_one_document_one_fails(self, cluster: Cluster) -> None:
        with session(cluster, "append") as other:

            def meanwhile() -> None:
                other.invoke(invoke("txn", [["append", 1, 7]]))

            with session(cluster, "append", gap=meanwhile) as mine:
                with pytest.raises(DidNotHappen, match="WriteConflict") as raised:
                    mine.invoke(invoke("txn", [["r", 1, None], ["append", 1, 8]]))
                assert not raised.value.lost
            assert other.invoke(invoke("txn", [["r", 1, None]])).value == [["r", 1, [7]]]

    def test_without_transactions_what_was_done_in_part_is_unknown(self, members: ReplicaSet, cluster: Cluster) -> None:
        refusal = error(112, "WriteConflict")
        with session(cluster, "append", transactions="off") as mine:
            members.primary.on("update", refusal)
            with pytest.raises(DidNotHappen):
                mine.invoke(invoke("txn", [["append", 1, 1], ["append", 2, 1]]))
            members.primary.on("find", refusal)
            with pytest.raises(Unknown, match="1 of its writes are done"):
                mine.invoke(invoke("txn", [["append", 1, 1], ["r", 2, None]]))
        assert members.primary.data["lists"][1]["elements"] == [1]

    def test_reads_of_any_kind_are_known_to_write_nothing(self, cluster: Cluster) -> None:
        with session(cluster, "append") as lists, session(cluster, "register") as register:
            assert lists.is_read(invoke("txn", [["r", 1, None]]))
            assert not lists.is_read(invoke("txn", [["r", 1, None], ["append", 1, 1]]))
            assert register.is_read(invoke("read", [1, None])) and not register.is_read(invoke("write", [1, 1]))


class TestConcerns:
    @pytest.mark.parametrize(
        "chosen, sent",
        [("1", {"w": 1}), ("majority", {"w": "majority"}), ("journaled", {"w": "majority", "j": True})],
    )
    def test_the_write_concern_goes_with_single_writes_and_with_commits_only(
        self, members: ReplicaSet, cluster: Cluster, chosen: str, sent: dict[str, Any]
    ) -> None:
        with session(cluster, "register", write_concern=chosen) as mine:
            mine.invoke(invoke("write", [1, 1]))
        with session(cluster, "append", write_concern=chosen) as mine:
            mine.invoke(invoke("txn", [["append", 1, 1], ["append", 1, 2]]))
        alone, first, second = members.primary.asked("update")
        [commit] = members.primary.asked("commitTransaction")
        for asked in (alone, commit):
            told = {name: value for name, value in asked["writeConcern"].items() if name != "wtimeout"}
            assert told == sent
        if chosen != "1":
            assert alone["writeConcern"]["wtimeout"] == round(USUAL.server_s * 1000)
        assert "writeConcern" not in first and "writeConcern" not in second

    @pytest.mark.parametrize(
        "workload, options, level",
        [
            ("register", {}, "linearizable"),
            ("register", {"causal": "on"}, "majority"),
            ("register", {"read_preference": "nearest"}, "majority"),
            ("register", {"read_concern": "available"}, "available"),
            ("causal", {}, "majority"),
            ("set", {"read_concern": "local"}, "local"),
        ],
    )
    def test_the_read_concern_and_preference_of_single_reads(
        self, members: ReplicaSet, cluster: Cluster, workload: str, options: dict[str, str], level: str
    ) -> None:
        op = invoke("read") if workload == "set" else invoke("read", [1, None])
        with session(cluster, workload, **options) as mine:
            mine.invoke(op)
        [asked] = members.primary.asked("find")
        assert asked["readConcern"]["level"] == level
        assert asked["$readPreference"]["mode"] == options.get("read_preference", "primary")
        assert asked["maxTimeMS"] == round(USUAL.server_s * 1000)

    @pytest.mark.parametrize(
        "options, level",
        [({}, "snapshot"), ({"read_concern": "local"}, "local"), ({"read_concern": "majority"}, "majority")],
    )
    def test_the_read_concern_of_a_transaction_goes_with_its_first_statement(
        self, members: ReplicaSet, cluster: Cluster, options: dict[str, str], level: str
    ) -> None:
        with session(cluster, "append", **options) as mine:
            mine.invoke(invoke("txn", [["r", 1, None], ["r", 2, None]]))
        first, second = members.primary.asked("find")
        assert first["started"] and first["readConcern"]["level"] == level
        assert "started" not in second and "readConcern" not in second
        assert first["txnNumber"] == second["txnNumber"] and first["autocommit"] is False
        assert members.primary.count("commitTransaction") == 1, "a transaction that only reads is committed too"

    def test_a_causal_session_reads_after_what_it_wrote_on_another_member(
        self, members: ReplicaSet, cluster: Cluster
    ) -> None:
        with session(cluster, "causal", cluster.nodes[1], causal="on", read_preference="nearest") as mine:
            mine.invoke(invoke("write", [1, 1]))
            assert mine.invoke(invoke("read", [1, None])).value == [1, 1]
            written = members.times()["operationTime"]
            mine.invoke(invoke("write", [1, 2]))
        [read] = members.members[1].asked("find")
        assert read["readConcern"]["afterClusterTime"] == written
        assert read["$clusterTime"]["clusterTime"] == written
        first, second = members.primary.asked("update")
        assert "afterClusterTime" not in first.get("readConcern", {})
        assert first["lsid"] == second["lsid"], "one session for all writes of a client"

    def test_without_causal_no_read_waits(self, members: ReplicaSet, cluster: Cluster) -> None:
        with session(cluster, "causal") as mine:
            mine.invoke(invoke("write", [1, 1]))
            mine.invoke(invoke("read", [1, None]))
        assert "afterClusterTime" not in members.primary.asked("find")[0]["readConcern"]

    @pytest.mark.parametrize(
        "workload, options",
        [
            ("append", {"read_concern": "linearizable"}),
            ("append", {"read_preference": "secondary"}),
            ("register", {"causal": "on", "read_concern": "linearizable"}),
            ("register", {"read_preference": "nearest", "read_concern": "linearizable"}),
            ("causal", {"retryable_writes": "on", "causal": "on", "read_preference": "nearest"}),
        ],
    )
    def test_what_a_server_would_refuse_each_time_is_refused_before_the_run(
        self, workload: str, options: dict[str, str]
    ) -> None:
        with pytest.raises(UsageError):
            target_for(workload, **options)


class TestWhoLeads:
    def test_sessions_through_any_node_write_to_the_primary(self, members: ReplicaSet, cluster: Cluster) -> None:
        for node in cluster.nodes:
            with session(cluster, "register", node) as mine:
                mine.invoke(invoke("write", [1, 1]))
        assert [member.count("update") for member in members.members] == [3, 0, 0]

    @pytest.mark.parametrize(
        "preference, reader",
        [("primary", 0), ("primaryPreferred", 0), ("secondary", 1), ("secondaryPreferred", 1), ("nearest", 1)],
    )
    def test_reads_go_where_they_are_preferred(
        self, members: ReplicaSet, cluster: Cluster, preference: str, reader: int
    ) -> None:
        with session(cluster, "register", cluster.nodes[1], read_preference=preference) as mine:
            mine.invoke(invoke("write", [1, 1]))
            assert mine.invoke(invoke("read", [1, None])).value == [1, 1]
        assert [member.count("find") for member in members.members] == [int(n == reader) for n in range(3)]

    def test_through_the_primary_a_secondary_is_asked_when_one_is_wanted(
        self, members: ReplicaSet, cluster: Cluster
    ) -> None:
        with session(cluster, "register", cluster.nodes[0], read_preference="secondary") as mine:
            mine.invoke(invoke("read", [1, None]))
        assert members.members[0].count("find") == 0

    def test_a_deposed_primary_refuses_writes_and_reads_of_its_old_sessions(
        self, members: ReplicaSet, cluster: Cluster
    ) -> None:
        """Reads too: the driver would ask a directly connected server with primaryPreferred, and get an old value."""
        plain = {"read_concern": "majority"}
        with session(cluster, "register", **plain) as writer, session(cluster, "register", **plain) as reader:
            members.elect(members.members[2])
            for mine, op, name in (
                (writer, invoke("write", [1, 1]), "NotWritablePrimary"),
                (reader, invoke("read", [1, None]), "NotPrimaryNoSecondaryOk"),
            ):
                with pytest.raises(DidNotHappen, match=name) as raised:
                    mine.invoke(op)
                assert raised.value.lost
        assert [member.count("update") for member in members.members] == [1, 0, 0]
        with session(cluster, "register") as anew:
            anew.invoke(invoke("write", [1, 2]))
        assert members.members[2].count("update") == 1

    def test_two_primaries_serve_their_own_sides_each_in_its_own_term(
        self, members: ReplicaSet, cluster: Cluster
    ) -> None:
        members.elect(members.members[1], unheard_by=(members.members[0],))
        target = target_for("register", cluster)
        assert sorted(target.leaders(cluster), key=lambda leader: leader.node) == [Leader("n1", 1), Leader("n2", 2)]
        assert target.primaries(cluster) == ["n2", "n1"], "the newest first"
        weak = {"write_concern": "1", "read_concern": "local"}
        with (
            session(cluster, "register", cluster.nodes[0], **weak) as old,
            session(cluster, "register", cluster.nodes[2], **weak) as new,
        ):
            old.invoke(invoke("write", [1, 1]))
            new.invoke(invoke("write", [1, 2]))
            assert old.invoke(invoke("read", [1, None])).value == [1, 1]
            assert new.invoke(invoke("read", [1, None])).value == [1, 2]

    def test_a_node_that_knows_no_primary_opens_no_session_for_writes(
        self, members: ReplicaSet, cluster: Cluster
    ) -> None:
        members.members[1].knows = None
        with pytest.raises(DidNotHappen, match="knows no primary"), session(cluster, "register", cluster.nodes[1]):
            pass
        with session(cluster, "register", cluster.nodes[1], read_preference="nearest") as mine:
            assert mine.invoke(invoke("read", [1, None])).value == [1, None]
            with pytest.raises(DidNotHappen, match="NotWritablePrimary"):
                mine.invoke(invoke("write", [1, 1]))

    def test_a_primary_that_is_none_any_more_is_not_taken_at_its_followers_word(
        self, members: ReplicaSet, cluster: Cluster
    ) -> None:
        members.members[0].role = "SECONDARY"
        refused = pytest.raises(DidNotHappen, match="takes for the primary is none")
        with refused, session(cluster, "register", cluster.nodes[1]):
            pass

    def test_leaders_leave_out_who_does_not_answer(self, members: ReplicaSet, cluster: Cluster) -> None:
        members.members[2].stop()
        assert target_for("register", cluster).leaders(cluster) == [Leader("n1", 1)]
        members.members[0].stop()
        assert target_for("register", cluster).leaders(cluster) == []


class TestTheSet:
    def test_it_is_a_target_with_leaders_and_members(self) -> None:
        target = target_for("append")
        for protocol in (Target, HasPrimaries, HasLeaders, HasMembership):
            assert isinstance(target, protocol)

    def test_a_start_makes_the_set_and_waits_for_all_of_it(self) -> None:
        with ReplicaSet(initiated=False) as members:
            cluster = cluster_of(members)
            target = target_for("append", election_timeout_ms="1500", transaction_lifetime_s="7")
            target.start(cluster)
            assert target.primaries(cluster) == ["n1"]
            assert members.config["settings"] == {"electionTimeoutMillis": 1500}
            assert [member["host"] for member in members.config["members"]] == [m.host for m in members.members]
            assert target.version(cluster.nodes[0]) == "8.0.4"
            argv = cast(Any, cluster.nodes[0]).database.argv
            assert argv[:3] == ["mongod", "--replSet", "faultline"]
            assert "transactionLifetimeLimitSeconds=7" in argv
            for node in cluster.nodes:
                target.await_node(node, 20)
            replica_set.initiate(cluster.nodes[1].endpoint(0), {})  # made already: nothing happens
            target.stop(cluster)
            assert not any(member.running for member in members.members)

    def test_on_hosts_of_the_users_it_listens_where_the_others_reach_it_and_nowhere_else(self) -> None:
        with ReplicaSet(initiated=False) as members:
            cluster = cluster_of(members, "ssh")
            target_for("append").start(cluster)
            node = cast(Any, cluster.nodes[0])
            assert node.database.argv[0] == "/opt/mongod" and "--bind_ip_all" not in node.database.argv
            assert node.database.argv[node.database.argv.index("--bind_ip") + 1] == node.address

    def test_a_set_that_is_there_is_used_under_its_own_name_and_loses_only_our_database(self) -> None:
        with ReplicaSet() as members:
            members.config["_id"] = "theirs"
            cluster = cluster_of(members, "ssh")
            target = installed("register")
            target.start(cluster)
            assert target.set_name == "theirs" and target.endpoint_of(members.members[1].host)[1]
            assert not any(member.count("replSetInitiate") > (member.number == 0) for member in members.members)
            MongoDB.workloads["register"].setup(target, cluster)
            with session(cluster, "register") as mine:
                mine.invoke(invoke("write", [1, 1]))
            with pytest.raises(InfrastructureError, match="dropDatabase"):
                installed("register").start(cluster)
            target.stop(cluster)
            assert not any(any(member.data.values()) for member in members.members)

    def test_hosts_that_are_not_the_whole_set_are_refused(self) -> None:
        with ReplicaSet() as members:
            cluster = cluster_of(members, "ssh")
            cast(Any, cluster).nodes = cluster.nodes[:2]
            with pytest.raises(InfrastructureError, match=members.members[2].host):
                installed("register").start(cluster)
            with pytest.raises(UsageError, match="own settings"):
                installed("register", election_timeout_ms=1000)

    def test_a_start_that_is_left_without_a_primary_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("targets.mongodb.target.START_TIMEOUT_S", 3.0)
        with ReplicaSet(initiated=False) as members:
            cluster = cluster_of(members)
            members.members[0].on("replSetInitiate", lambda member, command: {"ok": 1.0})
            with pytest.raises(InfrastructureError, match="has no primary"):
                target_for("append").start(cluster)

    def test_a_member_leaves_and_joins_again_empty(self, members: ReplicaSet, cluster: Cluster) -> None:
        target = target_for("register", cluster)
        with session(cluster, "register") as mine:
            mine.invoke(invoke("write", [1, 1]))
        target.leave(cluster, cluster.nodes[2])
        assert len(members.config["members"]) == 2 and members.config["version"] == 2
        assert not members.members[2].running and members.members[2].data == {}
        with session(cluster, "register") as mine:
            mine.invoke(invoke("write", [1, 2]))
        target.join(cluster, cluster.nodes[2])
        assert members.members[2].host in members.hosts() and members.config["version"] == 3
        assert len({member["_id"] for member in members.config["members"]}) == 3
        with session(cluster, "register", cluster.nodes[2], read_preference="nearest") as mine:
            assert mine.invoke(invoke("read", [1, None])).value == [1, 2]
        target.join(cluster, cluster.nodes[2])
        assert members.config["version"] == 3, "a member is not added twice"

    def test_the_primary_is_deposed_before_it_leaves(self, members: ReplicaSet, cluster: Cluster) -> None:
        target = target_for("register", cluster)
        target.leave(cluster, cluster.nodes[0])
        assert members.members[0].host not in members.hosts()
        assert target.primaries(cluster) in (["n2"], ["n3"])
        target.join(cluster, cluster.nodes[0])
        assert members.members[0].role == "SECONDARY"

    def test_a_configuration_that_is_refused_is_tried_again(self, members: ReplicaSet, cluster: Cluster) -> None:
        members.primary.on("replSetReconfig", *[error(308, "CurrentConfigNotCommittedYet")] * 2)
        target_for("register", cluster).leave(cluster, cluster.nodes[1])
        assert members.primary.count("replSetReconfig") == 3
        assert len(members.config["members"]) == 2

    def test_configurations_change_by_one_member(self) -> None:
        config = {**replica_set.first_config(["a:1", "b:1"], 500), "version": 4}
        less, more = replica_set.without(config, "b:1"), replica_set.with_member(config, "c:1")
        assert less is not None and more is not None
        assert [member["host"] for member in less["members"]] == ["a:1"] and less["version"] == 5
        assert more["members"][-1] == {"_id": 2, "host": "c:1"} and more["version"] == 5
        assert replica_set.without(config, "c:1") is None and replica_set.with_member(config, "a:1") is None
        assert len(config["members"]) == 2, "the old one stays as it was"


def setting(cluster: Cluster) -> Setting:
    return Setting(cluster, target_for("register", cluster), StallGate(), {})


class TestFaults:
    def test_stepdown_gives_the_lead_to_another(self, members: ReplicaSet, cluster: Cluster) -> None:
        fault, mine = StepDown(), setting(cluster)
        assert fault.prove(mine) is None
        term = members.term
        led = members.primary
        seen = fault.inject(mine, Fault(id=1, kind="stepdown", lane="stepdown", nodes=["n1", "n2", "n3"]))
        assert seen == {"deposed": f"n{led.number + 1}", "took_effect": True}
        assert members.primary is not led and members.term == term + 1

    def test_stepdown_where_nobody_leads_can_not_be_done(self, members: ReplicaSet, cluster: Cluster) -> None:
        members.members[0].role = "SECONDARY"
        with pytest.raises(InfrastructureError, match="no node leads"):
            StepDown().inject(setting(cluster), Fault(id=1, kind="stepdown", lane="stepdown"))

    def test_frozen_secondaries_do_not_stand_until_the_heal(self, members: ReplicaSet, cluster: Cluster) -> None:
        fault, mine = Freeze(), setting(cluster)
        assert fault.prove(mine) is None
        everyone = Fault(id=1, kind="freeze", lane="freeze", nodes=["n1", "n2", "n3"])
        seen = fault.inject(mine, everyone)
        assert seen == {"answers": {"n1": "primary", "n2": "frozen", "n3": "frozen"}, "took_effect": True}
        members.members[0].do({"replSetStepDown": 1})
        assert target_for("register", cluster).primaries(cluster) == []
        assert set(fault.heal(mine, everyone)["answers"].values()) == {"freed"}
        assert not any(member.frozen for member in members.members)

    def test_what_does_not_answer_is_not_frozen(self, members: ReplicaSet, cluster: Cluster) -> None:
        members.members[1].stop()
        seen = Freeze().inject(setting(cluster), Fault(id=1, kind="freeze", lane="freeze", nodes=["n2"]))
        assert not seen["took_effect"]

    def test_one_node_has_neither(self) -> None:
        with ReplicaSet(1) as alone:
            mine = setting(cluster_of(alone))
            assert "one node only" in (StepDown().prove(mine) or "")
            assert "one node only" in (Freeze().prove(mine) or "")


class TestClaims:
    @pytest.mark.parametrize(
        "workload, options, model",
        [
            ("append", {}, "snapshot-isolation"),
            ("bank", {"write_concern": "journaled"}, "snapshot-isolation"),
            ("append", {"read_concern": "majority"}, "read-committed"),
            ("append", {"read_concern": "local"}, None),
            ("append", {"write_concern": "1"}, None),
            ("append", {"transactions": "off"}, None),
            ("register", {}, "linearizable"),
            ("counter", {}, "linearizable"),
            ("register", {"read_concern": "majority"}, None),
            ("register", {"write_concern": "1"}, None),
            ("register", {"read_preference": "secondary"}, None),
            ("set", {}, None),
            ("causal", {"causal": "on"}, "causal"),
            ("causal", {}, None),
            ("causal", {"causal": "on", "read_concern": "local"}, None),
            ("causal", {"causal": "on", "write_concern": "1"}, None),
        ],
    )
    def test_what_is_promised(self, workload: str, options: dict[str, str], model: str | None) -> None:
        claim = MongoDB.claim(workload, target_for(workload, **options).chosen)
        assert claim.model == model
        assert claim.words and claim.link.startswith("https://www.mongodb.com/docs/manual/")

    def test_known_issues_are_of_options_and_workloads_that_there_are(self) -> None:
        for issue in MongoDB.known_issues:
            assert set(issue.workloads) <= set(MongoDB.workloads)
            for name, value in issue.options.items():
                assert value in MongoDB.options[name].choices
        [retry] = [issue for issue in MongoDB.known_issues if "48307" in issue.name]
        assert retry.covers("4.2.6") and not retry.covers("4.2.8") and not retry.covers("8.0.4")


def test_a_write_that_broke_is_seen_if_it_was_done(members: ReplicaSet, cluster: Cluster) -> None:
    """Unknown means unknown: this one happened."""
    with session(cluster, "set") as mine:
        members.primary.on("insert", drop_after)
        with pytest.raises(Unknown):
            mine.invoke(invoke("add", 1))
    with session(cluster, "set") as anew:
        assert anew.invoke(invoke("read")).value == [1]


def test_no_session_is_opened_while_the_set_is_not_initiated() -> None:
    with ReplicaSet(initiated=False) as members:
        for member in members.members:
            member.start()
        with pytest.raises(DidNotHappen), session(cluster_of(members), "register", timeouts=REFUSED):
            pass
