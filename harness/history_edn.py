"""Histories as EDN files: Jepsen's op maps, one a line, or one vector of them.

    {:index 0, :time 123, :type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:r 1 nil]]}

Written: type, f, the process of faults, the names of a transaction's micro-ops and the keys of fault records are
keywords, as Jepsen has them; every other string is a string. `:node` follows where an op has one.

Read: what `harness.line_columns` does not expect comes here. A line of the shape above is turned into JSON by three
substitutions and decoded by msgspec (some 6 µs a line); any other line, and a form that spans several, goes to the
exact reader of `harness.edn`. The quick way accepts only characters whose meaning is the same on both, and a line that
JSON refuses goes the exact way too. How far a form goes that spans lines is found by counting brackets, so a file that
never closes one is refused before megabytes of it became objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import msgspec

from harness.edn import DEPTH_MAX, EdnError, dumps, keyword, loads, read_form, skip_blank
from harness.notation import Bytes, LineError, line_end, text_of
from harness.op import NEMESIS, Op
from harness.records import error_text

_LINE = re.compile(
    r"(?:#jepsen\.history\.Op ?)?\{:index (0|[1-9]\d{0,17}),? :time (0|-?[1-9]\d{0,17}),? "
    r":type :(\w+),? :process (0|[1-9]\d{0,17}),? "
    r":f :([a-zA-Z][\w\-]*),? :value ([\[\]\w\-: ,.]*)"
    r'(?:,? :error (?::([a-zA-Z][\w\-]*)|"([^"\\]*)"))?(?:,? :node "([^"\\]*)")?\}[ \r]*',
    re.ASCII,
)
_KEYWORD = re.compile(r":([a-zA-Z][\w\-]*)(?![\w\-.:])", re.ASCII)
_NIL = re.compile(r'(?<![\w"\-])nil(?![\w"\-])', re.ASCII)
_GAP = re.compile(r"[ ,]+")
_SIMPLE = re.compile(r"[\[\]\w\-: ,.]*", re.ASCII)
_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|;[^\n]*|\\.|[\[\](){}]', re.DOTALL)
"""Brackets, and what may hold some that are none: strings, comments, characters."""
_DEPTH_MAX = DEPTH_MAX // 2
"""Deeper nested values go to the exact reader, which counts."""
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


class EdnOps:
    """The exact reader of op maps in EDN, for `harness.read_columns`."""

    json = False

    def read(self, source: Bytes, position: int) -> tuple[list[Any], int, int]:
        """The ops of the next form: one, or those of a vector. See `harness.notation.Notation`."""
        end = line_end(source, position)
        text = text_of(source, position, end)
        op = _quick(text)
        if op is not None:
            return [op], position, min(end + 1, len(source))
        while True:
            try:
                ops, begin, behind = _form(text)
                break
            except EdnError as error:
                further = _form_end(source, position, end) if error.at_end else None
                if further is None:
                    raise LineError(str(error), position + len(text[: error.position].encode())) from None
            end = line_end(source, further)
            text = text_of(source, position, end)
        start = position + len(text[:begin].encode())
        if behind == len(text):
            return ops, start, min(end + 1, len(source))
        return ops, start, position + len(text[:behind].encode())

    def value(self, text: bytes) -> Any:
        """A value that stood in a line."""
        return _value(text.decode())

    def error(self, text: bytes) -> str | None:
        """An error that stood in a line, as text."""
        error = loads(text.decode())
        return None if error is None else error_text(error)


def _form(text: str) -> tuple[list[Any], int, int]:
    """(ops, where their form begins, where to go on) of a text that ends where a line does. Raises EdnError.

    What stands for an op need not be a map here: whoever makes the history names the line.
    """
    begin = skip_blank(text, 0)
    while text.startswith("#_", begin):
        begin = skip_blank(text, read_form(text, begin + 2)[1])
    if begin == len(text):
        return [], begin, begin
    form, behind = read_form(text, begin)
    return (form if isinstance(form, list) else [form]), begin, behind


def _form_end(source: Bytes, begin: int, least: int) -> int | None:
    """A byte behind `least` by which all brackets from `begin` on are closed; None where they never are."""
    depth = 0
    for match in _BRACKET.finditer(source, begin):  # type: ignore[call-overload]
        token = match[0]
        if token[:1] == b'"':
            if len(token) == 1 or token[-1:] != b'"':
                return None
        elif token in b"[({":
            depth += 1
        elif token in b"])}":
            depth -= 1
        else:
            continue
        if depth <= 0 and match.end() > least:
            return match.end()
    return len(source) if depth <= 0 and len(source) > least else None


def _quick(line: str) -> dict[str, Any] | None:
    """The op of a line as Jepsen and we write it, None for any other line."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    index, time, type_, process, f, value, error_name, error_text, node = match.groups()
    try:
        decoded = _as_json(value)
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


def _value(text: str) -> Any:
    if _SIMPLE.fullmatch(text):
        try:
            return _as_json(text)
        except (msgspec.DecodeError, RecursionError):
            pass
    return loads(text)


def _as_json(value: str) -> Any:
    """A value of `_SIMPLE` characters. Raises DecodeError, RecursionError where it means nothing, or not the same."""
    if value == "nil":
        return None
    if "null" in value:
        raise msgspec.DecodeError("null is a name in EDN")
    if value.count("[") > _DEPTH_MAX and max(accumulate((c == "[") - (c == "]") for c in value)) > _DEPTH_MAX:
        raise RecursionError
    return _decode(_GAP.sub(",", _NIL.sub("null", _KEYWORD.sub(r'"\1"', value))))
