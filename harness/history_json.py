"""Histories as JSON lines: one op map a line, our journal's or Jepsen's fields.

A journal of our own that ends in the middle of a line, because the controller was killed, is read up to there.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.edn import DEPTH_MAX
from harness.notation import Bytes, LineError, line_end, text_of
from harness.records import error_text

_decode = msgspec.json.Decoder().decode


def decoded(text: str, levels: int = DEPTH_MAX) -> Any:
    """What JSON stands for. Raises DecodeError; RecursionError for what is nested deeper than so many levels."""
    value = _decode(text)
    if text.count("[") + text.count("{") > levels and _is_deeper(value, levels):
        raise RecursionError
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            part
            for each in level
            if isinstance(each, list | dict)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, list | dict) for each in level)


class JsonLines:
    """The exact reader of op maps in JSON, one a line, for `harness.read_columns`.

    may_be_cut: whether a last line without an end may be half a line. cut_at: the byte at which such a one began, None
    where none was met.
    """

    json = True

    def __init__(self, may_be_cut: bool = False) -> None:
        self.may_be_cut = may_be_cut
        self.cut_at: int | None = None

    def read(self, source: Bytes, position: int) -> tuple[list[Any], int, int]:
        """The op of a line. See `harness.notation.Notation`."""
        end = line_end(source, position)
        behind = min(end + 1, len(source))
        try:
            text = text_of(source, position, end)
            if not text or text.isspace():
                return [], position, behind
            return [decoded(text)], position, behind
        except RecursionError:
            raise LineError("nested too deeply", position) from None
        except (LineError, msgspec.DecodeError) as error:
            if self.may_be_cut and end == len(source):
                self.cut_at = position
                return [], position, behind
            if isinstance(error, LineError):
                raise
            raise LineError(f"is no JSON: {error}", position) from None

    def value(self, text: bytes) -> Any:
        """A value that stood in a line."""
        return _decode(text)

    def error(self, text: bytes) -> str | None:
        """An error that stood in a line, as text."""
        error = _decode(text)
        return None if error is None else error_text(error)
