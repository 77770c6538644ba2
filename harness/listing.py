"""What `faultline list` shows: targets, workloads, faults and models with their options, from the data itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import nemeses
from checkers import models
from harness.errors import UsageError
from harness.options import Option
from harness.registry import find_target, find_workload, own_nemeses, target_names, workload_names
from nemeses.base import Nemesis


def listing(what: str | None = None) -> str:
    """The text for one of targets, workloads, faults, models; all of them for None."""
    parts = {"targets": _targets, "workloads": _workloads, "faults": _faults, "models": _models}
    wanted = [what] if what else list(parts)
    return "\n\n".join("\n".join([name.capitalize(), *parts[name]()]) for name in wanted)


def _targets() -> Iterable[str]:
    for name in target_names():
        try:
            target = find_target(name)
        except UsageError as error:
            yield f"  {name}: {error}"
            continue
        yield f"  {name}: {target.doc}"
        yield f"    runs on {', '.join(target.substrates)}; workloads {', '.join(target.workloads)}"
        if target.default_image:
            yield f"    image {target.default_image}, {target.default_nodes} node(s)"
        yield from _options(target.options)


def _workloads() -> Iterable[str]:
    for name in workload_names():
        workload = find_workload(name)
        first, *rest = workload.doc.strip().splitlines()
        yield f"  {name}: {first}"
        yield from (f"    {line.strip()}" for line in rest if line.strip())
        yield from _options(workload.options)


def _faults() -> Iterable[str]:
    for nemesis in nemeses.NEMESES.values():
        yield from _fault(nemesis)
    for name in target_names():
        with contextlib.suppress(UsageError):
            for nemesis in own_nemeses(find_target(name)).values():
                yield from _fault(nemesis, f" ({name})")


def _fault(nemesis: Nemesis, where: str = "") -> Iterable[str]:
    doc = (type(nemesis).__doc__ or "").strip().splitlines()
    yield f"  {nemesis.kind}{where}: {doc[0] if doc else ''}"
    yield from _options(nemesis.options)


def _models() -> Iterable[str]:
    yield "  " + ", ".join(models.MODELS)


def _options(options: Mapping[str, Option]) -> Iterable[str]:
    for name, option in options.items():
        choices = "|".join(option.choices) or type(option.default).__name__
        yield f"    {name}={choices} (default {option.default}): {option.doc}"
