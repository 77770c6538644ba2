"""PostgreSQL on a host of the user's (`ON=ssh`): one that we start from its packages, or the server that is there.

Ours is made by its own initdb in the node's home, as a user without rights, and listens on the node's address alone;
it asks for a password that is made for the run and stored nowhere. Of a server that is there nothing is changed but
one schema of our own, `faultline_test`, which carries a comment that says so: only such a one is ever dropped.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Database, Node, program_on
from harness.options import Option
from targets.postgres.connection import Connection

PLACES: Final = "/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin"
WAY_OUT: Final = "install it there (apt-get install postgresql), or test one that runs there: OPTS=installed=yes"
INITDB_TIMEOUT_S: Final = 60.0
SCHEMA: Final = "faultline_test"
COMMENT: Final = "made by Faultline, which drops it"
SERVERS_OWN: Final = ("max_connections", "deadlock_timeout_ms", "fsync")
"""Options that set up a server; one that is there has its own settings."""


def install(node: Node, port: int, settings: Sequence[str]) -> str:
    """A server of our own on the node, not started; the password of its superuser. Raises InfrastructureError."""
    postgres = program_on(node, "postgres", PLACES, way_out=WAY_OUT)
    data, password = f"{node.home}/data", secrets.token_hex(16)
    where = ["-p", str(node.port(port)), "-c", f"listen_addresses={node.address}", "-c", "unix_socket_directories="]
    node.install(Database(argv=[postgres, "-D", data, *where, *settings], ports=(port,), data_dir=data))
    secret = f"{node.home}/password"
    node.db_run("sh", "-c", 'umask 077; cat > "$0"', secret, stdin=password + "\n")
    node.db_run(
        *(f"{os.path.dirname(postgres)}/initdb", "-D", data, "--username=postgres", "--auth=scram-sha-256"),
        *(f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        timeout_s=INITDB_TIMEOUT_S,
    )
    node.db_run("rm", "-f", secret)
    with_us = f"host all all {'::/0' if ':' in node.address else '0.0.0.0/0'} scram-sha-256\n"
    node.db_run("sh", "-c", 'cat >> "$0"', f"{data}/pg_hba.conf", stdin=with_us)
    return password


def check_installed(chosen: Mapping[str, Any], offered: Mapping[str, Option]) -> None:
    """Raises UsageError for options that a server which is there can't be given."""
    for name in SERVERS_OWN:
        if chosen[name] != offered[name].default:
            raise UsageError(
                f"option {name}={chosen[name]} sets up a server; with installed=yes it has its own settings"
            )


def use_installed(node: Node, port: int) -> str:
    """Find the server that is there; the password of its user postgres, from PGPASSWORD. Raises InfrastructureError."""
    node.install(Database(argv=[], ports=(port,)))
    return os.environ.get("PGPASSWORD", "")


def make_schema(connection: Connection) -> None:
    """Our own schema, empty. Raises ServerError, ConnectionLost, InfrastructureError for one that is not ours."""
    drop_schema(connection)
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    connection.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{COMMENT}'")


def drop_schema(connection: Connection) -> None:
    """Raises ServerError, ConnectionLost, InfrastructureError for one that is not ours."""
    found = connection.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1::text", SCHEMA
    ).rows
    if found and found[0][0] != COMMENT:
        raise InfrastructureError(f"schema {SCHEMA} is there and not ours (its comment does not say so): rename it")
    if found:
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
