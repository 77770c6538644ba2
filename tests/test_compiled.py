"""Goal: Python never calls a compiled function that has no way in from Python (it would end the process).

Method: read every file; a `kernel_part` may be named only inside of kernels, and nowhere else, tests included.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("benchmarks", "checkers", "faultline", "harness", "nemeses", "targets", "tests", "workloads")
KERNELS = {"kernel", "kernel_part", "kernel_without_lock"}


def decorated(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(decorator, ast.Name) and decorator.id in names for decorator in node.decorator_list
    )


def test_parts_of_kernels_are_called_by_kernels_only() -> None:
    trees = {path: ast.parse(path.read_text()) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    parts: dict[tuple[str, str], Path] = {}
    for path, tree in trees.items():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        parts |= {(module, node.name): path for node in tree.body if decorated(node, {"kernel_part"})}
    assert len(parts) > 20
    for path, tree in trees.items():
        inside = {id(node) for kernel in ast.walk(tree) if decorated(kernel, KERNELS) for node in ast.walk(kernel)}
        known = {name for (_, name), home in parts.items() if home == path}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                known |= {alias.asname or alias.name for alias in node.names if (node.module, alias.name) in parts}
        modules = {module.rpartition(".")[2] for module, _ in parts}
        for node in ast.walk(tree):
            if id(node) in inside:
                continue
            if isinstance(node, ast.Name):
                assert node.id not in known, f"{path}:{node.lineno}: {node.id} has no way in from Python"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                assert not any(name == node.attr and module.endswith("." + node.value.id) for module, name in parts), (
                    f"{path}:{node.lineno}: {node.attr} has no way in from Python"
                )
