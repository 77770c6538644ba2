"""Operations in words that fit in a box: `append 12 to x`, `read x → [1 2 3]`, `cas y: 2 → 3`.

Values come from a database and may be anything; the text is plain (not yet escaped) and bounded in length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MICRO_OPS = ("append", "r", "w")
KEPT_AT_ENDS = 4
"""Of a long list, how many elements at each end are shown: the end is what a read saw last."""


def short(value: Any, width: int = 60) -> str:
    """A value as compact text, at most `width` characters, elided in the middle."""
    text = _text(value)
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + "…" + text[-(width - 1 - head) :]


def lines(f: str, value: Any, *, known: bool = True, width: int = 44) -> list[str]:
    """An operation as one line for each thing it does. known: whether its reads' results are (it ended ok)."""
    if is_transaction(value):
        return [micro_op(micro, known=known, width=width) for micro in value]
    return [single(f, value, known=known, width=width)]


def one_line(f: str, value: Any, *, known: bool = True, width: int = 160) -> str:
    """An operation on one line."""
    return _clip("; ".join(lines(f, value, known=known)), width)


def is_transaction(value: Any) -> bool:
    """Whether it is a non-empty list of micro-ops `[f, key, value]`."""
    return _is_list(value) and len(value) > 0 and all(_is_list(m) and len(m) == 3 and m[0] in MICRO_OPS for m in value)


def micro_op(micro: Sequence[Any], *, known: bool = True, width: int = 44) -> str:
    """`["r", "x", [1, 2]]` → `read x → [1 2]`."""
    f, key, value = micro
    match f:
        case "append":
            return _clip(f"append {short(value, 20)} to {short(key, 20)}", width)
        case "w":
            return _clip(f"write {short(key, 20)} = {short(value, 20)}", width)
        case _:
            name = f"read {short(key, 20)}"
            return f"{name} → {_seen(value, max(width - len(name) - 3, 12))}" if known else name


def single(f: str, value: Any, *, known: bool = True, width: int = 44) -> str:
    """An operation that is no transaction: `read`, `write`, `cas` on a register, anything else as it is."""
    key = ""
    if (
        f in ("read", "write", "cas", "r", "w")
        and _is_list(value)
        and len(value) == 2
        and (f != "cas" or _is_list(value[1]))
    ):
        key, value = f" {short(value[0], 20)}", value[1]
    match f:
        case "read" | "r":
            return _clip(f"read{key} → {_seen(value, max(width - 10, 12))}" if known else f"read{key}", width)
        case "write" | "w":
            return _clip(f"write{key} = {short(value, 24)}", width)
        case "leave" if _is_list(value) and len(value) == 3:
            pair, member, result = value
            text = f"pair {short(pair, 12)}, member {short(member, 12)}: leave"
            return _clip(f"{text} → {short(result, 12)}" if known else text, width)
        case "cas" if _is_list(value) and len(value) == 2:
            return _clip(f"set{key} to {short(value[1], 16)} if it is {short(value[0], 16)}", width)
        case _:
            return _clip(f if value is None else f"{f} {short(value, width)}", width)


def _seen(value: Any, width: int) -> str:
    if value is None:
        return "nothing"
    if _is_list(value) and (2 * len(value) + 1 > width or len(_text(value)) > width):
        kept = KEPT_AT_ENDS
        while kept > 1 and len(_text(value[:1])) + len(_text(value[-kept:])) + 12 > width:
            kept -= 1
        return _clip(f"[{_text(value[0])} … {' '.join(_text(v) for v in value[-kept:])}] ({len(value)})", width)
    return short(value, width)


def _text(value: Any) -> str:
    kind = type(value)
    if kind is int:
        return repr(value)
    if value is None:
        return "nil"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)} {_text(v)}" for k, v in value.items()) + "}"
    if _is_list(value):
        if len(value) > 400:
            return f"[{' '.join(map(_text, value[:200]))} … {' '.join(map(_text, value[-200:]))}]"
        return "[" + " ".join(map(_text, value)) + "]"
    return str(value)


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
