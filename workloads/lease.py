"""Keys that live as long as their lease: none goes before its time, none stays after its lease was revoked.

    invoke  grant   [7, null]     ok    grant   [7, 2]        the key is there, for the TTL told (seconds) at least
    invoke  keep    [7, null]     ok    keep    [7, 2]        the TTL begins anew
                                  fail  keep    [7, null]     the lease has ended
    invoke  revoke  [7, null]     ok    revoke  [7, null]     the key is gone
    invoke  read    [7, null]     ok    read    [7, true]     whether the key is there

Any client may do any of these to any key. A key is granted once; it is left alone when it was found gone
`LOOKS_AFTER` times. Few are revoked, some are renewed now and then, the others run out.
Idea: what a service registry asks of leases. Cost: O(keys in use) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.ordering.lease import Lease
from harness import generator as gen
from harness.generator import Context
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS_OF_A_PHASE = 100_000_000
"""Where the next phase's keys begin."""
LOOKS_AFTER = 3
"""How often a key that is gone is looked at again."""
RENEWED_IN_TEN = 4
"""How many keys of ten are renewed at times; the others run out."""
LEASE_READ, LEASE_KEEP = 0.8, 0.97
"""Of draws from 0 to 1: below the first it is a read, below the second a renewal (of such a key), else a revocation."""


class Keys(msgspec.Struct, frozen=True):
    """live: key → how often it was found gone. following: the next new one."""

    live: Mapping[int, int]
    following: int


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless. Options: see `LEASE`."""
    most = options["keys"]

    def step(keys: Keys, context: Context) -> tuple[Op, Keys]:
        chance = context.random
        if not keys.live or (len(keys.live) < most and chance.random() < 0.3):
            number = keys.following
            live = {**keys.live, number: 0}
            return invoke("grant", [number, None]), Keys(live, number + 1)
        number = chance.choice(list(keys.live))
        draw = chance.random()
        if draw < LEASE_READ or (draw < LEASE_KEEP and number % 10 >= RENEWED_IN_TEN):
            return invoke("read", [number, None]), keys
        return invoke("keep" if draw < LEASE_KEEP else "revoke", [number, None]), keys

    return gen.unfold(Keys({}, options.get("phase", 0) * KEYS_OF_A_PHASE), step, _learn)


def _learn(keys: Keys, context: Context, event: Op) -> Keys:
    if event.type == "invoke" or not isinstance(event.value, list | tuple) or event.value[0] not in keys.live:
        return keys
    number = event.value[0]
    if event.f == "grant" and event.type != "ok":
        return _without(keys, number)
    if event.f == "read" and event.type == "ok" and not event.value[1]:
        looks = keys.live[number] + 1
        if looks > LOOKS_AFTER:
            return _without(keys, number)
        return msgspec.structs.replace(keys, live={**keys.live, number: looks})
    return keys


def _without(keys: Keys, number: int) -> Keys:
    return msgspec.structs.replace(keys, live={key: looks for key, looks in keys.live.items() if key != number})


LEASE = Workload(
    name="lease",
    doc=(
        "Keys under leases that are renewed, revoked or left to run out. Finds keys that went before their time, and"
        " keys that are there although their lease has ended."
    ),
    fs=("grant", "keep", "revoke", "read"),
    generator=generator,
    checkers={"lease": Lease()},
    own_model="linearizable",
    options={
        "ttl_s": Option(2.0, "the TTL that is asked for, seconds", least=1, most=3600),
        "keys": Option(40, "how many keys are in use at a time", least=1, most=1000),
    },
)
