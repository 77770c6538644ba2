"""Finding targets, workloads and faults by name: ours, those of installed entry points, or one in a file.

`postgres` is ours; an installed package offers its own under the entry point groups `faultline.targets` and
`faultline.workloads`; `path/to/file.py:Name` takes `Name` from a file. Loading is lazy: a driver that is missing
breaks its own target only.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import nemeses
import targets
import workloads
from harness.errors import UsageError
from harness.target import Target
from harness.workload import Workload
from nemeses.base import Nemesis


def target_names() -> list[str]:
    """Names of the targets that can be asked for, ours first."""
    return list(targets.REGISTRY) + sorted(entry_points(group="faultline.targets").names)


def workload_names() -> list[str]:
    """Names of the workloads that can be asked for, ours first."""
    return list(workloads.REGISTRY) + sorted(entry_points(group="faultline.workloads").names)


def find_target(name: str) -> type[Target]:
    """The target's class. Raises UsageError for an unknown name or a target that can't be loaded."""
    return _find("target", name, lambda: _imported(targets.REGISTRY[name]) if name in targets.REGISTRY else None)


def own_name(workload: str) -> str:
    """Our name of a workload that may have been called as Jepsen calls it."""
    return workloads.JEPSEN_NAMES.get(workload, workload)


def find_workload(name: str) -> Workload:
    """The workload, by its own name or by Jepsen's. Raises UsageError for an unknown name."""
    own = own_name(name)
    return _find("workload", name, lambda: _imported(workloads.REGISTRY[own]) if own in workloads.REGISTRY else None)


def find_nemesis(kind: str, target: type[Target]) -> Nemesis:
    """The nemesis of a kind of fault, a common one or the target's own. Raises UsageError for an unknown one."""
    offered = nemeses.NEMESES | own_nemeses(target)
    if kind not in offered:
        raise UsageError(f"unknown fault {kind!r}: choose from {', '.join(offered)}")
    return offered[kind]


def own_nemeses(target: type[Target]) -> dict[str, Nemesis]:
    """The faults that only this target has, by kind."""
    return {nemesis.kind: nemesis for nemesis in getattr(target, "nemeses", ())}


def _find(kind: str, name: str, own: Callable[[], Any]) -> Any:
    found = own()
    if found is not None:
        return found
    if ".py:" in name:
        return _from_file(kind, name)
    for entry in entry_points(group=f"faultline.{kind}s", name=name):
        return entry.load()
    names = target_names() if kind == "target" else workload_names()
    raise UsageError(f"unknown {kind} {name!r}: choose from {', '.join(names)} (or path/to/file.py:Name)")


def _imported(where: str) -> Any:
    module, _, attribute = where.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UsageError(f"{where} can't be loaded: {error}; install Faultline's locked dependencies again") from error


def _from_file(kind: str, name: str) -> Any:
    path, _, attribute = name.rpartition(":")
    if not Path(path).is_file():
        raise UsageError(f"{kind} {name!r}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"faultline_own_{Path(path).stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        raise UsageError(f"{kind} {name!r}: {path} defines no {attribute}")
    return getattr(module, attribute)
