"""Who is meant by `HOSTS=a,root@b,c:2222/10.0.0.3`, with what the user's ssh configuration says of them.

A host is written as for the ssh command: `[user@]host[:port]`, an IPv6 address in brackets. `/address` at the end is
where the other nodes reach it, for hosts whose ssh address is another than the one that databases use. The name may be
a `Host` of ~/.ssh/config: HostName, User, Port, IdentityFile, IdentitiesOnly, ProxyJump, HostKeyAlias,
UserKnownHostsFile and ConnectTimeout are honoured there. StrictHostKeyChecking is not: it is always on here.
"""

from __future__ import annotations

import getpass
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import paramiko

from harness.errors import UsageError

SSH_PORT = 22
JUMPS_MAX = 4
WRITTEN = re.compile(
    r"(?:(?P<user>[^@/\s]+)@)?(?P<name>\[[0-9a-fA-F:.%]+\]|[^@/:\s]+)(?::(?P<port>\d+))?(?:/(?P<at>\S+))?"
)


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One host as the user wrote it. user "", port 0 and address "": not said."""

    name: str
    user: str = ""
    port: int = 0
    address: str = ""

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return (
            (f"{self.user}@" if self.user else "")
            + name
            + (f":{self.port}" if self.port else "")
            + (f"/{self.address}" if self.address else "")
        )


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in to one host: what was written, completed by the configuration.

    name: as it was written, for messages. known_as: under which its key is looked for in known_hosts files.
    keys: private key files, in order. only_keys: not the ones of an ssh agent. jumps: over which hosts, in order.
    """

    name: str
    host: str
    port: int
    user: str
    known_as: str
    keys: tuple[str, ...] = ()
    only_keys: bool = False
    known_hosts: tuple[str, ...] = ()
    timeout_s: float = 10.0
    jumps: tuple[Login, ...] = ()


def parse_host(text: str) -> Host:
    """Raises UsageError with the right form."""
    match = WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"host {text!r}: write [user@]host[:port][/address], an IPv6 address in brackets")
    name, port, at = match["name"].strip("[]"), int(match["port"] or 0), match["at"] or ""
    if match["port"] and not 1 <= port <= 65535:
        raise UsageError(f"host {text!r}: there is no port {port}")
    if at:
        try:
            ipaddress.ip_address(at)
        except ValueError:
            raise UsageError(f"host {text!r}: {at!r} must be an IP address, where the other nodes reach it") from None
    return Host(name=name, user=match["user"] or "", port=port, address=at)


def read_config(path: str) -> paramiko.SSHConfig:
    """The ssh configuration at a path; "" is ~/.ssh/config, which need not be there. Raises UsageError."""
    file = Path(path or "~/.ssh/config").expanduser()
    if not path and not file.is_file():
        return paramiko.SSHConfig()
    try:
        return paramiko.SSHConfig.from_path(str(file))
    except (OSError, paramiko.ConfigParseError, ValueError) as error:
        raise UsageError(f"ssh configuration {file}: {error}") from None


def login(
    host: Host,
    config: paramiko.SSHConfig,
    *,
    key: str = "",
    known_hosts: str = "",
    jump: str = "",
    timeout_s: float = 10.0,
    _depth: int = 0,
) -> Login:
    """Everything that is needed to connect. Raises UsageError.

    key, known_hosts, jump: options of the run, which outrank the configuration; "" leaves it to that.
    """
    try:
        said: Mapping[str, Any] = config.lookup(host.name)
    except (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize, ImportError) as error:
        raise UsageError(f"ssh configuration of host {host.name!r}: {error}") from None
    name = said.get("hostname", host.name)
    port = host.port or int(said.get("port", SSH_PORT))
    if said.get("proxycommand", "none") != "none" and not jump:
        raise UsageError(f"host {host.name!r}: ProxyCommand is not supported; use ProxyJump, or OPTS=jump=HOST")
    way = jump or str(said.get("proxyjump", "none"))
    if _depth > JUMPS_MAX:
        raise UsageError(f"host {host.name!r}: its jump hosts lead in a circle, or over more than {JUMPS_MAX} hosts")
    jumps: list[Login] = []
    for hop in [] if way == "none" else way.split("," if not jump else "+"):
        over = login(parse_host(hop), config, key=key, known_hosts=known_hosts, timeout_s=timeout_s, _depth=_depth + 1)
        jumps += [*over.jumps, msgspec.structs.replace(over, jumps=())]
    alias = said.get("hostkeyalias")
    return Login(
        name=str(msgspec.structs.replace(host, address="")),
        host=name,
        port=port,
        user=host.user or said.get("user") or getpass.getuser(),
        known_as=alias or (name if port == SSH_PORT else f"[{name}]:{port}"),
        keys=(key,) if key else tuple(str(Path(one).expanduser()) for one in said.get("identityfile", ())),
        only_keys=bool(key) or str(said.get("identitiesonly", "no")).lower() == "yes",
        known_hosts=(known_hosts,) if known_hosts else _known_hosts(said),
        timeout_s=float(said.get("connecttimeout", timeout_s)),
        jumps=tuple(jumps),
    )


def _known_hosts(said: Mapping[str, Any]) -> tuple[str, ...]:
    """The files that the ssh command would look in."""
    own = str(said.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")).split()
    system = str(said.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")).split()
    return tuple(str(Path(one).expanduser()) for one in (*own, *system) if one != "none")
