"""`faultline heal` and `faultline clean`: what is done after a controller that crashed.

The agents have healed already when their controller is gone; these make sure of it, from the run's folder alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InfrastructureError, UsageError
from harness.nodes import docker, local
from harness.nodes.ssh_options import parse_options
from harness.store import RunFolder


def heal(path: Path, *, force: bool = False) -> str:
    """Undo every fault that a run left on its nodes; what was done, as a line.

    Raises UsageError while the run's controller lives (unless forced) or for a folder that is no run's.
    """
    folder = RunFolder(path.resolve())
    plan = folder.read_plan()
    if folder.held() and not force:
        raise UsageError(
            f"the controller of {path} still lives (pid {folder.holder()}) and heals at its end;"
            " stop it with Ctrl-C, or add --force"
        )
    if plan.on == "simulated":
        return f"{path}: a simulated run leaves nothing to heal"
    if plan.on == "ssh":
        return f"{path}: " + _on_hosts(folder.run_id, plan.hosts, plan.options)
    done = (local if plan.on == "local" else docker).heal(folder.run_id)
    return f"{path}: " + ("; ".join(done) if done else "nothing was left to heal")


def _on_hosts(run_id: str, hosts: Sequence[str], options: Mapping[str, Any]) -> str:
    """What was done, or could not be: then InfrastructureError."""
    from harness.nodes import ssh

    done = ssh.heal(run_id, hosts, options)
    if any(ssh.NOT_DONE in line for line in done):
        raise InfrastructureError("\n".join(done))
    return "; ".join(done) if done else "nothing was left"


def clean_hosts(hosts: Sequence[str], options: Mapping[str, str]) -> str:
    """Heal these hosts and remove what crashed runs left there; as text. Raises UsageError, InfrastructureError."""
    return _on_hosts("clean", hosts, parse_options(options))


def clean() -> str:
    """Remove what crashed runs left on this machine; what was removed, as text."""
    done = local.clean()
    try:
        done += docker.clean()
    except InfrastructureError as error:
        done.append(f"Docker was not looked at: {error}")
    return "\n".join(done) if done else "nothing was left"
