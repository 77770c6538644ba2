"""Goal: nobody is talked to who is not the known host, and whatever fails says the way out.

Method: real connections to an ssh server in this process.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import paramiko
import pytest
from ssh_server import Server, ssh_server

from harness.errors import InfrastructureError
from harness.nodes.ssh_connect import Connection
from harness.nodes.ssh_hosts import Login
from harness.nodes.ssh_node import look
from harness.nodes.ssh_tunnel import Tunnel

KEY = paramiko.ECDSAKey.generate()


@pytest.fixture
def server() -> Iterator[Server]:
    with ssh_server("me", KEY) as made:
        yield made


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def entry(server: Server, known: Path, tmp_path: Path) -> Login:
    """That works."""
    KEY.write_private_key_file(str(tmp_path / "key"))
    known.write_text(server.known_as())
    return Login(
        name="here",
        host="127.0.0.1",
        port=server.port,
        user="me",
        known_as=f"[127.0.0.1]:{server.port}",
        keys=(str(tmp_path / "key"),),
        only_keys=True,
        known_hosts=(str(known),),
    )


@pytest.fixture
def connect() -> Iterator[Callable[[Login], Connection]]:
    made: list[Connection] = []

    def make(login: Login) -> Connection:
        made.append(Connection(login))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def test_runs_a_command_on_a_known_host(entry: Login, connect: Callable[[Login], Connection]):
    connection = connect(entry)
    assert connection.run("cat; echo said >&2; exit 3", stdin="to and fro") == (3, "to and fro", "said\n")
    assert connection.alive


def test_a_host_is_known_by_its_alias(entry: Login, server: Server, known: Path, connect: Callable):
    known.write_text(server.known_as().replace(f"[127.0.0.1]:{server.port}", "first"))
    connect(msgspec.structs.replace(entry, known_as="first"))


def test_an_unknown_key_is_refused(entry: Login, server: Server, known: Path, connect: Callable):
    for text in ("", server.known_as("127.0.0.2")):
        known.write_text(text)
        with pytest.raises(InfrastructureError, match=r"its key is not known: .*ssh -p \d+ me@127.*known-hosts=FILE"):
            connect(entry)
        assert known.read_text() == text, "nothing is ever added"
    assert server.door.logins == 0


def test_no_file_of_known_hosts_is_no_known_host(entry: Login, known: Path, connect: Callable):
    known.unlink()
    with pytest.raises(InfrastructureError, match="its key is not known"):
        connect(entry)
    assert not known.exists()


def test_a_changed_key_is_refused(entry: Login, server: Server, known: Path, connect: Callable):
    other = paramiko.ECDSAKey.generate()
    known.write_text(server.known_as().replace(server.host_key.get_base64(), other.get_base64()))
    with pytest.raises(InfrastructureError, match=r"ITS KEY HAS CHANGED.*SHA256:.*ssh-keygen -R"):
        connect(entry)
    assert server.door.logins == 0


def test_who_is_not_let_in_is_told_what_was_tried(entry: Login, tmp_path: Path, connect: Callable):
    with pytest.raises(InfrastructureError, match=r"does not let user 'you' in; tried: .*key.*ssh-copy-id"):
        connect(msgspec.structs.replace(entry, user="you"))
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "other"))
    with pytest.raises(InfrastructureError, match=r"does not let user 'me' in; tried: .*other"):
        connect(msgspec.structs.replace(entry, keys=(str(tmp_path / "other"),)))
    KEY.write_private_key_file(str(tmp_path / "locked"), password="secret")
    with pytest.raises(InfrastructureError, match=r"passphrase.*ssh-add"):
        connect(msgspec.structs.replace(entry, keys=(str(tmp_path / "locked"),)))


def test_nobody_there(entry: Login, connect: Callable):
    with pytest.raises(InfrastructureError, match=r"no ssh server answers at 127.0.0.1 port .*HOSTS=host:port"):
        connect(msgspec.structs.replace(entry, port=closed_port()))
    with pytest.raises(InfrastructureError, match=r"'no-such-host\.invalid' is not known here"):
        connect(msgspec.structs.replace(entry, host="no-such-host.invalid"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_key_of_every_host_on_the_way_is_checked(entry: Login, server: Server, known: Path, connect: Callable):
    with ssh_server("me", KEY) as bastion:
        bastion.leads_to = server.port
        jump = msgspec.structs.replace(entry, name="bastion", port=bastion.port, known_as=f"[127.0.0.1]:{bastion.port}")
        through = msgspec.structs.replace(entry, jumps=(jump,))
        with pytest.raises(InfrastructureError, match="host bastion on the way to here: its key is not known"):
            connect(through)
        known.write_text(bastion.known_as())
        with pytest.raises(InfrastructureError, match="host here: its key is not known"):
            connect(through)
        known.write_text(bastion.known_as() + server.known_as())
        assert connect(through).run("echo there")[1] == "there\n"
        assert bastion.door.forwards == 2


def test_a_look_tells_what_the_host_is(entry: Login, connect: Callable):
    facts = look(connect(entry))
    assert facts.uid == os.geteuid() and facts.python.startswith("3.") and os.uname().sysname in facts.system
    assert facts.address == ""  # this server sets no SSH_CONNECTION


def test_a_tunnel_to_a_port_that_nobody_listens_on_resets(entry: Login, server: Server, connect: Callable):
    server.leads_to = None
    tunnel = Tunnel(lambda: connect(msgspec.structs.replace(entry, user="you")), "127.0.0.1", 1)
    with socket.create_connection(("127.0.0.1", tunnel.port), timeout=60) as client, pytest.raises(OSError):
        if client.recv(1) == b"":
            raise AssertionError("an orderly end instead of a reset")
    tunnel.close()
