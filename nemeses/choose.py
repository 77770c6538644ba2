"""Choosing nodes by a random stream, and doing something on several of them at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from harness.nodes.base import Cluster, Node, node_named
from harness.options import Option

Answer = TypeVar("Answer")

SHARES = (("one", 5), ("minority", 2), ("majority", 2), ("all", 1))
"""How often a fault takes how many nodes: most often one, which a replicated database must survive; seldom all."""


def share_option(kind: str) -> dict[str, Option]:
    """`KIND-nodes`: what OPTS= may say about how many nodes a fault takes."""
    return {f"{kind}-nodes": Option("mix", "how many nodes are taken", ("mix", *(name for name, _ in SHARES)))}


def some_nodes(rng: random.Random, names: Sequence[str], share: str = "mix") -> list[str]:
    """One, a minority, a majority or all of the nodes, in the order of `names`. share mix: drawn, see SHARES."""
    if share == "mix":
        share = rng.choices([name for name, _ in SHARES], [weight for _, weight in SHARES])[0]
    half = len(names) // 2
    smallest, largest = {
        "one": (1, 1),
        "minority": (1, max(1, (len(names) - 1) // 2)),
        "majority": (half + 1, max(half + 1, len(names) - 1)),
        "all": (len(names), len(names)),
    }[share]
    chosen = set(rng.sample(list(names), rng.randint(smallest, min(largest, len(names)))))
    return [name for name in names if name in chosen]


def on_each(cluster: Cluster, names: Iterable[str], do: Callable[[Node], Answer]) -> dict[str, Answer]:
    """Do it on all these nodes at once; raises the first error after all have ended."""
    nodes = [node_named(cluster, name) for name in names]
    if not nodes:
        return {}
    with ThreadPoolExecutor(len(nodes), thread_name_prefix="nemesis") as pool:
        futures = [(node.name, pool.submit(do, node)) for node in nodes]
    return {name: future.result() for name, future in futures}
