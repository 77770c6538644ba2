"""Goal: no room imports what it must not know. Method: read every import of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("checkers", "faultline", "harness", "nemeses", "targets", "workloads")

CHECKERS_MAY = {
    "harness.checker",
    "harness.compiled",
    "harness.errors",
    "harness.fault",
    "harness.history",
    "harness.op",
    "harness.value_columns",
    "harness.verdict",
}
KNOWS_ALL = {"harness.cli", "harness.compile_ahead", "harness.runner"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(room: str) -> list[tuple[str, Path]]:
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in sorted((ROOT / room).rglob("*.py"))
    ]


def rooms_of(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names} & set(ROOMS)


@pytest.mark.parametrize("module, path", modules("checkers"))
def test_a_checker_knows_the_history_and_nothing_else(module: str, path: Path) -> None:
    for name in imports(path):
        room = name.partition(".")[0]
        assert room not in {"nemeses", "targets", "workloads", "faultline"}, f"{module} imports {name}"
        if room == "harness":
            assert any(name == may or name.startswith(may + ".") for may in CHECKERS_MAY), f"{module} imports {name}"


@pytest.mark.parametrize("module, path", modules("workloads"))
def test_a_workload_knows_generators_and_checkers(module: str, path: Path) -> None:
    assert rooms_of(imports(path)) <= {"checkers", "harness", "workloads"}
    assert not any(name.startswith("harness.nodes") for name in imports(path))


@pytest.mark.parametrize("module, path", modules("nemeses"))
def test_a_nemesis_knows_nodes(module: str, path: Path) -> None:
    assert rooms_of(imports(path)) <= {"harness", "nemeses"}


@pytest.mark.parametrize("module, path", modules("targets"))
def test_a_target_knows_nodes_op_shapes_and_what_a_nemesis_is(module: str, path: Path) -> None:
    names = imports(path)
    assert rooms_of(names) <= {"harness", "nemeses", "targets", "workloads"}
    nemeses = {".".join(name.split(".")[:2]) for name in names if name.startswith("nemeses")}
    assert nemeses <= {"nemeses", "nemeses.base", "nemeses.choose", "nemeses.operation"}, f"{module} imports {nemeses}"
    assert not any(name.startswith("harness.nodes.docker") for name in imports(path))


@pytest.mark.parametrize("module, path", [m for room in ROOMS for m in modules(room)])
def test_only_the_cli_and_the_runner_know_all(module: str, path: Path) -> None:
    if module not in KNOWS_ALL and not module.startswith("faultline"):
        assert not imports(path) & KNOWS_ALL, f"{module} imports the top of the house"


def test_no_module_needs_one_that_needs_it() -> None:
    """Imports inside functions count: what is imported late is needed all the same."""
    paths = {module.removesuffix(".__init__"): path for room in ROOMS for module, path in modules(room)}
    needs = {module: (imports(path) & paths.keys()) - {module, *_rooms_above(module)} for module, path in paths.items()}
    while free := {module for module, needed in needs.items() if not needed & needs.keys()}:
        for module in free:
            del needs[module]
    assert not needs, f"in a circle, or above one: {sorted(needs)}"


def _rooms_above(module: str) -> list[str]:
    """Packages that it is in: `from harness.nodes import base` names both, and means the inner one."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def test_no_process_is_forked_without_exec() -> None:
    for room in ROOMS:
        for module, path in modules(room):
            text = path.read_text()
            assert "os.fork()" not in text or module == "harness.nodes.agent", module
            assert 'get_context("fork")' not in text, module


def test_a_shadowed_room_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkers").mkdir()
    (tmp_path / "checkers" / "__init__.py").write_text("")
    run = subprocess.run(
        [sys.executable, "-m", "faultline", "list"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert str(tmp_path / "checkers") in run.stderr and "Traceback" not in run.stderr
