"""Watchers that follow a log of writes: does each see every event, once, in order?

    invoke  write  [4, 17]          ok  write  [4, 17, 260]           the revision, where the database tells it
    invoke  watch  [1, 255, null]   ok  watch  [1, 255, [[257, 4, 16], [260, 4, 17]], 261]
                                    ok  watch  [1, 255, "compacted", 300]

Each watcher is a name, and goes on where its last answer ended, whatever client asks for it: connections come and go, a
watch must not skip or repeat anything. Values are unique. The final watches follow until an answer is empty.
Idea: Jepsen's etcd watch test. Cost: O(watchers) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.ordering.watch import Watch
from harness import generator as gen
from harness.generator import PENDING, Context, Pending
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS = 3
"""How many keys are written."""
VALUES_OF_A_PHASE = 1_000_000_000
"""Where the next phase's values begin."""
WATCHERS_OF_A_PHASE = 1_000
"""Where the next phase's watchers begin."""


class Watchers(msgspec.Struct, frozen=True):
    """nexts: watcher → the revision from which it goes on. busy: watchers whose answer is awaited. done: those that
    were given an empty answer (final watches)."""

    nexts: Mapping[int, int]
    value: int
    busy: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless writes and watches. Options: see `WATCH`."""
    phase, watch_share = options.get("phase", 0), options["watch-percent"] / 100
    first = phase * WATCHERS_OF_A_PHASE
    watchers = Watchers(dict.fromkeys(range(first, first + options["watchers"]), 1), phase * VALUES_OF_A_PHASE)

    def step(state: Watchers, context: Context) -> tuple[Op, Watchers]:
        chance = context.random
        idle = [watcher for watcher in state.nexts if watcher not in state.busy]
        if idle and chance.random() < watch_share:
            return _watch(state, chance.choice(idle))
        op = invoke("write", [chance.randrange(KEYS), state.value])
        return op, msgspec.structs.replace(state, value=state.value + 1)

    return gen.unfold(watchers, step, _learn)


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """New watchers, as many, from the beginning until an answer is empty."""
    first = WATCHERS_OF_A_PHASE - options["watchers"]

    def step(state: Watchers, context: Context) -> tuple[Op | Pending, Watchers] | None:
        left = [watcher for watcher in state.nexts if watcher not in state.done]
        if not left:
            return None
        idle = [watcher for watcher in left if watcher not in state.busy]
        return _watch(state, idle[0]) if idle else (PENDING, state)

    watchers = Watchers(dict.fromkeys(range(first, first + options["watchers"]), 1), 0)
    return gen.unfold(watchers, step, _learn)


def _watch(state: Watchers, watcher: int) -> tuple[Op, Watchers]:
    op = invoke("watch", [watcher, state.nexts[watcher], None])
    return op, msgspec.structs.replace(state, busy=state.busy | {watcher})


def _learn(state: Watchers, context: Context, event: Op) -> Watchers:
    if event.f != "watch" or event.type == "invoke" or event.value[0] not in state.nexts:
        return state
    watcher = event.value[0]
    state = msgspec.structs.replace(state, busy=state.busy - {watcher})
    if event.type != "ok":
        return state
    nexts = {**state.nexts, watcher: event.value[3]}
    done = state.done if event.value[2] else state.done | {watcher}
    return msgspec.structs.replace(state, nexts=nexts, done=done)


WATCH = Workload(
    name="watch",
    doc=(
        "Writers, and watchers that follow what they write. Finds events that a watcher never saw, saw twice or in the"
        " wrong order, also across connections."
    ),
    fs=("write", "watch"),
    generator=generator,
    final_generator=final_generator,
    checkers={"watch": Watch()},
    own_model="linearizable",
    options={
        "watchers": Option(4, "how many watchers there are", least=1, most=400),
        "watch-percent": Option(40, "how many of a hundred ops are watches", least=1, most=90),
    },
)
