"""The oracle of reading: a history by the exact reader of EDN or JSON alone, form after form, object by object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from harness.edn import EdnError, read_form, skip_blank
from harness.history import History, HistoryError


def read_exactly(data: bytes, name: str, journal: bool = False) -> History:
    """What the file `name` with these bytes holds (an EDN file, or JSON lines). Raises HistoryError."""
    lines: list[int] = []
    ops = _edn_ops(data, name, lines) if name.endswith(".edn") else _json_ops(data, name, lines, journal)
    return History.from_ops(ops, lambda place: f"{name} line {lines[place]}")


def _edn_ops(data: bytes, name: str, lines: list[int]) -> Iterator[Any]:
    text = data.decode("utf-8-sig")
    position = 0
    while True:
        try:
            position = skip_blank(text, position)
            while text.startswith("#_", position):
                position = skip_blank(text, read_form(text, position + 2)[1])
            if position == len(text):
                return
            line = text.count("\n", 0, position) + 1
            form, position = read_form(text, position)
        except EdnError as error:
            line = text.count("\n", 0, error.position) + 1
            raise HistoryError(f"{name} line {line}: {error}") from None
        for op in form if isinstance(form, list) else [form]:
            lines.append(line)
            yield op


def _json_ops(data: bytes, name: str, lines: list[int], journal: bool) -> Iterator[Any]:
    texts = data.decode("utf-8-sig").split("\n")
    for number, text in enumerate(texts, 1):
        if not text or text.isspace():
            continue
        try:
            op = msgspec.json.decode(text)
        except RecursionError:
            raise HistoryError(f"{name} line {number}: nested too deeply") from None
        except msgspec.DecodeError as error:
            if journal and number == len(texts):
                return
            raise HistoryError(f"{name} line {number}: is no JSON: {error}") from None
        lines.append(number)
        yield op


def records(history: History) -> list[tuple[Any, ...]]:
    """Everything that a history says, record by record."""
    columns = (history.type, history.process, history.time_ns, history.index, history.pair)
    f = [history.f_names[code] for code in history.f]
    return list(zip(*(column.tolist() for column in columns), f, history.value, history.error, history.node))
