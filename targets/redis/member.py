"""How one node's server and Sentinel are run: in a pod, in the vendor's image; on a host, as its package's programs.

On a host both listen on the node's address alone and ask for a password that is made for the run: an open Redis lets
whoever reaches it write files. A shell runs the two, because there one process is told to end, by a signal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.nodes.base import Database, Node
from targets.redis.sessions import PORT, PRIMARY_NAME, SENTINEL_PORT

DATA_DIR: Final = "/data"
IN_A_POD: Final = f"redis-sentinel {DATA_DIR}/sentinel.conf & exec redis-server {DATA_DIR}/redis.conf"
ON_A_HOST: Final = (
    '"$0" "$1/sentinel.conf" --sentinel & watcher=$!\n'
    '"$0" "$1/redis.conf" & server=$!\n'
    "trap 'kill $server' TERM INT\n"
    "wait $server; wait $server\n"
    "kill $watcher; wait $watcher\n"
)
"""The second wait is for a server that still ends after the first one was interrupted by the signal."""


def in_pod(nodes: Sequence[Node], node: Node, image: str, options: Mapping[str, Any]) -> Database:
    """Configuration files where their programs may rewrite them, and both programs; alone the server only."""
    alone = len(nodes) == 1
    return Database(
        image=image,
        argv=["redis-server", f"{DATA_DIR}/redis.conf"] if alone else ["sh", "-c", IN_A_POD],
        ports=(PORT, SENTINEL_PORT),
        data_dir=DATA_DIR,
        files=configuration(nodes, node, DATA_DIR, options),
    )


def on_host(nodes: Sequence[Node], node: Node, program: str, options: Mapping[str, Any], *, password: str) -> Database:
    """The same on a host. program: its redis-server, which is a Sentinel too when it is told so."""
    folder = f"{node.home}/redis"
    own = [f"bind {node.address}", f"requirepass {password}"]
    alone = len(nodes) == 1
    return Database(
        argv=[program, f"{folder}/redis.conf"] if alone else ["sh", "-c", ON_A_HOST, program, folder],
        ports=(PORT,) if alone else (PORT, SENTINEL_PORT),
        data_dir=folder,
        files=configuration(
            nodes,
            node,
            folder,
            options,
            server=[*own, f"masterauth {password}"],
            watcher=[*own, f"sentinel auth-pass {PRIMARY_NAME} {password}"],
        ),
        stop_signal="SIGTERM",
    )


def configuration(
    nodes: Sequence[Node],
    node: Node,
    folder: str,
    options: Mapping[str, Any],
    *,
    server: Sequence[str] = (),
    watcher: Sequence[str] = (),
) -> dict[str, str]:
    """path → text. The first node begins as the primary. server, watcher: more lines for each of the two."""
    first = nodes[0]
    of_server = [
        f"port {PORT}",
        "protected-mode no",
        f"dir {folder}",
        f"appendonly {options['appendonly']}",
        f"min-replicas-to-write {options['min_replicas']}",
        f"replica-announce-ip {node.address}",
        *([] if node is first else [f"replicaof {first.address} {PORT}"]),
        *server,
    ]
    of_watcher = [
        f"port {SENTINEL_PORT}",
        "protected-mode no",
        f"dir {folder}",
        f"sentinel announce-ip {node.address}",
        f"sentinel monitor {PRIMARY_NAME} {first.address} {PORT} {len(nodes) // 2 + 1}",
        f"sentinel down-after-milliseconds {PRIMARY_NAME} {options['down_after_ms']}",
        f"sentinel failover-timeout {PRIMARY_NAME} {3 * options['down_after_ms']}",
        f"sentinel parallel-syncs {PRIMARY_NAME} {len(nodes)}",
        *watcher,
    ]
    files = {f"{folder}/redis.conf": "\n".join(of_server) + "\n"}
    if len(nodes) > 1:
        files[f"{folder}/sentinel.conf"] = "\n".join(of_watcher) + "\n"
    return files
