"""How long from a decision to its effect: one signal, one clock patch, one partition rule. Bound: 10 ms each (median).

The time is taken in the controller, from before the request is sent until its answer is there; the agent answers once
it has seen the effect (all threads stopped, the patched bytes read back, the rules committed). So it is an upper bound.

    python -m benchmarks.agent            the rule needs a Docker engine and the sandbox image; else it is left out
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

from harness.errors import InfrastructureError
from harness.nodes.base import Agent, Database
from harness.nodes.local import LocalCluster

BOUND_MS = 10.0
REPEATS = 100


def timed_ms(do: Callable[[], object], undo: Callable[[], object]) -> list[float]:
    """Milliseconds of each `do`, after a few to warm up."""
    times = []
    for number in range(REPEATS + 5):
        began = time.perf_counter()
        do()
        took_ms = (time.perf_counter() - began) * 1e3
        undo()
        if number >= 5:
            times.append(took_ms)
    return times


def tell(name: str, times_ms: Sequence[float]) -> bool:
    """Print one line; whether the median is within the bound."""
    median, last = statistics.median(times_ms), sorted(times_ms)[int(len(times_ms) * 0.99) - 1]
    within = median < BOUND_MS
    print(f"{name:28} median {median:6.2f} ms   p99 {last:6.2f} ms   {'ok' if within else 'too slow'}")
    return within


def on_local() -> list[bool]:
    with LocalCluster(run_id="benchmark", nodes=1) as cluster:
        node = cluster.nodes[0]
        node.install(Database(argv=["sleep", "600"]))
        node.start_db()
        return of_process("local", node.agent)


def on_pods() -> list[bool]:
    from harness.nodes.docker import DockerCluster

    with DockerCluster(run_id="benchmark", nodes=1, image="") as cluster:
        agent = cluster.nodes[0].agent
        key, source = "benchmark", "198.51.100.7"
        rule = timed_ms(
            lambda: agent.request("drop", key=key, sources=[source]), lambda: agent.request("undrop", key=key)
        )
        return [tell("docker: one rule", rule)]


def of_process(where: str, agent: Agent) -> list[bool]:
    signal = timed_ms(lambda: agent.request("pause"), lambda: agent.request("resume"))
    patch = timed_ms(lambda: agent.request("clock", offset_s=60.0), lambda: agent.request("clock-reset"))
    agent.request("clock", offset_s=60.0)
    word = timed_ms(lambda: agent.request("clock", offset_s=-60.0), lambda: None)
    answer = timed_ms(lambda: agent.request("port"), lambda: None)
    return [
        tell(f"{where}: a plain answer", answer),
        tell(f"{where}: one signal", signal),
        tell(f"{where}: one patch", patch),
        tell(f"{where}: one patch, again", word),
    ]


def main() -> int:
    results = on_local()
    try:
        results += on_pods()
    except InfrastructureError as error:
        print(f"docker: one rule             left out: {error}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
