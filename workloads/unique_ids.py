"""Unique ids: every client asks for ids, and none may be handed out twice.

    invoke  generate  null → ok 4711

Idea: Jepsen's unique-ids. Cost: about 1 µs per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkers.collections.unique_ids import UniqueIds
from harness import generator as gen
from harness.op import invoke
from harness.workload import Workload


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless requests for ids."""
    return gen.repeat(invoke("generate"))


UNIQUE_IDS = Workload(
    name="unique-ids",
    doc="Every client asks for ids all the time; finds ids that are handed out twice.",
    fs=("generate",),
    generator=generator,
    checkers={"unique-ids": UniqueIds()},
    own_model="linearizable",
)
