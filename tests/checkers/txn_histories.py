"""Random small transactional histories for property tests: a store that is sometimes careless, and sometimes liars.

`weak`: how a transaction sees the store: "serial" (at one instant), "snapshot" (at its start, commits in any case),
"each" (each read at its own moment, perhaps stale), "made-up" (each key has some order of its appends, and every read
shows some beginning of it that agrees with what the transaction itself did). Then some reads may be corrupted.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

Op = dict[str, Any]


@st.composite
def append_histories(draw: Any, txns: int = 5, keys: int = 2, mops: int = 3, corrupt: bool = True) -> list[Op]:
    """Op maps of a list-append history with invocations."""
    rng = draw(st.randoms(use_true_random=False))
    return random_append_history(rng, rng.randint(1, txns), rng.randint(1, keys), mops, corrupt)


def random_append_history(rng: random.Random, txns: int, keys: int, mops: int, corrupt: bool) -> list[Op]:
    """One history, made by a random interleaving of invocations, reads, commits and completions."""
    processes = rng.randint(1, 4)
    weak = rng.choice(["serial", "snapshot", "each", "made-up", "made-up"])
    unknown, failed = rng.choice([(0.0, 0.0), (0.2, 0.1), (0.1, 0.3)])
    store: list[dict[int, list[int]]] = [{}]
    next_value = dict.fromkeys(range(keys), 0)
    running: dict[int, dict[str, Any]] = {}
    ops: list[Op] = []
    begun = 0
    crashed = 0
    while begun < txns or running:
        slot = rng.randrange(processes)
        if slot not in running:
            if begun == txns:
                if not running:
                    break
                continue
            body = []
            for _ in range(rng.randint(1, mops)):
                key = rng.randrange(keys)
                if rng.random() < 0.5:
                    body.append(["r", key, None])
                else:
                    next_value[key] += 1
                    body.append(["append", key, next_value[key]])
            begun += 1
            process = slot + 10 * crashed if rng.random() < 0.1 else slot
            running[slot] = {"process": process, "body": body, "from": len(store) - 1, "step": 0}
            ops.append({"type": "invoke", "process": process, "f": "txn", "value": body})
            continue
        txn = running[slot]
        txn["step"] += 1
        if txn["step"] == 1:
            _execute(rng, txn, store, weak)
            fate = rng.random()
            txn["type"] = "fail" if fate < failed else "info" if fate < failed + unknown else "ok"
            lenient = 0.6 if txn["type"] == "info" else 0.15
            if txn["type"] == "ok" or rng.random() < lenient:
                _commit(txn, store)
            continue
        del running[slot]
        shown = txn["seen"] if txn["type"] == "ok" else txn["body"]
        if txn["type"] == "info":
            crashed += 1
            if rng.random() < 0.3:
                continue
        ops.append({"type": txn["type"], "process": txn["process"], "f": "txn", "value": shown})
    if weak == "made-up":
        _make_up(rng, ops, keys)
    if corrupt:
        for _ in range(rng.choice([0, 0, 1, 2])):
            _corrupt(rng, ops)
    return [{**op, "index": i, "time": 1000 * i} for i, op in enumerate(_without_reuse(ops))]


def _without_reuse(ops: list[Op]) -> list[Op]:
    """A process that never completed does not come back: later ops of it get a new number."""
    busy: set[int] = set()
    renamed: dict[int, int] = {}
    result = []
    for op in ops:
        name = renamed.get(op["process"], op["process"])
        if op["type"] == "invoke":
            if name in busy:
                name = renamed[op["process"]] = 1000 + len(result)
            busy.add(name)
        else:
            busy.discard(name)
            if op["type"] == "info":
                busy.add(name)
        result.append({**op, "process": name})
    return result


def _execute(rng: random.Random, txn: dict[str, Any], store: list[dict[int, list[int]]], weak: str) -> None:
    own: dict[int, list[int]] = {}
    seen = []
    for name, key, value in txn["body"]:
        if name == "append":
            own.setdefault(key, []).append(value)
            seen.append([name, key, value])
            continue
        at = len(store) - 1
        if weak == "snapshot":
            at = txn["from"]
        elif weak == "each" and rng.random() < 0.4:
            at = rng.randrange(len(store))
        shown = [*store[at].get(key, []), *own.get(key, [])]
        seen.append([name, key, shown or rng.choice([None, []])])
    txn["seen"] = seen


def _commit(txn: dict[str, Any], store: list[dict[int, list[int]]]) -> None:
    after = {key: list(values) for key, values in store[-1].items()}
    for name, key, value in txn["body"]:
        if name == "append":
            after.setdefault(key, []).append(value)
    store.append(after)


def _make_up(rng: random.Random, ops: list[Op], keys: int) -> None:
    """Replace what was read by beginnings of one random order of each key's appends."""
    bodies = [op["value"] for op in ops if op["type"] == "invoke"]
    failed = [op["value"] for op in ops if op["type"] == "fail" and rng.random() < 0.95]
    orders: dict[int, list[int]] = {}
    for key in range(keys):
        blocks = [[m[2] for m in body if m[0] == "append" and m[1] == key] for body in bodies if body not in failed]
        rng.shuffle(blocks)
        orders[key] = [value for block in blocks for value in block]
        if rng.random() < 0.05:
            rng.shuffle(orders[key])
    for i, op in enumerate(ops):
        if op["type"] != "ok":
            continue
        known: dict[int, int] = {}
        body = []
        for name, key, value in op["value"]:
            if name == "append":
                known[key] = orders[key].index(value) + 1 if value in orders[key] else 0
                body.append([name, key, value])
                continue
            if key not in known:
                own = [m[2] for m in op["value"] if m[0] == "append" and m[1] == key]
                limit = min((orders[key].index(v) for v in own if v in orders[key]), default=len(orders[key]))
                known[key] = limit if own and rng.random() < 0.6 else rng.randint(0, limit)
            body.append([name, key, orders[key][: known[key]]])
        ops[i] = {**op, "value": body}


def _corrupt(rng: random.Random, ops: list[Op]) -> None:
    """Change one read: drop an element, swap two, show one too many."""
    reads = [
        (i, j) for i, op in enumerate(ops) if op["type"] == "ok" for j, mop in enumerate(op["value"]) if mop[0] == "r"
    ]
    if not reads:
        return
    i, j = rng.choice(reads)
    name, key, values = ops[i]["value"][j]
    values = list(values or [])
    way = rng.randrange(4)
    if way == 0 and values:
        values.pop(rng.randrange(len(values)))
    elif way == 1 and len(values) > 1:
        a, b = rng.sample(range(len(values)), 2)
        values[a], values[b] = values[b], values[a]
    elif way == 2:
        others = [m[2] for op in ops if op["type"] == "invoke" for m in op["value"] if m[0] == "append" and m[1] == key]
        fresh = [v for v in others if v not in values]
        if fresh:
            values.insert(rng.randint(0, len(values)), rng.choice(fresh))
    elif values:
        values = values[: rng.randrange(len(values))]
    body = list(ops[i]["value"])
    body[j] = [name, key, values]
    ops[i] = {**ops[i], "value": body}
