"""`faultline doctor`: what this machine can do, found out by trying each thing once.

Every line is one thing: `ok`, or `no` with the reason and the way out. Nothing is left behind.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

from harness.errors import Exit, FaultlineError
from harness.faults import prove
from harness.images import is_here
from harness.nodes.ssh_options import parse_options
from harness.planning import Request, make_plan
from harness.registry import find_nemesis, find_target, target_names
from harness.stall import StallGate
from harness.substrates import SUBSTRATES
from harness.target import Timeouts
from nemeses.base import Setting

TRIED_ON = {"local": ("postgres", 1), "docker": ("etcd", 2)}
"""Substrate → the target and the number of nodes that its faults are tried on."""

TOOLS = {
    "docker": "the docker command (optional: the engine is reached without it)",
    "chromium": "opens reports in tests (optional)",
    "faketime": "clock faults by libfaketime, OPTS=clock=libfaketime (optional)",
    "gcc": "a test of the clock patch compiles a small program (optional)",
}


def examine() -> int:
    """Print what works here. Exit code VALID when a run on `local` would work, else INFRASTRUCTURE."""
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    print(f"machine   {kernel}, Python {platform.python_version()}")
    for tool, use in TOOLS.items():
        print(f"tool      {tool}: {'ok' if shutil.which(tool) else 'no'} — {use}")
    local_works = True
    for name in ("local", "docker"):
        try:
            for line in _substrate(name):
                print(line)
                sys.stdout.flush()
        except FaultlineError as error:
            print(f"substrate {name}: no — {error}")
            local_works = local_works and name != "local"
    return Exit.VALID if local_works else Exit.INFRASTRUCTURE


def examine_hosts(hosts: Sequence[str], options: Mapping[str, str]) -> int:
    """The same for hosts of one's own, without a database. Exit code VALID when a run on them would work."""
    from harness.nodes.ssh import SshCluster

    with SshCluster(run_id="doctor", hosts=hosts, options=parse_options(options)) as cluster:
        for node in cluster.nodes:
            print(f"host      {node.host}: ok — {node.facts.system}, python3 {node.facts.python}, at {node.address}")
            missing = dict(node.agent.hello["abilities"])
            if missing["clock"] is None:
                try:
                    node.agent.request("clock-prove")
                except FaultlineError as error:
                    missing["clock"] = str(error)
            for kind in ("kill", "pause", "clock", "partition"):
                reason = missing.get(kind)
                print(f"fault     {node.host} {kind}: " + (f"no — {reason}" if reason else "ok"))
    return Exit.VALID


def _substrate(name: str) -> Iterator[str]:
    """One line for the substrate, one for each fault on it, tried on a database started for the purpose."""
    if name == "docker":
        yield from _images()
    target_name, nodes = TRIED_ON[name]
    plan = make_plan(Request(target=target_name, on=name, nodes=nodes))
    plan = plan.with_faults(tuple(sorted(SUBSTRATES[name].faults)))
    target = find_target(target_name)(
        image=plan.image, options=plan.options, timeouts=Timeouts(), workload=plan.workload
    )
    with SUBSTRATES[name].open(plan, "doctor") as cluster:
        facts = cluster.describe()
        yield f"substrate {name}: ok — " + ", ".join(f"{key} {value}" for key, value in facts.items() if value)
        target.start(cluster)
        yield f"database  {name}: ok — {target_name} {target.version(cluster.nodes[0])}"
        setting = Setting(cluster, target, StallGate(), plan.options)
        nemeses = {kind: find_nemesis(kind, type(target)) for kind in plan.faults}
        missing = prove(plan, nemeses, setting).missing
        for kind in plan.faults:
            yield f"fault     {name} {kind}: " + (f"no — {missing[kind]}" if kind in missing else "ok")
        target.stop(cluster)


def _images() -> Iterator[str]:
    for name in target_names():
        image = find_target(name).default_image
        if image:
            here = is_here(image)
            yield f"image     {image}: " + ("ok" if here else "no — pulled at first use, or `make images` builds it")
