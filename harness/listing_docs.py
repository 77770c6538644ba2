"""The parts of the docs that are made from the data itself, so that they can't drift.

`python -m harness.listing_docs` writes docs/workloads.md, from each workload's own values and its file's docstring,
docs/claims.md from the targets, and the table of options in docs/faults.md. Tests hold the docs to them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import nemeses
import targets
import workloads
from harness.claims_docs import claims_page
from harness.errors import UsageError
from harness.options import Option
from harness.registry import find_target, find_workload
from harness.schedule import SCHEDULE_OPTIONS
from harness.workload import Workload

HEAD = """# Workloads

A workload is what clients do, together with the checkers that judge the record of it. Choose one with `WORKLOAD=`, set
its options with `OPTS=name=value,...`. Each target offers those that its database can do, and may have options of its
own for them: see `targets/<database>/README.md`. What ok, fail and info mean stands in
[reading-a-report.md](reading-a-report.md), what each checker proves in [checkers.md](checkers.md).

This page is made from the workloads themselves: `python -m harness.listing_docs` writes it.
"""


TABLE_HEADER = "| fault | option | default | values | meaning |"


def workloads_page() -> str:
    """docs/workloads.md."""
    return "\n".join([HEAD, *("\n".join(_section(find_workload(name))) for name in workloads.REGISTRY)])


def fault_options_table() -> str:
    """Every option of every kind of fault, and of their schedules, for docs/faults.md."""
    rows = [row for kind, nemesis in nemeses.NEMESES.items() for row in _rows(nemesis.options, kind)]
    rows += _rows(SCHEDULE_OPTIONS, "all")
    return "\n".join([TABLE_HEADER, "|---|---|---|---|---|", *rows]) + "\n"


def _section(workload: Workload) -> Iterator[str]:
    if workload.generator is None:
        yield from _judging_only(workload)
        return
    module = sys.modules[workload.generator.__module__]
    claimed = ", ".join(f"`{name}`" for name in _targets_of(workload.name))
    judges = ", ".join(f"`{name}`" for name in workload.checkers)
    yield f"## {workload.name}\n"
    yield f"{workload.doc}\n"
    yield f"- Databases: {claimed}."
    yield f"- Judged by: {judges}; where the database promises nothing, against `{workload.own_model}`."
    yield f"- `valid` needs at least {workload.floor} ok ops, and at least one of each kind: {_fs(workload)}.\n"
    yield f"{_essay(module)}\n"
    yield "| option | default | values | meaning |"
    yield "|---|---|---|---|"
    yield from _rows(workload.options)
    yield ""


def _judging_only(workload: Workload) -> Iterator[str]:
    judges = ", ".join(f"`{name}`" for name in workload.checkers)
    yield f"## {workload.name}\n"
    yield f"{workload.doc}\n"
    yield "- Not run by Faultline: it judges what others recorded."
    yield f"- `faultline check history.edn --workload {workload.name}`"
    yield f"- Judged by: {judges}, against `{workload.own_model}` where no model is asked for.\n"
    if workload.check_options:
        yield "| option | default | values | meaning |"
        yield "|---|---|---|---|"
        yield from _rows(workload.check_options)
        yield ""


def _fs(workload: Workload) -> str:
    return ", ".join(f"`{f}`" for f in workload.fs) + (
        " (those that the options leave in)" if workload.fs_for is not None else ""
    )


def _targets_of(workload: str) -> Iterator[str]:
    for name in targets.REGISTRY:
        try:
            if workload in find_target(name).workloads:
                yield name
        except UsageError:
            continue


def _essay(module: ModuleType) -> str:
    """The docstring of a workload's file but for its title, with its constants' values in the place of their names."""

    def value(match: re.Match[str]) -> str:
        found = getattr(module, match[1], None)
        return str(found) if isinstance(found, int | float) else match[0]

    return re.sub(r"`([A-Z][A-Z_]+)`", value, (module.__doc__ or "").partition("\n\n")[2].strip())


def _rows(options: Mapping[str, Option], *before: str) -> Iterable[str]:
    for name, option in options.items():
        values = ", ".join(f"`{choice}`" for choice in option.choices) or {int: "whole number", float: "number"}.get(
            type(option.default), "text"
        )
        yield "| " + " | ".join([*before, f"`{name}`", f"`{option.default}`", values, option.doc]) + " |"


def write(docs: Path) -> None:
    """Bring the docs in this folder up to date."""
    (docs / "workloads.md").write_text(workloads_page(), "utf-8")
    (docs / "claims.md").write_text(claims_page(), "utf-8")
    faults = docs / "faults.md"
    head, header, rest = faults.read_text("utf-8").partition(TABLE_HEADER)
    if not header:
        raise UsageError(f"{faults} has no table that begins with {TABLE_HEADER!r}")
    faults.write_text(head + fault_options_table() + "\n" + rest.partition("\n\n")[2], "utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent.parent / "docs")
