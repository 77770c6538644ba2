"""A lock that guards a value: clients take it, change the value, give it back.

    invoke  acquire  [3, null]   ok    acquire  [3, 7]             with fencing token 7 (null where there are none)
                                 fail  acquire  [3, null]          somebody holds it
    invoke  update   [3, 7]      ok    update   [3, [7, 41, 42]]   found 41 and wrote 42
    invoke  release  [3, 7]      ok    release  [3, 7]

Each client that got a lock updates the guarded value once or twice and releases it. A lock is retired after
`GRANTS_PER_LOCK` grants, or as soon as an acquire or release of it has an unknown outcome, since nobody may ever
release it then. Locks are never used again. Idea: Jepsen's lock tests, with the value that a lock is there to guard.
Cost: O(locks) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.ordering.lock import Lock
from harness import generator as gen
from harness.generator import PENDING, Context, Pending
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

LOCKS_OF_A_PHASE = 100_000_000
"""Where the next phase's locks begin."""
GRANTS_PER_LOCK = 200
"""How often a lock is taken."""


class Locks(msgspec.Struct, frozen=True):
    """locks: those in use. grants: how often each was taken. following: the next new one.
    holders: process → (lock, token, updates left)."""

    locks: tuple[int, ...]
    grants: tuple[int, ...]
    following: int
    holders: Mapping[int, tuple[int, Any, int]] = {}

    def retired(self, lock: Any) -> Locks:
        """With a new lock in the place of this one."""
        if lock not in self.locks:
            return self
        place = self.locks.index(lock)
        locks = (*self.locks[:place], self.following, *self.locks[place + 1 :])
        grants = (*self.grants[:place], 0, *self.grants[place + 1 :])
        return msgspec.structs.replace(self, locks=locks, grants=grants, following=self.following + 1)


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless rounds of acquire, update and release. Options: see `LOCK`."""
    count = options["locks"]
    first = options.get("phase", 0) * LOCKS_OF_A_PHASE
    return gen.unfold(Locks(tuple(range(first, first + count)), (0,) * count, first + count), _emit, _learn)


def _emit(locks: Locks, context: Context) -> tuple[Op | Pending, Locks]:
    for process in context.free.values():
        held = locks.holders.get(process)
        if held is None:
            return invoke("acquire", [context.random.choice(locks.locks), None]).replace(process=process), locks
        lock, token, left = held
        if left > 0:
            holders = {**locks.holders, process: (lock, token, left - 1)}
            op = invoke("update", [lock, token]).replace(process=process)
            return op, msgspec.structs.replace(locks, holders=holders)
        holders = {other: hold for other, hold in locks.holders.items() if other != process}
        op = invoke("release", [lock, token]).replace(process=process)
        return op, msgspec.structs.replace(locks, holders=holders)
    return PENDING, locks


def _learn(locks: Locks, context: Context, event: Op) -> Locks:
    if event.type == "invoke" or not isinstance(event.process, int):
        return locks
    alive = set(context.processes.values())
    holders = {process: hold for process, hold in locks.holders.items() if process in alive}
    lock: Any = event.value[0] if isinstance(event.value, list | tuple) else None
    if event.type == "info" or (event.f == "release" and event.type != "ok"):
        holders.pop(event.process, None)
        return msgspec.structs.replace(locks, holders=holders).retired(lock)
    if event.f == "acquire" and event.type == "ok":
        holders[event.process] = (lock, event.value[1], 1 + context.random.randrange(2))
        locks = msgspec.structs.replace(locks, holders=holders)
        if lock in locks.locks:
            place = locks.locks.index(lock)
            grants = (*locks.grants[:place], locks.grants[place] + 1, *locks.grants[place + 1 :])
            locks = msgspec.structs.replace(locks, grants=grants)
            return locks.retired(lock) if grants[place] >= GRANTS_PER_LOCK else locks
        return locks
    gone = locks.holders.keys() - holders.keys()
    for process in gone:
        locks = locks.retired(locks.holders[process][0])
    return msgspec.structs.replace(locks, holders=holders)


_TTL = Option(0.0, "the lease of a lock in seconds, after which its holder may not count on it; 0: none", least=0.0)

LOCK = Workload(
    name="lock",
    doc=(
        "Clients take a lock, change the value that it guards, and give it back. Finds two holders at once, tokens that"
        " do not grow, and updates that were lost although every client held the lock."
    ),
    fs=("acquire", "update", "release"),
    generator=generator,
    checkers={"lock": Lock()},
    own_model="linearizable",
    options={
        "locks": Option(3, "how many locks are in use at a time", least=1, most=1000),
        "ttl_s": _TTL,
    },
    check_options={"ttl_s": _TTL},
)
