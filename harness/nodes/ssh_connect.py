"""A connection to a host of the user's, with its key checked, and in one line what to do when there is none.

Only a key that a known_hosts file names is taken; nothing is ever added to such a file. Logging in is by private key
or by an ssh agent, never by a password. A jump host carries the connection to the next one as bytes: the key of every
host on the way is checked here. Keepalives go out every 15 s, so that a way that died is noticed; the agent's own
lease (15 s) does not depend on them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import paramiko
import paramiko.ssh_exception as failures
from paramiko import auth_strategy

from harness.errors import InfrastructureError
from harness.nodes.ssh_hosts import Login

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it has to say comes as exceptions too

USUAL_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
KEEPALIVE_S = 15
DEAD_AFTER_MS = 20_000
"""Bytes sent that nobody acknowledged for so long end the connection."""
BANNER_TIMEOUT_S = 15.0
AUTH_TIMEOUT_S = 20.0
CHANNEL_TIMEOUT_S = 15.0


class Connection:
    """One host, connected and logged in; thread-safe. `close` ends the connections to its jump hosts too."""

    def __init__(self, login: Login) -> None:
        """Raises InfrastructureError that says how to get out."""
        self.login = login
        self._clients: list[paramiko.SSHClient] = []
        try:
            way: Any = None
            for hop in (*login.jumps, login):
                client = _client(hop, self._socket(hop, way), f" on the way to {login.name}" if hop != login else "")
                self._clients.append(client)
                way = client.get_transport()
            self.transport: paramiko.Transport = way
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return bool(self.transport.is_active())

    def channel(self) -> paramiko.Channel:
        """A new session on the host. Raises OSError."""
        try:
            return self.transport.open_session(timeout=CHANNEL_TIMEOUT_S)
        except (paramiko.SSHException, EOFError) as error:
            raise OSError(f"{self.login.name}: no session could be opened: {error}") from error

    def run(self, command: str, stdin: str = "", timeout_s: float = 20.0) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of a small command. Raises OSError, also when it is out of time."""
        channel = self.channel()
        try:
            channel.settimeout(timeout_s)
            channel.exec_command(command)
            channel.sendall(stdin.encode())
            channel.shutdown_write()
            with channel.makefile("rb") as out, channel.makefile_stderr("rb") as err:
                texts = out.read().decode(errors="replace"), err.read().decode(errors="replace")
            return channel.recv_exit_status(), *texts
        except (paramiko.SSHException, EOFError) as error:
            raise OSError(f"{self.login.name}: `{command}`: {error or type(error).__name__}") from error
        finally:
            channel.close()

    def forward(self, address: str, port: int, timeout_s: float) -> paramiko.Channel:
        """A connection from the host to an address of its network. Raises OSError: refused, or no way there."""
        try:
            return self.transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout_s)
        except (paramiko.SSHException, EOFError) as error:
            raise OSError(f"{self.login.name}: no connection from there to {address}:{port}: {error}") from error

    def close(self) -> None:
        """Never raises."""
        for client in reversed(self._clients):
            with contextlib.suppress(Exception):
                client.close()

    def _socket(self, hop: Login, way: paramiko.Transport | None) -> Any:
        """What the next connection runs over: a socket, or a channel through the host before it."""
        if way is not None:
            try:
                return way.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=hop.timeout_s)
            except (paramiko.SSHException, EOFError) as error:
                raise InfrastructureError(
                    f"host {hop.name}: the jump host can't connect to {hop.host} port {hop.port}: {error}"
                ) from error
        try:
            carrier = socket.create_connection((hop.host, hop.port), timeout=hop.timeout_s)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # else a writer hangs for a quarter of an hour when the way dies
                carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS)
            carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return carrier
        except socket.gaierror as error:
            raise InfrastructureError(
                f"host {hop.name}: the name {hop.host!r} is not known here ({error.strerror}): check HOSTS, or give it "
                "a HostName in ~/.ssh/config"
            ) from error
        except OSError as error:
            raise InfrastructureError(
                f"host {hop.name}: no ssh server answers at {hop.host} port {hop.port} "
                f"({error.strerror or error or 'timed out'}): is it up, is the port right (HOSTS=host:port)?"
            ) from error


def _client(login: Login, carrier: Any, where: str) -> paramiko.SSHClient:
    """Logged in over a socket, the host's key checked. Raises InfrastructureError."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    _load_known_hosts(client, login)
    keys = _Keys(login)
    alias, _, port = login.known_as.strip("[").rpartition("]:")
    try:
        client.connect(
            alias or login.known_as,
            int(port) if alias else 22,
            username=login.user,
            auth_strategy=keys,
            sock=carrier,
            timeout=login.timeout_s,
            banner_timeout=BANNER_TIMEOUT_S,
            auth_timeout=AUTH_TIMEOUT_S,
            channel_timeout=CHANNEL_TIMEOUT_S,
        )
    except Exception as error:
        client.close()
        with contextlib.suppress(Exception):
            carrier.close()
        if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
            raise InfrastructureError(f"host {login.name}{where}: {_explain(login, error, keys.tried)}") from error
        raise
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEPALIVE_S)
    return client


def _load_known_hosts(client: paramiko.SSHClient, login: Login) -> None:
    """Raises InfrastructureError for a file that can't be read; one that is not there has no keys."""
    for path in login.known_hosts:
        try:
            client.load_system_host_keys(path)
        except FileNotFoundError:
            continue
        except (OSError, paramiko.SSHException) as error:
            raise InfrastructureError(f"host {login.name}: {path} can't be read: {error}") from error


class _Keys(auth_strategy.AuthStrategy):
    """The keys to try, one after the other: those that were named, those of the ssh agent, or else the usual ones."""

    def __init__(self, login: Login) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._login = login
        self.tried: list[str] = []
        """What was tried, or could not be, in words."""

    def get_sources(self) -> Iterator[Any]:
        if not self._login.only_keys:
            for key in paramiko.Agent().get_keys():
                self.tried.append("a key of the ssh agent")
                yield auth_strategy.InMemoryPrivateKey(self._login.user, key)
        for path in self._login.keys or USUAL_KEYS:
            if not os.path.exists(os.path.expanduser(path)):
                if path in self._login.keys:
                    self.tried.append(f"{path} (there is no such file)")
                continue
            try:
                key = paramiko.PKey.from_path(path)
            except Exception as error:  # the library lets those of its own libraries through
                locked = "passphrase" in str(error).lower() or "password" in str(error).lower()
                why = "it has a passphrase: add it to an ssh agent, `ssh-add`" if locked else f"not readable: {error}"
                self.tried.append(f"{path} ({why})")
                continue
            self.tried.append(path)
            yield auth_strategy.InMemoryPrivateKey(self._login.user, key)


def _explain(login: Login, error: Exception, tried: Sequence[str]) -> str:
    """What went wrong, and the way out."""
    files = ", ".join(login.known_hosts)
    port = f"-p {login.port} " if login.port != 22 else ""
    if isinstance(error, failures.BadHostKeyException):
        return (
            f"ITS KEY HAS CHANGED: the server shows {_fingerprint(error.key)}, {files} has another of that type. "
            "Someone may stand between; nothing was sent. If the host was really made anew, remove the old key "
            f"(`ssh-keygen -R '{login.known_as}'`) and take the new one after comparing it"
        )
    if "not found in known_hosts" in str(error):
        return (
            f"its key is not known: no entry for {login.known_as} in {files}. Log in once by hand "
            f"(`ssh {port}{login.user}@{login.host}`) and compare the key that it shows, or name a file that has it "
            "(OPTS=known-hosts=FILE)"
        )
    if isinstance(error, failures.AuthenticationException):
        return (
            f"it does not let user {login.user!r} in; tried: {', '.join(tried) or 'nothing, for no key was found'}. "
            "Put your public key there (`ssh-copy-id`), or name another user (HOSTS=user@host) or key "
            "(OPTS=ssh-key=FILE)"
        )
    if isinstance(error, TimeoutError) or not str(error):
        return f"no ssh server answered within {login.timeout_s:g} s ({type(error).__name__})"
    return f"ssh: {error}"


def _fingerprint(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"
