"""The simulated target: what it offers and what it claims. How it runs: `targets.simulated.run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, Node
from harness.options import Option
from harness.target import Claim, KnownIssue, Session, SessionContext, SessionFactory, Timeouts
from targets.simulated.programs import REGISTRY
from targets.simulated.store import FLAWS


class OutsideTime(SessionFactory):
    """A workload of the simulated target: its ops run in simulated time, as `targets.simulated.programs`."""

    def __init__(self, local_reads: bool) -> None:
        self.local_reads = local_reads

    def setup(self, target: Any, cluster: Cluster) -> None:
        raise no_nodes()

    def open(self, target: Any, node: Node, context: SessionContext) -> Session:
        raise no_nodes()


class Simulated:
    """See `harness.target.Target`."""

    name: ClassVar[str] = "simulated"
    doc: ClassVar[str] = "a replicated store inside the process, in simulated time, with flaws to switch on"
    substrates: ClassVar[tuple[str, ...]] = ("simulated",)
    default_image: ClassVar[str] = ""
    default_nodes: ClassVar[int] = 5
    default_workload: ClassVar[str] = "append"
    options: ClassVar[Mapping[str, Option]] = {
        "flaw": Option("none", "what is wrong with the store", FLAWS),
        "trouble": Option(
            "some", "whether nodes are killed, paused and cut off, and answers get lost", ("some", "none")
        ),
    }
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        name: OutsideTime("local-read" in programs.by_f) for name, programs in REGISTRY.items()
    }
    faults: ClassVar[tuple[str, ...]] = ()
    known_issues: ClassVar[tuple[KnownIssue, ...]] = ()

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        check_flaw(workload, options["flaw"])

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """The strongest there is; a flaw breaks the promise, it does not lower it."""
        words = "Without a flaw every transaction takes effect at one instant between its beginning and its end."
        return Claim(REGISTRY[workload].claim, words, "")

    def start(self, cluster: Cluster) -> None:
        raise no_nodes()

    def stop(self, cluster: Cluster) -> None:
        raise no_nodes()

    def await_node(self, node: Node, timeout_s: float) -> None:
        raise no_nodes()

    def version(self, node: Node) -> str:
        raise no_nodes()


def check_flaw(workload: str, flaw: str) -> None:
    """Raises UsageError when the workload can't show the flaw: its pass would prove nothing."""
    if flaw != "none" and flaw not in REGISTRY[workload].named_as:
        able = ", ".join(name for name, programs in REGISTRY.items() if flaw in programs.named_as)
        raise UsageError(f"option flaw={flaw!r} can't show in workload {workload!r}: choose {able}")


def no_nodes() -> InfrastructureError:
    """Nothing of the simulated target runs on nodes."""
    return InfrastructureError("the simulated target runs in simulated time, inside the controller: it has no nodes")
