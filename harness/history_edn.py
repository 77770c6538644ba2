"""Histories as EDN files: Jepsen's op maps, one a line, or one vector of them.

    {:index 0, :time 123, :type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:r 1 nil]]}

Written: type, f, the process of faults, the names of a transaction's micro-ops and the keys of fault records are
keywords, as Jepsen has them; every other string is a string. `:node` follows where an op has one.

Read: a line of the shape above is turned into JSON by three substitutions and decoded by msgspec (some 6 µs a
line); any other line, and a form that spans several, goes to the exact reader of `harness.edn`. The fast way accepts
only characters whose meaning is the same on both, and a line that JSON refuses goes the exact way too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from harness.edn import EdnError, dumps, keyword, read_form, skip_blank
from harness.op import NEMESIS, Op

_LINE = re.compile(
    r"(?:#jepsen\.history\.Op ?)?\{:index (\d{1,18}),? :time (-?\d{1,18}),? :type :(\w+),? :process (\d{1,18}),? "
    r":f :([a-zA-Z][\w\-]*),? :value ([\[\]\w\-: ,.]*)"
    r'(?:,? :error (?::([a-zA-Z][\w\-]*)|"([^"\\]*)"))?(?:,? :node "([^"\\]*)")?\}[ \r]*',
    re.ASCII,
)
_KEYWORD = re.compile(r":([a-zA-Z][\w\-]*)(?![\w\-.:])", re.ASCII)
_NIL = re.compile(r'(?<![\w"\-])nil(?![\w"\-])', re.ASCII)
_GAP = re.compile(r"[ ,]+")
_BARE = {"nil": None}
_decode = msgspec.json.Decoder().decode


def op_line(op: Op) -> str:
    """One op as a line of EDN, without the line's end."""
    nemesis = op.process == NEMESIS
    if nemesis:
        value = dumps(msgspec.to_builtins(op.value), keyword_keys=True)
    elif op.f == "txn" and isinstance(op.value, list | tuple):
        value = "[" + " ".join(map(_micro_op, op.value)) + "]"
    else:
        value = dumps(op.value)
    process = keyword(op.process) if isinstance(op.process, str) else op.process
    line = (
        f"{{:index {op.index}, :time {op.time_ns}, :type :{op.type}, :process {process}, :f {keyword(op.f)}, "
        f":value {value}"
    )
    if op.error is not None:
        line += f", :error {dumps(op.error)}"
    if op.node is not None:
        line += f", :node {dumps(op.node)}"
    return line + "}"


def jepsen_op_line(op: Op) -> str:
    """As `op_line`; a fault's records are all `:info`, which is how Jepsen writes its nemesis."""
    return op_line(op.replace(type="info") if op.process == NEMESIS else op)


def write_lines(ops: Iterable[Op]) -> Iterator[str]:
    """The lines of a `history.edn`, each with its end."""
    for op in ops:
        yield jepsen_op_line(op) + "\n"


def _micro_op(micro_op: Any) -> str:
    if isinstance(micro_op, list | tuple) and micro_op and isinstance(micro_op[0], str):
        return "[" + " ".join([keyword(micro_op[0]), *(dumps(part) for part in micro_op[1:])]) + "]"
    return dumps(micro_op)


def read_ops(text: str) -> Iterator[tuple[int, Any]]:
    """(line number, op map) of every op in the text. Raises EdnError, its position counted from the text's start.

    What stands for an op need not be a map here: whoever makes the history names the line.
    """
    position, line_number, counted = 0, 1, 0
    length = len(text)
    while True:
        end = text.find("\n", position)
        if end < 0:
            end = length
        op = _fast(text[position:end])
        if op is not None:
            line_number += text.count("\n", counted, position)
            counted = position
            yield line_number, op
            position = end + 1
            if position >= length:
                return
            continue
        position = skip_blank(text, position)
        while text.startswith("#_", position):
            position = skip_blank(text, read_form(text, position + 2)[1])
        if position >= length:
            return
        line_number += text.count("\n", counted, position)
        counted = position
        form, position = read_form(text, position)
        if isinstance(form, list):
            for op in form:
                yield line_number, op
        else:
            yield line_number, form
        if position < length and text[position] == "\n":
            position += 1


def _fast(line: str) -> dict[str, Any] | None:
    match = _LINE.fullmatch(line)
    if match is None or "null" in match[6]:
        return None
    index, time, type_, process, f, value, error_name, error_text, node = match.groups()
    if value in _BARE:
        decoded = None
    else:
        json = _GAP.sub(",", _NIL.sub("null", _KEYWORD.sub(r'"\1"', value)))
        try:
            decoded = _decode(json)
        except (msgspec.DecodeError, RecursionError):
            return None
    op = {
        "index": int(index),
        "time": int(time),
        "type": type_,
        "process": int(process),
        "f": f,
        "value": decoded,
    }
    if error_name or error_text is not None:
        op["error"] = error_name or error_text
    if node is not None:
        op["node"] = node
    return op


__all__ = ["EdnError", "jepsen_op_line", "op_line", "read_ops", "write_lines"]
