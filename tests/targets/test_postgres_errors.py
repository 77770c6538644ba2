"""Goal: `fail` only for what certainly had no effect. Method: make a real server produce every error of the table."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.op import Op, invoke
from harness.target import DidNotHappen, Timeouts, Unknown
from targets.postgres.connection import CannotConnect, Connection, ServerError
from targets.postgres.embedded import install_tree
from targets.postgres.errors import ERRORS
from tests.targets.postgres_server import Server, eventually, open_session, running

TXN = invoke("txn", [["append", 1, 1], ["r", 1, None]])
SEEN: set[str] = set()
"""SQLSTATEs that a server has really answered with in this file."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(max_connections="20", max_locks_per_transaction="10", log_min_messages="fatal") as server:
        yield server


@pytest.fixture
def sessions(server: Server) -> Iterator[Callable[..., Any]]:
    """Opens sessions of the append workload, at SERIALIZABLE unless told otherwise."""
    opened: list[Any] = []

    def open_one(*, gap: Callable[[], None] = lambda: None, op_s: float = 5.0, **options: Any) -> Any:
        target = server.target(**options)
        opened.append(
            open_session(target, "append", server.node, process=len(opened), gap=gap, timeouts=Timeouts(op_s=op_s))
        )
        return opened[-1]

    server.set_up("append")
    yield open_one
    for session in opened:
        session.close()


def run(session: Any, *statements: str) -> None:
    session.transaction(lambda: [session.connection.execute(statement) for statement in statements])


def fails(code: str, action: Callable[[], Any], *, lost: bool = False) -> None:
    with pytest.raises(DidNotHappen, match=code) as raised:
        action()
    assert raised.value.lost is lost
    SEEN.add(code)


def rows(session: Any, sql: str) -> Any:
    return session.transaction(lambda: session.connection.execute(sql).rows)


def in_thread(action: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run it beside; the list receives what it raised or returned."""
    outcome: list[Any] = []

    def body() -> None:
        try:
            outcome.append(action())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, outcome


def waiting(session: Any, pid: int) -> bool:
    sql = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
    return bool(rows(session, sql))


def test_every_code_of_the_table_exists() -> None:
    lines = (install_tree("18") / "share/postgresql/errcodes.txt").read_text().splitlines()
    known = {line.split()[0] for line in lines if line and line[0].isdigit()}
    assert set(ERRORS) <= known


def test_serialization_failure_of_a_statement(sessions: Callable[..., Any]) -> None:
    first, second = sessions(isolation="repeatable-read"), sessions(isolation="repeatable-read")
    first.invoke(invoke("txn", [["append", 1, 1]]))

    def body() -> None:
        second.connection.execute("SELECT 1 FROM txn1")
        first.invoke(invoke("txn", [["append", 1, 2]]))
        second.connection.execute("UPDATE txn1 SET val = 'x'")

    fails("40001", lambda: second.transaction(body))
    assert second.invoke(invoke("txn", [["r", 1, None]])).value == [["r", 1, [1, 2]]], "the session can go on"


def test_serialization_failure_of_a_commit(sessions: Callable[..., Any]) -> None:
    first, second = sessions(), sessions()

    def body() -> None:
        second.connection.execute("SELECT val FROM txn1 WHERE id = 1")
        first.invoke(invoke("txn", [["r", 4, None], ["append", 1, 1]]))
        second.connection.execute("INSERT INTO txn1 VALUES (4, 4, '1')")

    fails("40001", lambda: second.transaction(body))
    assert rows(first, "SELECT id FROM txn1") == [["1"]]


def test_deadlock(sessions: Callable[..., Any]) -> None:
    first, second = sessions(), sessions()
    run(first, "INSERT INTO txn0 VALUES (1, 1, ''), (2, 2, '')")
    both = threading.Barrier(2)

    def cross(session: Any, one: int, other: int) -> None:
        session.connection.execute(f"SELECT 1 FROM txn0 WHERE id = {one} FOR UPDATE")
        both.wait(5)
        session.connection.execute(f"SELECT 1 FROM txn0 WHERE id = {other} FOR UPDATE")

    thread, outcome = in_thread(lambda: first.transaction(lambda: cross(first, 1, 2)))
    _, other = in_thread(lambda: second.transaction(lambda: cross(second, 2, 1)))
    thread.join(5)
    assert eventually(lambda: len(outcome + other) == 2, 5)
    losers = [end for end in outcome + other if isinstance(end, DidNotHappen)]
    assert len(losers) == 1 and "40P01" in str(losers[0]) and not losers[0].lost
    SEEN.add("40P01")


def test_lock_timeout(sessions: Callable[..., Any]) -> None:
    holder, waiter = sessions(), sessions(op_s=0.5)
    waiter.connection.execute("SET statement_timeout = 0")
    run(holder, "INSERT INTO txn0 VALUES (1, 1, '')")
    lock = "SELECT 1 FROM txn0 FOR UPDATE"
    holder.transaction(lambda: (holder.connection.execute(lock), fails("55P03", lambda: run(waiter, lock))))


def test_statement_timeout(sessions: Callable[..., Any]) -> None:
    session = sessions(op_s=0.5)
    fails("57014", lambda: run(session, "SELECT pg_sleep(5)"))


def test_unique_violation_at_commit(sessions: Callable[..., Any]) -> None:
    session = sessions()
    run(session, "DROP TABLE IF EXISTS late", "CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    fails("23505", lambda: run(session, "INSERT INTO late VALUES (1), (1)"))
    assert rows(session, "SELECT * FROM late") == []


def test_out_of_shared_memory(sessions: Callable[..., Any]) -> None:
    session = sessions()
    fails("53200", lambda: run(session, "SELECT pg_advisory_xact_lock(i) FROM generate_series(1, 100000) i"))


def test_read_only(sessions: Callable[..., Any]) -> None:
    session = sessions()
    fails("25006", lambda: run(session, "SET TRANSACTION READ ONLY", "INSERT INTO txn0 VALUES (1, 1, '')"), lost=True)


def test_statement_in_an_aborted_transaction_and_its_commit(sessions: Callable[..., Any]) -> None:
    session = sessions()

    def careless(*after: str) -> None:
        with pytest.raises(ServerError):
            session.connection.execute("SELECT 1 / 0")
        for statement in after:
            session.connection.execute(statement)

    fails("25P02", lambda: session.transaction(lambda: careless("SELECT 1")))
    with pytest.raises(DidNotHappen, match="COMMIT answered ROLLBACK"):
        session.transaction(careless)


def test_an_unknown_code_is_left_unmapped(sessions: Callable[..., Any]) -> None:
    session = sessions()
    with pytest.raises(ServerError, match="42601"):
        run(session, "SELEC 1")


def test_idle_timeouts(sessions: Callable[..., Any]) -> None:
    session = sessions(gap=lambda: time.sleep(0.3))
    session.connection.execute("SET idle_in_transaction_session_timeout = 100")
    with pytest.raises(DidNotHappen, match=r"25P03|connection lost before COMMIT") as raised:
        session.invoke(TXN)
    assert raised.value.lost
    idle = sessions()
    idle.connection.execute("SET idle_session_timeout = 50")
    time.sleep(0.3)
    with pytest.raises(DidNotHappen, match=r"57P05|connection lost before COMMIT") as raised:
        idle.invoke(TXN)
    assert raised.value.lost


def test_terminated_in_a_statement(sessions: Callable[..., Any]) -> None:
    session, other = sessions(), sessions()
    thread, outcome = in_thread(lambda: run(session, "SELECT pg_sleep(3)"))
    time.sleep(0.2)
    run(other, f"SELECT pg_terminate_backend({session.connection.backend_pid})")
    thread.join(3)
    assert isinstance(outcome[0], DidNotHappen) and outcome[0].lost
    assert "57P01" in str(outcome[0]) or "connection lost before COMMIT" in str(outcome[0])


def test_too_many_connections(server: Server, sessions: Callable[..., Any]) -> None:
    with pytest.raises(CannotConnect, match="too many clients"):
        for _ in range(30):
            sessions()


def test_refused_and_silent_servers() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with pytest.raises(CannotConnect, match="refused"):
            Connection("127.0.0.1", port)
        listener.listen(1)
        begun = time.monotonic()
        with pytest.raises(CannotConnect, match=r"no handshake within 0\.3 s"):
            Connection("127.0.0.1", port, connect_timeout_s=0.3)
        assert time.monotonic() - begun < 1.0


def test_the_environment_leads_no_session_elsewhere(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGOPTIONS": "-c default_transaction_read_only=on",
        "PGCLIENTENCODING": "LATIN1",
        "PGTARGETSESSIONATTRS": "standby",
        "PGSSLMODE": "require",
        "PGUSER": "somebody",
        "PGDATABASE": "another",
    }.items():
        monkeypatch.setenv(name, value)
    connection = Connection("127.0.0.1", server.port)
    shown = "SELECT inet_server_port(), current_setting('transaction_read_only'), current_setting('client_encoding')"
    assert connection.execute(shown).rows == [[str(server.port), "off", "UTF8"]]
    connection.close()


class TestCommitThatWaits:
    """COMMIT waits for a standby that does not exist."""

    @pytest.fixture
    def waiter(self, server: Server, sessions: Callable[..., Any]) -> Iterator[tuple[Any, Any, list[Any]]]:
        boss, session = sessions(), sessions()
        boss.connection.execute("SET synchronous_commit = off")
        boss.connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        boss.connection.execute("SELECT pg_reload_conf()")
        assert eventually(lambda: boss.connection.execute("SHOW synchronous_standby_names").rows == [["nobody"]], 5)
        time.sleep(0.3)
        thread, outcome = in_thread(lambda: session.invoke(invoke("txn", [["append", 7, 1]])))
        sql = f"SELECT wait_event FROM pg_stat_activity WHERE pid = {session.connection.backend_pid}"
        assert eventually(lambda: boss.connection.execute(sql).rows == [["SyncRep"]], 5)
        yield boss, session, outcome
        thread.join(5)
        boss.connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        boss.connection.execute("SELECT pg_reload_conf()")

    def test_canceled(self, waiter: tuple[Any, Any, list[Any]]) -> None:
        boss, session, outcome = waiter
        boss.connection.execute(f"SELECT pg_cancel_backend({session.connection.backend_pid})")
        assert eventually(lambda: bool(outcome), 5)
        assert isinstance(outcome[0], Unknown) and "warning" in str(outcome[0])
        assert boss.connection.execute("SELECT val FROM txn1 WHERE id = 7").rows == [["1"]], "it did happen here"

    def test_terminated(self, waiter: tuple[Any, Any, list[Any]]) -> None:
        boss, session, outcome = waiter
        boss.connection.execute(f"SELECT pg_terminate_backend({session.connection.backend_pid})")
        assert eventually(lambda: bool(outcome), 5)
        assert isinstance(outcome[0], Unknown) and outcome[0].lost

    def test_shut_at_the_deadline(self, waiter: tuple[Any, Any, list[Any]]) -> None:
        _, session, outcome = waiter
        session.close()
        assert eventually(lambda: bool(outcome), 2)
        assert isinstance(outcome[0], Unknown) and outcome[0].lost


class TestClose:
    def test_a_session_that_waits_for_a_lock_is_freed_at_once_and_so_is_its_backend(
        self, sessions: Callable[..., Any]
    ) -> None:
        holder, waiter, boss = sessions(), sessions(op_s=60), sessions()
        run(holder, "INSERT INTO txn0 VALUES (1, 1, '')")
        lock = "SELECT 1 FROM txn0 FOR UPDATE"
        pid = waiter.connection.backend_pid

        def while_locked() -> None:
            holder.connection.execute(lock)
            thread, outcome = in_thread(lambda: run(waiter, lock))
            assert eventually(lambda: waiting(boss, pid), 5)
            begun = time.monotonic()
            waiter.close()
            thread.join(2)
            assert time.monotonic() - begun < 0.5
            assert isinstance(outcome[0], DidNotHappen) and outcome[0].lost
            gone = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"
            assert eventually(lambda: not boss.connection.execute(gone).rows, 2)

        holder.transaction(while_locked)

    def test_an_idle_session_and_one_closed_twice(self, sessions: Callable[..., Any]) -> None:
        session = sessions()
        session.close()
        session.close()
        with pytest.raises(DidNotHappen) as raised:
            session.invoke(TXN)
        assert raised.value.lost


def test_a_backend_that_crashes_takes_all_sessions_with_it_and_they_fail_before_commit(
    server: Server, sessions: Callable[..., Any]
) -> None:
    victim, bystander = sessions(), sessions()
    thread, outcome = in_thread(lambda: run(bystander, "SELECT pg_sleep(3)"))
    time.sleep(0.2)
    os.kill(victim.connection.backend_pid, signal.SIGKILL)
    thread.join(3)
    assert isinstance(outcome[0], DidNotHappen) and outcome[0].lost
    assert "57P02" in str(outcome[0]) or "connection lost before COMMIT" in str(outcome[0])
    refusals: set[str] = set()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            Connection("127.0.0.1", server.port).close()
            if refusals:
                break
        except CannotConnect as refusal:
            refusals.add(str(refusal))
    why = "recovery mode|starting up|not yet accepting"
    known = f"{why}|closed the connection unexpectedly"  # who connects while the sessions are being ended
    assert all(re.search(known, refusal) for refusal in refusals), refusals
    assert any(re.search(why, refusal) for refusal in refusals), "a server that recovers takes no connection, says why"


class Proxy:
    """Stands between session and server, counts statements, and can go dead when it has passed one on."""

    def __init__(self, port: int, dead_after: bytes) -> None:
        self.dead_after, self.sent = dead_after, bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.upstream_port = port
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.upstream_port))
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65536):
            self.sent += data
            if self.dead_after in data:
                client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)
                break
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            client.close()


@pytest.mark.parametrize(
    "dead_after, outcome, happened", [(b"INSERT", DidNotHappen, False), (b"COMMIT", Unknown, True)]
)
def test_a_connection_that_breaks_is_neither_mended_nor_tried_again(
    server: Server, sessions: Callable[..., Any], dead_after: bytes, outcome: type[Exception], happened: bool
) -> None:
    proxy = Proxy(server.port, dead_after)
    boss = sessions()
    through = open_session(server.target(), "append", _node(proxy.port), process=9)
    with pytest.raises(outcome) as raised:
        through.invoke(invoke("txn", [["append", 1, 1]]))
    assert isinstance(raised.value, DidNotHappen | Unknown) and raised.value.lost
    time.sleep(0.3)
    assert proxy.connections == 1
    assert proxy.sent.count(b"BEGIN") == 1 and proxy.sent.count(b"COMMIT") == (1 if happened else 0)
    assert bool(rows(boss, "SELECT 1 FROM txn1 WHERE id = 1")) is happened
    proxy.listener.close()


def _node(port: int) -> Any:
    from tests.targets.postgres_server import ServerNode

    return ServerNode(port)


def test_the_server_killed_in_mid_op(server: Server) -> None:
    """The node dies while a transaction is open; the session fails it and sends nothing more."""
    with running() as own:
        own.set_up("append")
        proxy = Proxy(own.port, b"never")

        def kill_all() -> None:
            os.kill(own.process.pid, signal.SIGQUIT)
            own.process.wait(10)

        session = open_session(own.target(), "append", _node(proxy.port), gap=kill_all)
        with pytest.raises(DidNotHappen) as raised:
            session.invoke(invoke("txn", [["append", 1, 1], ["append", 2, 1]]))
        assert raised.value.lost
        assert proxy.connections == 1 and proxy.sent.count(b"BEGIN") == 1 and b"COMMIT" not in proxy.sent
        own.start()
        own.target().await_node(own.node, 20)
        boss = open_session(own.target(), "append", own.node)
        assert rows(boss, "SELECT 1 FROM txn1") == []
        boss.close()
        proxy.listener.close()


def test_reads_are_told_from_writes(sessions: Callable[..., Any]) -> None:
    session = sessions()
    assert session.is_read(invoke("txn", [["r", 1, None]])) and not session.is_read(TXN)
    assert isinstance(session.invoke(TXN), Op)


def test_the_codes_that_name_no_fatal_end_were_all_seen() -> None:
    """Runs last. The others end the connection, and libpq may tell the end without its code."""
    fatal = {"25P03", "53300", "57P01", "57P02", "57P03", "57P05"}
    assert set(ERRORS) - fatal <= SEEN
