"""What a notation of histories is to `harness.read_columns`: an exact reader of one form after the other."""

from __future__ import annotations

from typing import Any, Protocol

from harness.history import HistoryError


class LineError(HistoryError):
    """A line that can't be read. position: of the byte whose line is to be named."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(what)
        self.position = position


class Bytes(Protocol):
    """What `bytes` and `mmap.mmap` have in common."""

    def __len__(self) -> int: ...
    def __getitem__(self, where: slice, /) -> bytes: ...
    def find(self, what: bytes, start: int = ..., end: int = ..., /) -> int: ...


class Notation(Protocol):
    """A notation. json: whether it is JSON, else EDN."""

    json: bool

    def read(self, source: Bytes, position: int) -> tuple[list[Any], int, int]:
        """The ops of the next form at or behind a position, none where its line holds no form.

        Also: the byte at which that form begins, and the one at which to go on; that is behind the form, or where the
        next line begins. Raises LineError.
        """
        ...

    def value(self, text: bytes) -> Any:
        """A value of numbers, names and simple strings, for which no object was made before."""
        ...

    def error(self, text: bytes) -> str | None:
        """An error of such, as one line of text."""
        ...


def line_end(source: Bytes, position: int) -> int:
    """Where the line of a byte ends: at its newline, or at the end of all."""
    end = source.find(b"\n", position)
    return len(source) if end < 0 else end


def text_of(source: Bytes, begin: int, end: int) -> str:
    """Some bytes as text. Raises LineError."""
    try:
        return source[begin:end].decode()
    except UnicodeDecodeError as error:
        raise LineError("is not UTF-8 text", begin + error.start) from None
