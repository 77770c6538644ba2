"""Random histories as text, in EDN and as JSON lines: the same ops written in many ways, and many kinds of values.

Most are histories (an index that grows, completions of open ops); what a mutation then makes of them need not be.
"""

from __future__ import annotations

import json
import random
from typing import Any

NUMBERS = (0, 1, 2, -1, 17, 10**17, 10**18 - 1, 10**18, 2**63 - 1, 2**63, -(2**63), -(2**63) + 1, 10**30)
TEXTS = ("", "x", "no answer", 'a "quote"', "back\\slash", "nil", "a\tb", "é", "line\nline", ":r", "#_", ";", "[")
PLAIN_TEXTS = ("n1", "n2", "timeout: no answer", "")


def random_ops(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Op maps that are a history. Values are whatever a history's may be, mostly transactions and registers' values."""
    kind = rng.choice(["txn", "txn", "register", "keyed", "any"])
    ops: list[dict[str, Any]] = []
    open_fs: dict[int, str] = {}
    time_ns = 0
    has_index, has_time = rng.random() < 0.9, rng.random() < 0.9
    for place in range(count):
        time_ns += rng.randrange(1000)
        process = rng.randrange(4)
        op: dict[str, Any] = {}
        if has_index:
            op["index"] = place * 2 if kind == "any" else place
        if has_time:
            op["time"] = time_ns
        if rng.random() < 0.05:
            value = {"id": rng.randrange(3), "kind": "kill"} if rng.random() < 0.5 else random_value(rng, "any")
            op |= {"type": rng.choice(["invoke", "info"]), "process": "nemesis", "f": "inject", "value": value}
        elif process in open_fs:
            type_, f = rng.choice(["ok", "ok", "fail", "info"]), open_fs.pop(process)
            op |= {"type": type_, "process": process, "f": f, "value": random_value(rng, kind, f)}
            if type_ != "ok":
                op["error"] = rng.choice([None, "timeout", "no answer", ["timeout", 7], rng.choice(TEXTS)])
        else:
            f = "txn" if kind == "txn" else rng.choice(["read", "write", "cas"])
            open_fs[process] = f
            op |= {"type": "invoke", "process": process, "f": f, "value": random_value(rng, kind, f)}
        if rng.random() < 0.3:
            op["node"] = rng.choice([*PLAIN_TEXTS, rng.choice(TEXTS), None])
        if rng.random() < 0.1:
            op["extra"] = random_value(rng, "any")
        if op["value"] is None and rng.random() < 0.3:
            del op["value"]
        ops.append(op)
    return ops


def random_value(rng: random.Random, kind: str, f: str = "read") -> Any:
    """A value of a history of some kind, now and then one of another kind."""
    if rng.random() < 0.03:
        kind = rng.choice(["txn", "register", "keyed", "any"])
    number = rng.randrange(9) if rng.random() < 0.9 else rng.choice(NUMBERS)
    if kind == "txn":
        return [_micro_op(rng) for _ in range(rng.choice([0, 1, 1, 2, 2, 3]))]
    if kind in ("register", "keyed"):
        value = None if f == "read" and rng.random() < 0.5 else [rng.randrange(5), number] if f == "cas" else number
        return [rng.randrange(3), value] if kind == "keyed" else value
    if rng.random() < 0.6:
        return rng.choice([None, True, False, number, 1.5, -0.25, 1e300, rng.choice(TEXTS)])
    if rng.random() < 0.2:
        return {rng.choice(TEXTS): random_value(rng, "any") for _ in range(rng.randrange(3))}
    return [random_value(rng, "any") for _ in range(rng.randrange(4))]


def _micro_op(rng: random.Random) -> list[Any]:
    key = rng.randrange(5) if rng.random() < 0.97 else rng.choice([*NUMBERS, "x", None])
    f = rng.choice(["r", "append"]) if rng.random() < 0.9 else rng.choice(["w", "x", ":r"])
    number = rng.randrange(40) if rng.random() < 0.98 else rng.choice([*NUMBERS, "x"])
    if f == "r":
        return [f, key, rng.choice([None, number, [rng.randrange(40) for _ in range(rng.randrange(6))]])]
    return [f, key, number] if rng.random() < 0.98 else [f, key]


def as_edn(rng: random.Random, ops: list[dict[str, Any]], plain: float) -> str:
    """The ops as EDN. plain: how likely each is written as Jepsen writes it."""
    text = ""
    for op in ops:
        odd = rng.random() >= plain
        fields = list(op.items())
        if odd and rng.random() < 0.3:
            rng.shuffle(fields)
        gap = rng.choice([", ", " ", ",", "  ", "\n ", " ;; c }\n"]) if odd else ", "
        form = "{" + gap.join(f":{name} {_field(rng, name, value, odd)}" for name, value in fields) + "}"
        if odd:
            form = rng.choice(["", "", "#jepsen.history.Op", "#jepsen.history.Op ", "#_ {:a [1} ", " ", "\n"]) + form
            form = form.replace("#_ {:a [1} ", "#_ {:a 1} ")
            form += rng.choice(["", "", " ", "\r", " ; that was it", ","])
        text += form + (rng.choice(["\n", "\n\n", " ", "\r\n"]) if odd and not form.endswith("it") else "\n")
    return text if rng.random() < 0.9 else text.rstrip("\n")


def _field(rng: random.Random, name: str, value: Any, odd: bool) -> str:
    if name in ("type", "f") or (name == "process" and isinstance(value, str)):
        return f":{value}"
    if name == "error" and isinstance(value, str) and value.isalpha():
        return f":{value}"
    return edn_value(rng, value, odd)


def edn_value(rng: random.Random, value: Any, odd: bool, first: bool = False) -> str:
    """A value as EDN; odd: perhaps in an unusual way. first: it is the first part of a vector."""
    if value is None:
        return "nil"
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, str):
        if first and value.isalpha() and not (odd and rng.random() < 0.1):
            return f":{value}"
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, int):
        return f"{value}N" if odd and rng.random() < 0.1 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{edn_value(rng, k, odd)} {edn_value(rng, v, odd)}" for k, v in value.items()) + "}"
    gap = rng.choice([" ", ", ", "  ", " #_ x ", "\n"]) if odd else " "
    inside = gap.join(edn_value(rng, part, odd, place == 0) for place, part in enumerate(value))
    opening, closing = rng.choice([("[", "]"), ("[ ", " ]"), ("(", ")"), ("#{", "}")]) if odd else ("[", "]")
    tag = rng.choice(["", "", "", "#jepsen.independent.Tuple ", "#t/x"]) if odd else ""
    return tag + opening + inside + closing


def as_json_lines(rng: random.Random, ops: list[dict[str, Any]], plain: float) -> str:
    """The ops as JSON lines. plain: how likely each is written as our journal writes it."""
    text = ""
    for op in ops:
        odd = rng.random() >= plain
        fields = list(op.items())
        if odd:
            rng.shuffle(fields)
            if rng.random() < 0.2:
                fields = [(name, f":{value}" if name in ("type", "f") else value) for name, value in fields]
        fields = [("time_ns" if name == "time" and rng.random() < 0.7 else name, value) for name, value in fields]
        separators = rng.choice([(",", ":"), (", ", ": "), (" , ", " :\t")]) if odd else (",", ":")
        line = json.dumps(dict(fields), separators=separators, ensure_ascii=rng.random() < 0.5)
        if odd:
            line = rng.choice(["", " ", "\n"]) + line + rng.choice(["", " ", "\r"])
        text += line + "\n"
    return text if rng.random() < 0.9 else text.rstrip("\n")
