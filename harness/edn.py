"""EDN, the notation of Jepsen's histories: a reader for all of it, and a writer for values.

Reading turns Clojure's values into the plain ones that checkers see everywhere: keywords, symbols and characters into
strings (a keyword without its colon), vectors, lists and sets into lists (a set's in one order, however it was
written), maps into dicts (a collection as a key becomes a tuple), `#tag form` into the form
(`#jepsen.history.Op{...}`, `#jepsen.independent.Tuple [k v]`, `#inst`, `#:namespace{...}`), `nil` into None, `12N` and
`0x1f` into ints, `1.5M` and `1/3` into floats. Metadata (`^{...} form`) is left out. What equals nothing (`##NaN`) is
refused.

Source: the EDN specification (github.com/edn-format/edn). The reader is the project's own because a message must name
the line, which `edn_format` does not know; that package is the oracle of its tests. Cost: about 5 µs a token.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Set
from typing import Any

DEPTH_MAX = 200
"""Nesting beyond this is refused: no history needs it, and Python's stack ends near a thousand."""

_TOKEN = re.compile(
    r"""(?P<blank>(?:[\s,]+|;[^\n]*)+)
      | (?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
      | (?P<open>\#\{|[\[({])
      | (?P<close>[\])}])
      | (?P<discard>\#_)
      | (?P<symbolic>\#\#[\w-]+)
      | (?P<tag>\#[A-Za-z][\w.*+!?$%&=<>/\-]*|\#:[A-Za-z][\w.*+!?$%&=<>\-]*(?=\s*\{))
      | (?P<metadata>\^)
      | (?P<char>\\(?:[^\s][^\s,;"()\[\]{}\\]*))
      | (?P<atom>[^\s,;"()\[\]{}\\\#][^\s,;"()\[\]{}\\]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d*)N?", re.ASCII)
_HEXADECIMAL = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]+)N?")
"""As Clojure prints what has no notation: `#object[java.lang.Object 0x6b2a1f "..."]`."""
_FLOAT = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:M|(?=[.eE])(?:\.\d*)?(?:[eE][+-]?\d+)?M?)", re.ASCII)
_RATIO = re.compile(r"([+-]?\d+)/(\d+)", re.ASCII)
_SYMBOL = re.compile(r"[^\d:][^:]*(?::[^:]+)*|[+-]|[+-][^\d].*")
_CONSTANTS = {"nil": None, "true": True, "false": False}
_CHARACTERS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t", "formfeed": "\f", "backspace": "\b"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "b": "\b", "f": "\f"}
_CLOSING = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_KEYWORD = re.compile(r"[A-Za-z*!_?$%&=<>][\w*+!?$%&=<>.\-]*(?:/[\w*+!?$%&=<>.\-]+)?")
_UNSAFE = re.compile(r'["\\\n\r\t\x00-\x1f\ud800-\udfff]')
_UNSAFE_TEXT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INT_DIGITS_MAX = 4000


class EdnError(ValueError):
    """Text that is no EDN. position: where, in characters from the start. at_end: more text might make it whole."""

    def __init__(self, what: str, position: int, at_end: bool = False) -> None:
        super().__init__(what)
        self.position = position
        self.at_end = at_end


class _Nothing:
    """What a discarded form, or the end of the text, reads as."""


_NOTHING = _Nothing()


def skip_blank(text: str, position: int) -> int:
    """Where the next token begins, past whitespace, commas and comments."""
    match = _TOKEN.match(text, position)
    return match.end() if match is not None and match.lastgroup == "blank" else position


def read_form(text: str, position: int = 0) -> tuple[Any, int]:
    """One form and the position after it. Raises EdnError, also where there is none."""
    value, end = _Reader(text).form(position, 0)
    if value is _NOTHING:
        raise EdnError("the text ends where a value should stand", end, at_end=True)
    return value, end


def loads(text: str) -> Any:
    """The one form that `text` holds. Raises EdnError."""
    value, end = read_form(text)
    end = skip_blank(text, end)
    if end != len(text):
        raise EdnError(f"more text after the value: {text[end : end + 20]!r}", end)
    return value


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def form(self, position: int, depth: int) -> tuple[Any, int]:
        """The next form, or _NOTHING at the end of the text; and the position after it."""
        while True:
            if position >= len(self.text):
                return _NOTHING, position
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise self._no_token(position)
            kind, token, end = match.lastgroup, match.group(), match.end()
            if kind == "blank":
                position = end
                continue
            if kind == "atom":
                return _atom(token, position), end
            if kind == "string":
                return _string(token, position), end
            if kind == "open":
                if depth >= DEPTH_MAX:
                    raise EdnError(f"nested deeper than {DEPTH_MAX} levels", position)
                items, end = self._items(token, position, end, depth + 1)
                return _COLLECTIONS[token](items, position), end
            if kind == "close":
                raise EdnError(f"{token!r} closes nothing", position)
            if kind == "char":
                return _character(token, position), end
            if kind == "symbolic":
                raise EdnError(f"{token} is no value that a history can hold (it equals nothing)", position)
            if depth >= DEPTH_MAX:
                raise EdnError(f"nested deeper than {DEPTH_MAX} levels", position)
            value, after = self.form(end, depth + 1)
            if value is _NOTHING:
                raise EdnError(f"nothing follows {token}", position, at_end=True)
            if kind == "tag":
                return value, after
            position = after

    def _items(self, opening: str, start: int, position: int, depth: int) -> tuple[list[Any], int]:
        closing = _CLOSING[opening]
        items: list[Any] = []
        while True:
            position = self._next_in_collection(position, depth)
            if position >= len(self.text):
                raise EdnError(f"the text ends before {opening!r} is closed", start, at_end=True)
            if self.text[position] in "])}":
                if self.text[position] != closing:
                    raise EdnError(f"{opening!r} is closed by {self.text[position]!r}", position)
                return items, position + 1
            value, position = self.form(position, depth)
            items.append(value)

    def _next_in_collection(self, position: int, depth: int) -> int:
        while True:
            position = skip_blank(self.text, position)
            if not self.text.startswith("#_", position):
                return position
            value, position = self.form(position + 2, depth)
            if value is _NOTHING:
                return position

    def _no_token(self, position: int) -> EdnError:
        if self.text[position] == '"':
            return EdnError("the text ends inside a string", position, at_end=True)
        shown = self.text[position : position + 20].partition("\n")[0]
        return EdnError(f"{shown!r} begins no value", position)


def _atom(token: str, position: int) -> Any:
    if token[0] == ":":
        if len(token) == 1:
            raise EdnError("':' alone is no keyword", position)
        return token[1:]
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    if _INTEGER.fullmatch(token):
        if len(token) > _INT_DIGITS_MAX:
            raise EdnError(f"a number of {len(token)} digits is too long", position)
        return int(token.rstrip("N"))
    if _FLOAT.fullmatch(token):
        number = float(token.rstrip("M"))
        if not math.isfinite(number):
            raise EdnError(f"{token[:40]} is no finite number", position)
        return number
    hexadecimal = _HEXADECIMAL.fullmatch(token)
    if hexadecimal and len(token) <= _INT_DIGITS_MAX:
        return int(hexadecimal[1] + hexadecimal[2], 16)
    ratio = _RATIO.fullmatch(token)
    if ratio and len(token) < _INT_DIGITS_MAX and int(ratio[2]):
        return int(ratio[1]) / int(ratio[2])
    if _SYMBOL.fullmatch(token) and not (token[0] in "+-" and token[1:2].isdigit()):
        return token
    raise EdnError(f"{token[:40]!r} is neither a number nor a name", position)


def _string(token: str, position: int) -> str:
    if "\\" not in token:
        return token[1:-1]

    def replace(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPES:
            raise EdnError(f"'\\{escape}' is no escape that a string may hold", position)
        return _ESCAPES[escape]

    return _ESCAPE.sub(replace, token[1:-1])


def _character(token: str, position: int) -> str:
    name = token[1:]
    if len(name) == 1:
        return name
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if re.fullmatch("u[0-9a-fA-F]{4}", name):
        return chr(int(name[1:], 16))
    raise EdnError(f"{token[:20]!r} is no character", position)


def _map(items: list[Any], position: int) -> dict[Any, Any]:
    if len(items) % 2:
        raise EdnError("a map holds a key without a value", position)
    entries = {_key(key): value for key, value in zip(items[::2], items[1::2])}
    if len(entries) * 2 != len(items):
        raise EdnError("a map holds the same key twice", position)
    return entries


def _set(items: list[Any], position: int) -> list[Any]:
    """The elements in an order of their own: equal sets read the same, whatever order each was written in."""
    kinds = {type(item) for item in items}
    if len(kinds) == 1 and kinds <= {int, str, float}:
        return sorted(items)
    return sorted(items, key=lambda item: (type(item).__name__, repr(item)))


def _key(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(_key(part) for part in key)
    if isinstance(key, dict):
        return tuple((name, _key(value)) for name, value in key.items())
    return key


_COLLECTIONS: dict[str, Callable[[list[Any], int], Any]] = {
    "{": _map,
    "#{": _set,
    "[": lambda items, position: items,
    "(": lambda items, position: items,
}


def keyword(name: str) -> str:
    """A name as a keyword (`:append`), or as a string where it can't be one."""
    return f":{name}" if _KEYWORD.fullmatch(name) else dumps(name)


def dumps(value: Any, *, keyword_keys: bool = False) -> str:
    """A plain value as EDN on one line. keyword_keys: keys of maps that are names become keywords.

    Raises TypeError for a value that EDN has no notation for.
    """
    if value is None:
        return "nil"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + _UNSAFE.sub(lambda match: _UNSAFE_TEXT.get(match[0], f"\\u{ord(match[0]):04x}"), value) + '"'
    if isinstance(value, int):
        return str(int(value)) if -(2**63) <= value < 2**63 else f"{int(value)}N"
    if isinstance(value, float):
        return (
            repr(value)
            if math.isfinite(value)
            else "##NaN"
            if math.isnan(value)
            else "##Inf"
            if value > 0
            else "##-Inf"
        )
    if isinstance(value, Mapping):
        entries = (
            (keyword(key) if keyword_keys and isinstance(key, str) else dumps(key, keyword_keys=keyword_keys))
            + " "
            + dumps(part, keyword_keys=keyword_keys)
            for key, part in value.items()
        )
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, Set):
        return "#{" + " ".join(dumps(part, keyword_keys=keyword_keys) for part in value) + "}"
    if isinstance(value, list | tuple):
        return "[" + " ".join([dumps(part, keyword_keys=keyword_keys) for part in value]) + "]"
    raise TypeError(f"a {type(value).__name__} has no EDN notation")
