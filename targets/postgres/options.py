"""The options of the target: isolation and how ops become statements, where servers stand, and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError
from harness.options import Option
from targets.postgres.claims import CLAIMS
from targets.postgres.embedded import FOLDERS

OPTIONS: dict[str, Option] = {
    "isolation": Option("serializable", "isolation level of every transaction", tuple(CLAIMS)),
    "append": Option(
        "concat",
        "append: the server adds the element, or the client reads the list and writes it back",
        ("concat", "read-write"),
    ),
    "rows": Option(
        "insert",
        "append: rows are inserted as the workload goes (ON CONFLICT), or made beforehand",
        ("insert", "existing"),
    ),
    "lock": Option("none", "append=read-write: lock what is read (belongs with rows=existing)", ("none", "for-update")),
    "tables": Option(3, "append: number of tables that the keys are spread over", least=1, most=1000),
    "add": Option(
        "server",
        "counter: the server adds, or the client reads the number and writes it back",
        ("server", "read-write"),
    ),
    "topology": Option(
        "single",
        "one server; a primary with standbys, where FAULTS=failover promotes one; or Patroni, which does so itself",
        ("single", "replicated", "patroni"),
    ),
    "sync": Option(
        "off",
        "what a commit waits for: its own server, one standby, a majority; strict: never less than one (patroni)",
        ("off", "on", "quorum", "strict"),
    ),
    "reads": Option(
        "primary", "which server answers reads: the primary, or the node's own, a hot standby", ("primary", "standby")
    ),
    "commit_warnings": Option(
        "info", "how a COMMIT with a WARNING is recorded: nobody knows, or done as if there were none", ("info", "ok")
    ),
    "cancel_commit_ms": Option(
        0, "after how long the client cancels a COMMIT that waits, milliseconds (0: never)", least=0, most=60_000
    ),
    "patroni_ttl_s": Option(
        30, "Patroni's ttl: for how long the leader's lock holds, seconds (30 is its default)", least=20, most=600
    ),
    "max_connections": Option(100, "the server's max_connections (100 is its default)", least=20, most=10000),
    "deadlock_timeout_ms": Option(
        1000, "the server's deadlock_timeout in milliseconds (1000 is its default)", least=1, most=2147483647
    ),
    "fsync": Option("on", "the server's fsync", ("on", "off")),
    "version": Option("18", "local: which of the embedded PostgreSQLs", tuple(FOLDERS)),
}


def check(options: Mapping[str, Any]) -> None:
    """Raises UsageError for options that don't go together."""
    if options["lock"] == "for-update" and (options["append"], options["rows"]) != ("read-write", "existing"):
        raise UsageError(
            "option lock=for-update locks rows that the client reads and writes back, and that exist:"
            " add append=read-write,rows=existing"
        )
    topology = options["topology"]
    if topology == "single" and (options["sync"], options["reads"]) != ("off", "primary"):
        raise UsageError("options sync and reads need standbys: add topology=replicated or topology=patroni")
    if topology == "single" and options.get("final") == "converge":
        raise UsageError(
            "option final=converge asks whether standbys agree with their primary: add topology=replicated"
        )
    if options["sync"] == "strict" and topology != "patroni":
        raise UsageError("option sync=strict is Patroni's: add topology=patroni, or take sync=on")
