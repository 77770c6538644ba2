"""From what was asked on the command line to one checked `TestPlan`, and back to the command that asks for it.

The plan is checked as a whole before anything starts: every problem is named at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from checkers import models
from harness.errors import UsageError
from harness.options import Option
from harness.plan import TestPlan
from harness.registry import find_nemesis, find_target, find_workload, own_name, own_nemeses
from harness.schedule import SCHEDULE_OPTIONS
from harness.substrates import SUBSTRATES
from harness.target import Target, Timeouts
from harness.workload import PHASES, Workload

NODES_MAX = 9
SEED_MAX = 2**32 - 1


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asked, None where nothing was said. faults: kinds, or ("none",). options: as text. hosts: for ssh.

    No target at all is the newcomer's: the PostgreSQL that comes as a Python package, on `local`.
    """

    target: str | None = None
    workload: str | None = None
    on: str | None = None
    image: str | None = None
    nodes: int | None = None
    hosts: tuple[str, ...] = ()
    model: str | None = None
    faults: tuple[str, ...] | None = None
    options: Mapping[str, str] = {}
    rate_hz: float | None = None
    concurrency: int | None = None
    time_s: float | None = None
    seed: int | None = None


def make_plan(request: Request) -> TestPlan:
    """The plan with every default filled in. Raises UsageError that names every problem, one a line."""
    if request.target is None:
        local = request.on is None and request.image is None
        local = local and "local" in _as_asked(find_target("postgres"), request.options).substrates
        request = msgspec.structs.replace(request, target="postgres", on="local" if local else request.on)
    assert request.target is not None
    target = _as_asked(find_target(request.target), request.options)
    problems: list[str] = []
    workload_name = own_name(request.workload or target.default_workload)
    workload = find_workload(workload_name)
    if workload_name not in target.workloads:
        problems.append(
            f"workload {workload_name!r} is not for target {request.target!r}:"
            f" choose from {', '.join(target.workloads)}"
        )
    on = _substrate(request, target, problems)
    nodes = _nodes(request, target, on, problems)
    time_s = request.time_s if request.time_s is not None else (30.0 if on in ("local", "simulated") else 60.0)
    _check_numbers(request, target, nodes, time_s, problems)
    faults = _faults(request, target, on, nodes, problems)
    options = _options(request, target, workload, faults, on, problems)
    if options.get("final") == "converge" and not getattr(target.workloads.get(workload_name), "local_reads", False):
        problems.append(
            f"option final=converge: target {request.target!r} can't read one node's own copy in workload"
            f" {workload_name!r} (drop it)"
        )
    if request.model is not None:
        try:
            models.canonical(request.model)
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    plan = TestPlan(
        target=request.target,
        workload=workload_name,
        on=on,
        image=(request.image or target.default_image) if on == "docker" else "",
        nodes=nodes,
        hosts=request.hosts,
        model=request.model,
        faults=faults,
        faults_named=request.faults is not None,
        options=options,
        rate_hz=request.rate_hz or 0.0,
        concurrency=request.concurrency or max(10, 3 * nodes),
        time_s=time_s,
        seed=request.seed if request.seed is not None else secrets.randbits(32),
    )
    _try(plan, target, workload)
    return plan


def _as_asked(target: type[Target], options: Mapping[str, str]) -> type[Target]:
    """The target with the image, nodes and substrates that these options make the default."""
    for_options = getattr(target, "for_options", None)
    return target if for_options is None else for_options(options)


def _try(plan: TestPlan, target: type[Target], workload: Workload) -> None:
    """Make the target and the generators once: what they refuse is known before anything starts. Raises UsageError."""
    target(image=plan.image, options=plan.options, timeouts=Timeouts(), workload=plan.workload)
    for phase in range(len(PHASES)):
        workload.clients({**plan.options, "phase": phase})
    if workload.final_generator is not None:
        workload.final_generator({**plan.options, "nodes": plan.nodes})


def _substrate(request: Request, target: type[Target], problems: list[str]) -> str:
    on = request.on
    if on is None:
        on = target.substrates[0]
    if on not in SUBSTRATES:
        problems.append(f"unknown substrate {on!r}: choose from {', '.join(SUBSTRATES)}")
    elif on not in target.substrates:
        problems.append(f"target {request.target!r} does not run on {on!r}: choose from {', '.join(target.substrates)}")
    if request.image and on != "docker":
        problems.append(f"image {request.image!r} needs the docker substrate (add ON=docker, or drop IMAGE)")
    return on


def _nodes(request: Request, target: type[Target], on: str, problems: list[str]) -> int:
    """How many: as many as there are hosts, where hosts are named."""
    if on not in SUBSTRATES or not SUBSTRATES[on].hosts:
        if request.hosts:
            problems.append(f"hosts={','.join(request.hosts)}: hosts are for the ssh substrate (add ON=ssh)")
        return request.nodes if request.nodes is not None else (target.default_nodes if on != "local" else 1)
    if not request.hosts:
        problems.append(f"substrate {on!r} needs to know the hosts: HOSTS=a,b,c (each [user@]host[:port])")
        return request.nodes if request.nodes is not None else target.default_nodes
    if request.nodes not in (None, len(request.hosts)):
        problems.append(
            f"nodes={request.nodes}, but {len(request.hosts)} hosts are named; each is one node (drop NODES)"
        )
    return len(request.hosts)


def _check_numbers(request: Request, target: type[Target], nodes: int, time_s: float, problems: list[str]) -> None:
    least, most = getattr(target, "least_nodes", 1), getattr(target, "most_nodes", NODES_MAX)
    if not least <= nodes <= most:
        allowed = f"{least} to {most}" if most > 1 else f"1 for target {request.target!r}, which is one server"
        problems.append(f"nodes={nodes}: must be {allowed}")
    if not 1 <= time_s <= 7 * 86400:
        problems.append(f"time={time_s:g}: must be 1 s to a week, in seconds")
    if request.concurrency is not None and request.concurrency < nodes:
        problems.append(f"concurrency={request.concurrency}: every one of {nodes} nodes needs a worker")
    if request.concurrency is not None and not 1 <= request.concurrency <= 1000:
        problems.append(f"concurrency={request.concurrency}: must be 1 to 1000 workers")
    if request.rate_hz is not None and not (0 <= request.rate_hz < math.inf):
        problems.append(f"rate={request.rate_hz:g}: must be 0 (as fast as it goes) or more ops per second")
    if request.seed is not None and not 0 <= request.seed <= SEED_MAX:
        problems.append(f"seed={request.seed}: must be 0 to {SEED_MAX}")


def _faults(request: Request, target: type[Target], on: str, nodes: int, problems: list[str]) -> tuple[str, ...]:
    if request.faults == ("none",):
        return ()
    possible = (SUBSTRATES[on].faults if on in SUBSTRATES else frozenset()) | set(own_nemeses(target))
    if request.options.get("installed") == "yes":
        possible -= {"membership"}  # its joining node would have to lose its data
    if request.faults is None:
        return tuple(kind for kind in target.faults if kind in possible and not (kind == "partition" and nodes < 2))
    for kind in request.faults:
        try:
            find_nemesis(kind, target)
        except UsageError as error:
            problems.append(f"{error} (or none)")
            continue
        if kind not in possible:
            where = ", ".join(sorted(name for name, substrate in SUBSTRATES.items() if kind in substrate.faults))
            problems.append(f"fault {kind!r} can't be injected on {on!r} (run on {where}, or drop {kind})")
        elif kind == "partition" and nodes < 2:
            problems.append(
                f"fault 'partition' needs two nodes or more, there is {nodes} (raise NODES, or drop partition)"
            )
    return tuple(dict.fromkeys(request.faults))


def repeat_command(plan: TestPlan, *, with_make: bool | None = None) -> str:
    """The command that repeats a run's ops and fault schedule (the database's timing is its own), without defaults.

    with_make: in `make test`'s words; None: as the run was started.
    """
    if with_make is None:
        with_make = "MAKELEVEL" in os.environ
    offered = offered_options(find_target(plan.target), find_workload(plan.workload), plan.faults, plan.on)
    chosen = {name: value for name, value in plan.options.items() if name in offered and value != offered[name].default}
    options = ",".join(f"{name}={value}" for name, value in sorted(chosen.items()))
    said = {
        "target": plan.target,
        "workload": plan.workload,
        "on": plan.on if plan.on != "simulated" else "",
        "image": plan.image,
        "hosts": ",".join(plan.hosts),
        "nodes": "" if plan.hosts else str(plan.nodes),
        "faults": ",".join(plan.faults) or "none",
        "model": plan.model or "",
        "opts": options,
        "time": f"{plan.time_s:g}",
        "rate": f"{plan.rate_hz:g}" if plan.rate_hz else "",
        "concurrency": str(plan.concurrency),
        "seed": str(plan.seed),
    }
    given = {name: value for name, value in said.items() if value}
    if with_make:
        return " ".join(["make test", *(f"{name.upper()}={shlex.quote(value)}" for name, value in given.items())])
    return " ".join(["faultline test", *(f"--{name} {shlex.quote(value)}" for name, value in given.items())])


def offered_options(target: type[Target], workload: Workload, faults: Sequence[str], on: str = "") -> dict[str, Option]:
    """Every option that a run of these can be given, by name. on: the substrate, if its own are wanted too."""
    offered: dict[str, Option] = {**target.options, **workload.options}
    if on in SUBSTRATES:
        offered |= SUBSTRATES[on].options
    if faults:
        offered |= SCHEDULE_OPTIONS
    for kind in faults:
        with contextlib.suppress(UsageError):
            offered |= find_nemesis(kind, target).options
    return offered


def _options(
    request: Request, target: type[Target], workload: Workload, faults: tuple[str, ...], on: str, problems: list[str]
) -> dict[str, Any]:
    """Each option offered by the target, workload, faults and substrate, with the given value or its default."""
    offered = offered_options(target, workload, faults, on)
    values: dict[str, Any] = {}
    for name, option in offered.items():
        try:
            values[name] = option.parse(name, request.options[name]) if name in request.options else option.default
        except ValueError as error:
            problems.append(str(error))
    for name in request.options:
        if name not in offered:
            problems.append(
                f"unknown option {name!r} for target {request.target!r} with workload {workload.name!r}:"
                f" choose from {', '.join(sorted(offered))}"
            )
    if on in SUBSTRATES and request.hosts and not problems:
        SUBSTRATES[on].check(request.hosts, values, problems)
    return values
