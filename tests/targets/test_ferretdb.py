"""Goal: FerretDB is driven by MongoDB's sessions as they are, each request is sent once, and what it can't do is known.

Method: the real server in a pod; what a session sent is counted by a relay; the server is paused and killed in mid-op.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pymongo.errors
import pytest

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, CommandFailed, Completed, Database
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.registry import find_workload
from harness.target import DidNotHappen, SessionContext, Target, Timeouts, Unknown
from targets.ferretdb.target import LOST_UPDATES, FerretDB
from targets.mongodb import on_host
from targets.mongodb.links import DATABASE, PORT
from targets.mongodb.replica_set import asked
from tests.e2e.runs import need_docker
from tests.targets.relay import Relay, Through

docker = pytest.mark.docker
pytestmark = pytest.mark.timeout(240)
USUAL = Timeouts(op_s=30.0, connect_s=20.0)
REFUSED = Timeouts(op_s=2.5, connect_s=1.0)


def target(workload: str = "register", **given: str) -> FerretDB:
    options = with_defaults({**FerretDB.options, **find_workload(workload).options}, given)
    return FerretDB(image=FerretDB.default_image, options=options, timeouts=USUAL, workload=workload)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    need_docker(FerretDB.default_image)
    with DockerCluster(run_id="test-ferretdb", nodes=1, image=FerretDB.default_image) as made:
        target().start(made)
        for workload in ("register", "set", "counter", "append"):
            FerretDB.workloads[workload].setup(target(workload), made)
        yield made


def session(node: Any, workload: str = "register", *, timeouts: Timeouts = USUAL, **given: str) -> Any:
    made = target(workload, **given)
    context = SessionContext(0, timeouts, lambda: None, made.chosen)
    return FerretDB.workloads[workload].open(made, node, context)


@docker
def test_it_is_a_target_that_tells_its_own_version(cluster: Cluster) -> None:
    assert isinstance(target(), Target)
    assert target().version(cluster.nodes[0]) == "v1.24.0"
    assert LOST_UPDATES.covers("v1.24.0") and not LOST_UPDATES.covers("v2.0.0")


@docker
@pytest.mark.parametrize("cas, key", [("update", 1), ("find-and-modify", 2)])
def test_a_register(cluster: Cluster, cas: str, key: int) -> None:
    mine = session(cluster.nodes[0], cas_command=cas)
    assert mine.invoke(invoke("read", [key, None])) == Op("ok", "read", [key, None])
    for old in (None, 5):
        new = 5 if old is None else 6
        assert mine.invoke(invoke("cas", [key, [old, new]])).type == "ok"
        with pytest.raises(DidNotHappen, match="compare failed"):
            mine.invoke(invoke("cas", [key, [old, new]]))
    assert mine.invoke(invoke("write", [key, 7])) == Op("ok", "write", [key, 7])
    assert mine.invoke(invoke("read", [key, None])).value == [key, 7]
    mine.close()


@docker
def test_a_set_a_counter_and_lists(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    elements, counter, lists = session(node, "set"), session(node, "counter"), session(node, "append")
    for element in (2, 1):
        elements.invoke(invoke("add", element))
    with pytest.raises(DidNotHappen, match="DuplicateKey"):
        elements.invoke(invoke("add", 1))
    assert elements.invoke(invoke("read")).value == [1, 2]
    counter.invoke(invoke("add", 5))
    counter.invoke(invoke("add", -2))
    assert counter.invoke(invoke("read")).value == 3
    for value in (1, 2):
        lists.invoke(invoke("txn", [["append", 1, value]]))
    assert lists.invoke(invoke("txn", [["r", 1, None], ["r", 9, None]])).value == [["r", 1, [1, 2]], ["r", 9, []]]
    for each in (elements, counter, lists):
        each.close()


@docker
def test_transactions_are_refused_so_none_are_offered(cluster: Cluster) -> None:
    with asked(cluster.nodes[0].endpoint(PORT), USUAL) as driver:
        transaction = driver.session(causal=False)
        transaction.start_transaction()
        with pytest.raises(pymongo.errors.OperationFailure):
            driver.client[DATABASE].registers.insert_one({"_id": "never"}, session=transaction)
    assert "bank" not in FerretDB.workloads and "transactions" not in FerretDB.options


@docker
def test_a_request_is_sent_once_when_the_server_dies_in_mid_op(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    with Relay(*node.endpoint(PORT)) as relay:
        mine = session(Through(node, relay), timeouts=Timeouts(op_s=30.0, connect_s=5.0))
        mine.invoke(invoke("write", [30, 1]))
        connections = relay.connections
        node.agent.request("pause")
        raised: list[BaseException] = []

        def write() -> None:
            try:
                mine.invoke(invoke("write", [30, 2]))
            except BaseException as error:
                raised.append(error)

        sent = relay.sent.count(b"updates\0")
        writer = threading.Thread(target=write)
        writer.start()
        until = time.monotonic() + 20
        while relay.sent.count(b"updates\0") == sent and time.monotonic() < until:
            time.sleep(0.01)
        node.agent.request("kill")
        writer.join(40)
        assert isinstance(raised[0], Unknown) and raised[0].lost
        with pytest.raises(DidNotHappen) as refused:
            mine.invoke(invoke("write", [30, 3]))
        assert refused.value.lost
        assert relay.sent.count(b"updates\0") == sent + 1 == 2
        assert relay.connections <= connections + 1, "at most the watching thread looked again"
        mine.close()
    with pytest.raises(DidNotHappen):
        session(node, timeouts=REFUSED)
    node.start_db()
    target().await_node(node, 60)
    anew = session(node)
    assert anew.invoke(invoke("read", [30, None])).value == [30, 1], "a stopped server never took the second write"
    anew.close()


@docker
def test_a_session_to_a_server_that_is_stopped_is_not_opened(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    node.agent.request("pause")
    try:
        with pytest.raises(DidNotHappen):
            session(node, timeouts=REFUSED)
    finally:
        node.agent.request("resume")


@docker
def test_one_that_is_there_loses_only_our_database(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with asked(cluster.nodes[0].endpoint(PORT), USUAL) as driver:
        with pytest.raises(InfrastructureError, match=r"database 'faultline'.*dropDatabase"):
            on_host.refuse_database(driver)
        monkeypatch.setattr(on_host, "DATABASE", "spare")
        on_host.refuse_database(driver)
        for name in ("spare", "theirs"):
            driver.client[name].things.insert_one({"_id": 1})
        on_host.drop_database(driver)
        names = driver.client.list_database_names()
    assert {"theirs", DATABASE} <= set(names) and "spare" not in names


class Host:
    """A host of the user's, with a program or without."""

    name, address, home = "n1", "10.0.0.1", "/var/lib/faultline/r/home"

    def __init__(self, program: str) -> None:
        self.program = program
        self.database = Database(argv=[])

    def run(self, *argv: str, **how: Any) -> Completed:
        if not self.program:
            raise CommandFailed(self.name, argv, 1, "")
        return Completed(list(argv), self.program + "\n", "")

    def db_run(self, *argv: str, **how: Any) -> Completed:
        return Completed(list(argv), "", "")

    def port(self, port: int) -> int:
        return port

    def install(self, database: Database) -> None:
        self.database = database


def test_on_a_host_it_keeps_to_the_home_and_the_address() -> None:
    host: Any = Host("/usr/bin/ferretdb")
    target()._install(host, own_host=True)
    argv = host.database.argv
    assert argv[0] == "/usr/bin/ferretdb" and "--listen-addr=10.0.0.1:27017" in argv and "--debug-addr=-" in argv
    assert f"--sqlite-url=file:{host.home}/ferretdb/" in argv and f"--state-dir={host.home}/ferretdb" in argv
    missing: Any = Host("")
    with pytest.raises(InfrastructureError, match=r"no program 'ferretdb'.*installed=yes"):
        target()._install(missing, own_host=True)


def test_nothing_is_claimed_in_so_many_words() -> None:
    for workload in FerretDB.workloads:
        assert FerretDB.claim(workload, {}).model is None
