"""Random small register histories for property tests: a store that is sometimes careless, and sometimes liars.

`weak`: how a transaction sees the store: "serial" (at one instant), "snapshot" (at its start, commits in any case),
"checked" (the same, and the first committer of a key wins), "each" (each read at its own moment, perhaps stale),
"made-up" (every read shows anything that somebody wrote last, or nothing). Then some reads may be corrupted.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from tests.checkers.txn_histories import _without_reuse

Op = dict[str, Any]


@st.composite
def register_histories(draw: Any, txns: int = 5, keys: int = 2, mops: int = 3, corrupt: bool = True) -> list[Op]:
    """Op maps of a register history with invocations."""
    rng = draw(st.randoms(use_true_random=False))
    return random_register_history(rng, rng.randint(1, txns), rng.randint(1, keys), mops, corrupt)


def random_register_history(rng: random.Random, txns: int, keys: int, mops: int, corrupt: bool) -> list[Op]:
    """One history, made by a random interleaving of invocations, reads, commits and completions."""
    processes = rng.randint(1, 4)
    weak = rng.choice(["serial", "snapshot", "checked", "each", "made-up", "made-up"])
    writing = rng.choice([0.3, 0.5, 0.6])
    unknown, failed = rng.choice([(0.0, 0.0), (0.2, 0.1), (0.1, 0.3)])
    store: list[dict[int, int]] = [{}]
    next_value = dict.fromkeys(range(keys), 0)
    running: dict[int, dict[str, Any]] = {}
    ops: list[Op] = []
    begun = 0
    while begun < txns or running:
        slot = rng.randrange(processes)
        if slot not in running:
            if begun == txns:
                continue
            body: list[list[Any]] = []
            for _ in range(rng.randint(1, mops)):
                key = rng.randrange(keys)
                if rng.random() < writing:
                    next_value[key] += 1
                    body.append(["w", key, next_value[key]])
                else:
                    body.append(["r", key, None])
            begun += 1
            running[slot] = {"process": slot, "body": body, "from": len(store) - 1, "step": 0}
            ops.append({"type": "invoke", "process": slot, "f": "txn", "value": body})
            continue
        txn = running[slot]
        txn["step"] += 1
        if txn["step"] == 1:
            _execute(rng, txn, store, weak)
            fate = rng.random()
            txn["type"] = "fail" if fate < failed else "info" if fate < failed + unknown else "ok"
            mine = {m[1] for m in txn["body"] if m[0] == "w"}
            if weak == "checked" and any(store[-1].get(k) != store[txn["from"]].get(k) for k in mine):
                txn["type"] = "fail"
                continue
            lenient = 0.6 if txn["type"] == "info" else 0.1
            if txn["type"] == "ok" or rng.random() < lenient:
                store.append({**store[-1], **{m[1]: m[2] for m in txn["body"] if m[0] == "w"}})
            continue
        del running[slot]
        if txn["type"] == "info" and rng.random() < 0.3:
            continue
        shown = txn["seen"] if txn["type"] == "ok" else txn["body"]
        ops.append({"type": txn["type"], "process": slot, "f": "txn", "value": shown})
        if txn["type"] == "info":
            ops[-1]["process"] = slot
    if weak == "made-up":
        _make_up(rng, ops)
    if corrupt:
        for _ in range(rng.choice([0, 0, 1, 2])):
            corrupted(rng, ops)
    return [{**op, "index": i, "time": 1000 * i} for i, op in enumerate(_without_reuse(ops))]


def _execute(rng: random.Random, txn: dict[str, Any], store: list[dict[int, int]], weak: str) -> None:
    own: dict[int, int] = {}
    seen = []
    for name, key, value in txn["body"]:
        if name == "w":
            own[key] = value
            seen.append([name, key, value])
            continue
        at = len(store) - 1
        if weak in ("snapshot", "checked"):
            at = txn["from"]
        elif weak == "each" and rng.random() < 0.4:
            at = rng.randrange(len(store))
        shown = own.get(key, store[at].get(key))
        seen.append([name, key, shown])
    txn["seen"] = seen


def _make_up(rng: random.Random, ops: list[Op]) -> None:
    """Replace what was read from others by anything that was written to the key by a transaction that may have been."""
    failed = {id(op["value"]) for op in ops if op["type"] == "fail"}
    last: dict[int, list[int | None]] = {}
    for op in ops:
        if op["type"] == "invoke" and (id(op["value"]) not in failed or rng.random() < 0.05):
            for key, value in {m[1]: m[2] for m in op["value"] if m[0] == "w"}.items():
                last.setdefault(key, [None]).append(value)
    for i, op in enumerate(ops):
        if op["type"] != "ok":
            continue
        own: dict[int, int | None] = {}
        body = []
        for name, key, value in op["value"]:
            if name == "r" and key not in own:
                mine = {m[2] for m in op["value"] if m[0] == "w" and m[1] == key}
                own[key] = rng.choice([v for v in last.get(key, [None]) if v not in mine])
            elif name == "w":
                own[key] = value
            body.append([name, key, own[key]])
        ops[i] = {**op, "value": body}


def corrupted(rng: random.Random, ops: list[Op]) -> None:
    """Change one read to what somebody else wrote, to nothing, or rarely to what nobody wrote."""
    reads = [
        (i, j) for i, op in enumerate(ops) if op["type"] == "ok" for j, mop in enumerate(op["value"]) if mop[0] == "r"
    ]
    if not reads:
        return
    i, j = rng.choice(reads)
    _, key, _ = ops[i]["value"][j]
    written = [m[2] for op in ops if op["type"] == "invoke" for m in op["value"] if m[0] == "w" and m[1] == key]
    body = list(ops[i]["value"])
    body[j] = ["r", key, rng.choice([*written, *written, None, 77])]
    ops[i] = {**ops[i], "value": body}
