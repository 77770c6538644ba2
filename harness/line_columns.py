"""Op maps, one a line, from bytes into columns: EDN as Jepsen writes it, JSON as our journal does. Compiled.

    {:index 0, :time 123, :type :ok, :process 0, :f :txn, :value [[:append 1 2] [:r 1 [2]]]}
    {"type":"ok","f":"txn","value":[["append",1,2],["r",1,[2]]],"process":0,"time_ns":123,"index":0}

Problem: a history of a million transactions is 300 MB of such lines, and a Python object for each of its numbers costs
minutes and gigabytes. Idea: walk over the bytes once, and write numbers where they belong. What is walked over has one
meaning only, the exact readers' (`harness.edn`, JSON): whole numbers of up to 18 digits, names of letters, digits, `_`
and `-`, strings of printable ASCII without a backslash, vectors of them; the fields of an op once each, in any order.
At a line that holds anything else, the walk stops before it: the exact reader takes that line, and the walk goes on
behind it. So nothing here has to be complete, only right.

A value that is no number, pair or transaction of numbers, but is made of such tokens, is kept as its bytes (a *text*)
for whoever asks for it; so are errors. Names of ops and nodes are numbered, up to 64 of each.

Both notations are one walk: in EDN a comma is blank, in JSON exactly one stands between two items.

The walk sees its bytes and buffers as bare pointers: numba counts references to arrays at every call otherwise, which
took most of the time. So every step asks for the size before it looks, and for room before it writes.

Cost: O(bytes), some 1.5 ns each. No number has more than 18 digits, so none wraps.
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from harness.compiled import kernel_part, kernel_without_lock
from harness.value_columns import APPEND, KEYED_PAIR, LIST, NIL, NO_NUMBER, NUMBER, OTHER, PAIR, READ, TXN, WRITE

DONE, STRANGE, FULL = range(3)
"""How `read_lines` ends: at the limit; before a line that it does not expect; before one that needs larger buffers."""

POSITION, RECORDS, MICRO_OPS, ELEMENTS, TEXTS, TEXT_BYTES, F_NAMES, NODE_NAMES, FULL_BUFFER = range(9)
"""Places in the state: where the next line begins, how much of each buffer is filled, and which was full."""

PROCESS, TIME, INDEX, FIRST, SECOND, THIRD, MOP_END, START = range(8)
"""Rows of the buffer of records' numbers. MOP_END: micro-ops up to and with this record. START: where its line is."""
TYPE, SHAPE, F, NODE = range(4)
"""Rows of the buffer of records' small numbers. F, NODE: places in the tables of names, NODE -1 for none."""
KEY, ARGUMENT_NUMBER, LIST_END = range(3)
"""Rows of the buffer of micro-ops' numbers."""
FUNCTION, ARGUMENT = range(2)
"""Rows of the buffer of micro-ops' small numbers."""
TEXT_RECORD, TEXT_KIND, TEXT_END = range(3)
"""Rows of the buffer of texts."""
VALUE_TEXT, ERROR_TEXT = range(2)
"""Kinds of texts."""

F_TABLE, NODE_TABLE = range(2)
NAMES_MAX = 64
NAME_BYTES_MAX = 63

_OTHER_FIELDS_MAX = 4
"""How many fields of an op may be none that a history has; they are passed over."""
_OTHER_FIELDS = FULL_BUFFER + 1
"""Place in the state: where the names of such fields begin and end."""
STATE_SIZE = _OTHER_FIELDS + 2 * _OTHER_FIELDS_MAX

_NOT = -1
"""Instead of a position: the bytes are none of what was looked for."""
_NO_ROOM = -2
"""Instead of a position: a buffer is full; which one, is in the state."""
_DIGITS_MAX = 18
_DEPTH_MAX = 30


def _packed(name: str) -> int:
    return int.from_bytes(name.encode(), "big")


_NAME_INDEX, _NAME_TIME, _NAME_TIME_NS = _packed("index"), _packed("time"), _packed("time_ns")
_NAME_TYPE, _NAME_PROCESS, _NAME_F = _packed("type"), _packed("process"), _packed("f")
_NAME_VALUE, _NAME_ERROR, _NAME_NODE = _packed("value"), _packed("error"), _packed("node")
_NAME_INVOKE, _NAME_OK, _NAME_FAIL, _NAME_INFO = _packed("invoke"), _packed("ok"), _packed("fail"), _packed("info")
_NAME_R, _NAME_APPEND, _NAME_W = _packed("r"), _packed("append"), _packed("w")
_NAME_NIL, _NAME_NULL, _NAME_TRUE, _NAME_FALSE = _packed("nil"), _packed("null"), _packed("true"), _packed("false")
_TYPE_BIT, _PROCESS_BIT, _INDEX_BIT, _TIME_BIT, _F_BIT, _VALUE_BIT, _ERROR_BIT, _NODE_BIT = (1 << i for i in range(8))
_NEEDED_BITS = _TYPE_BIT | _PROCESS_BIT | _F_BIT
_VECTOR, _LIST_FORM, _CURLY = 1, 2, 3

_QUOTE, _HASH, _LEFT_ROUND, _RIGHT_ROUND, _COMMA, _MINUS, _COLON = b'"#(),-:'
_LEFT, _BACKSLASH, _RIGHT, _LEFT_CURLY, _RIGHT_CURLY = b"[\\]{}"
_NEWLINE, _SPACE, _ZERO, _TILDE, _LETTER_N, _DOT = b"\n 0~n."

_BLANK_JSON, _BLANK_EDN, _ENDS_ATOM, _CLOSES, _LETTER, _DIGIT, _NAME_BYTE, _TAG_BYTE = (
    np.int64(1 << i) for i in range(8)
)


def _kinds() -> np.ndarray:
    kinds = np.zeros(256, np.int64)
    letters, digits = string.ascii_letters, string.digits
    for kind, members in (
        (_BLANK_JSON, " \t\r"),
        (_BLANK_EDN, " \t\r,"),
        (_ENDS_ATOM, " \t\r\n,])}["),
        (_CLOSES, "]}"),
        (_LETTER, letters),
        (_DIGIT, digits),
        (_NAME_BYTE, letters + digits + "_-"),
        (_TAG_BYTE, letters + digits + "_-./"),
    ):
        kinds[list(members.encode())] |= kind
    return kinds.astype(np.uint8)


_KIND = _kinds()
"""uint8[256]: what kinds of byte each byte is, as bits."""


def _pointer_code(_typing, array):

    def code(context, builder, signature, arguments):
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), code


_pointer: Any = intrinsic(_pointer_code)
"""Where an array's items are."""


@kernel_part
def _at(data, size, p):
    """The byte at p, 0 (which nothing here accepts) behind the end."""
    return np.int64(data[p]) if p < size else np.int64(0)


@kernel_part
def _blank(data, size, p, json):
    """The position of the next byte that is not blank."""
    blank = _BLANK_JSON if json else _BLANK_EDN
    while p < size and _KIND[data[p]] & blank:
        p += 1
    return p


@kernel_part
def _ends_atom(data, size, p):
    """Whether a number or name that goes up to p ends there."""
    return p >= size or _KIND[data[p]] & _ENDS_ATOM != 0


@kernel_part
def _following(data, size, p, json):
    """From behind an item: the position of the next item or of the closing bracket. _NOT where neither may follow."""
    p = _blank(data, size, p, json)
    if json:
        c = _at(data, size, p)
        if c == _COMMA:
            p = _blank(data, size, p + 1, json)
            if _is(data, size, p, _CLOSES):
                return np.int64(_NOT)
        elif not _is(data, size, p, _CLOSES):
            return np.int64(_NOT)
    return p


@kernel_part
def _number(data, size, p):
    """(number, position behind it); _NOT for no whole number, or one of more than 18 digits."""
    negative = _at(data, size, p) == _MINUS
    if negative:
        p += 1
    begin = p
    number = np.int64(0)
    while p < size and p - begin < _DIGITS_MAX:
        digit = np.int64(data[p]) - _ZERO
        if digit < 0 or digit > 9:
            break
        number = number * 10 + digit
        p += 1
    if p == begin or not _ends_atom(data, size, p):
        return number, np.int64(_NOT)
    if data[begin] == _ZERO and (p > begin + 1 or negative):
        return number, np.int64(_NOT)
    return (-number if negative else number), p


@kernel_part
def _decimal(data, size, p):
    """The position behind a number such as -12.50, of up to 18 digits before and behind its point; else _NOT."""
    p += _at(data, size, p) == _MINUS
    begin = p
    while p - begin < _DIGITS_MAX and _is(data, size, p, _DIGIT):
        p += 1
    if p == begin or _at(data, size, p) != _DOT or (data[begin] == _ZERO and p > begin + 1):
        return np.int64(_NOT)
    p += 1
    begin = p
    while p - begin < _DIGITS_MAX and _is(data, size, p, _DIGIT):
        p += 1
    return p if p > begin and _ends_atom(data, size, p) else np.int64(_NOT)


@kernel_part
def _is(data, size, p, kind):
    """Whether the byte at p is of a kind."""
    return p < size and _KIND[data[p]] & kind != 0


@kernel_part
def _bare(data, size, p):
    """(packed, position behind it) of `nil`, `null`, `true`, `false`; _NOT for anything longer than 7 bytes."""
    begin = p
    packed = np.int64(0)
    while p - begin < 7 and _is(data, size, p, _LETTER):
        packed = (packed << 8) | np.int64(data[p])
        p += 1
    if not _ends_atom(data, size, p):
        return packed, np.int64(_NOT)
    return packed, p


@kernel_part
def _is_nil(packed, json):
    return packed == (_NAME_NULL if json else _NAME_NIL)


@kernel_part
def _opened(data, size, p, json):
    """The position behind what opens a name, `:` in EDN, `"` in JSON; else _NOT."""
    return p + 1 if _at(data, size, p) == (_QUOTE if json else _COLON) else np.int64(_NOT)


@kernel_part
def _without_colon(data, size, p, json):
    """Past the colon with which some write names in JSON too."""
    return p + 1 if json and p >= 0 and _at(data, size, p) == _COLON else p


@kernel_part
def _name(data, size, p, json):
    """(end, packed, position behind) of the name whose first letter is at p; _NOT for anything else.

    packed: its bytes as one number where there are up to 7, else -1.
    """
    begin = p
    packed = np.int64(0)
    if p < 0 or not _is(data, size, p, _LETTER):
        return begin, packed, np.int64(_NOT)
    while _is(data, size, p, _NAME_BYTE):
        packed = ((packed & 0xFFFFFFFFFFFF) << 8) | np.int64(data[p])
        p += 1
    end = p
    if end - begin > 7:
        packed = np.int64(-1)
    if json:
        p = p + 1 if _at(data, size, p) == _QUOTE else np.int64(_NOT)
    elif not _ends_atom(data, size, p):
        p = np.int64(_NOT)
    return end, packed, p


@kernel_part
def _string(data, size, p):
    """The position behind a string of printable ASCII without a backslash, from its quote; else _NOT."""
    p += 1
    while p < size:
        c = data[p]
        if c == _QUOTE:
            return p + 1
        if c < _SPACE or c > _TILDE or c == _BACKSLASH:
            break
        p += 1
    return np.int64(_NOT)


@kernel_part
def _object_key(data, size, p, json):
    """From the quote of a JSON object's key to its value; else _NOT."""
    if _at(data, size, p) != _QUOTE:
        return np.int64(_NOT)
    p = _string(data, size, p)
    if p < 0:
        return p
    p = _blank(data, size, p, json)
    if _at(data, size, p) != _COLON:
        return np.int64(_NOT)
    return _blank(data, size, p + 1, json)


@kernel_part
def _scalar(data, size, p, json):
    """The position behind a number, name, string, nil, true or false; else _NOT."""
    c = _at(data, size, p)
    if c == _QUOTE:
        return _string(data, size, p)
    if c == _COLON and not json:
        return _name(data, size, p + 1, json)[2]
    if c == _MINUS or _is(data, size, p, _DIGIT):
        behind = _number(data, size, p)[1]
        return behind if behind >= 0 else _decimal(data, size, p)
    packed, p = _bare(data, size, p)
    if packed == _NAME_TRUE:
        return p
    return p if packed == _NAME_FALSE or _is_nil(packed, json) else np.int64(_NOT)


@kernel_part
def _opening(data, size, p, json):
    """What kind of collection begins at p, 0 for none (an EDN map is none here: its keys may repeat)."""
    c = _at(data, size, p)
    if c == _LEFT:
        return _VECTOR
    if json:
        return _CURLY if c == _LEFT_CURLY else 0
    if c == _LEFT_ROUND:
        return _LIST_FORM
    return _CURLY if c == _HASH and _at(data, size, p + 1) == _LEFT_CURLY else 0


@kernel_part
def _form(data, size, p, json):
    """The position behind a form whose meaning is certain; else _NOT."""
    closers = np.int64(0)
    depth = 0
    while True:
        kind = _opening(data, size, p, json)
        first = kind != 0
        if first:
            if depth >= _DEPTH_MAX:
                return np.int64(_NOT)
            depth += 1
            closers = (closers << 2) | kind
            p = _blank(data, size, p + (2 if kind == _CURLY and not json else 1), json)
        else:
            p = _scalar(data, size, p, json)
            if p < 0:
                return p
        while depth > 0:
            kind = closers & 3
            if not first:
                p = _following(data, size, p, json)
                if p < 0:
                    return p
            first = False
            closing = _RIGHT if kind == _VECTOR else _RIGHT_ROUND if kind == _LIST_FORM else _RIGHT_CURLY
            if _at(data, size, p) == closing:
                depth -= 1
                closers >>= 2
                p += 1
                continue
            if json and kind == _CURLY:
                p = _object_key(data, size, p, json)
                if p < 0:
                    return p
            break
        if depth == 0:
            return p


@kernel_part
def _listed(data, size, p, json, elements, room, e):
    """(position behind, elements) of a list of numbers, from behind its bracket; else _NOT, or _NO_ROOM."""
    separator = _COMMA if json else _SPACE
    p = _blank(data, size, p, json)
    if _at(data, size, p) == _RIGHT:
        return p + 1, e
    while e < room:
        begin = p
        number = np.int64(0)
        while p < size and p - begin < _DIGITS_MAX:
            digit = np.int64(data[p]) - _ZERO
            if digit < 0 or digit > 9:
                break
            number = number * 10 + digit
            p += 1
        c = _at(data, size, p)
        if p == begin or (c != separator and c != _RIGHT) or data[begin] == _ZERO:
            begin = _blank(data, size, begin, json)
            if _at(data, size, begin) == _RIGHT and not json:
                return begin + 1, e
            number, p = _number(data, size, begin)
            if p < 0:
                return p, e
            p = _following(data, size, p, json)
            if p < 0:
                return p, e
            c = _at(data, size, p)
        elif c == separator:
            p += 1
        elements[e] = number
        e += 1
        if c == _RIGHT:
            return p + 1, e
    return np.int64(_NO_ROOM), e


@kernel_part
def _micro_op(data, size, p, json, small, numbers, room, m, elements, element_room, e):
    """(position behind, elements) of a micro-op, from its bracket; else _NOT, or _NO_ROOM for its elements.

    small, numbers: the buffers of micro-ops, row after row, each with `room` places.
    """
    if _at(data, size, p) != _LEFT:
        return np.int64(_NOT), e
    _, packed, p = _name(data, size, _opened(data, size, _blank(data, size, p + 1, json), json), json)
    if p < 0:
        return p, e
    if packed == _NAME_R:
        small[FUNCTION * room + m] = READ
    elif packed == _NAME_APPEND:
        small[FUNCTION * room + m] = APPEND
    elif packed == _NAME_W:
        small[FUNCTION * room + m] = WRITE
    else:
        return np.int64(_NOT), e
    p = _following(data, size, p, json)
    if p < 0:
        return p, e
    key, p = _number(data, size, p)
    if p < 0:
        return p, e
    numbers[KEY * room + m] = key
    p = _following(data, size, p, json)
    if p < 0:
        return p, e
    number = np.int64(NO_NUMBER)
    c = _at(data, size, p)
    if c == _LEFT:
        small[ARGUMENT * room + m] = LIST
        p, e = _listed(data, size, p + 1, json, elements, element_room, e)
    elif c == _LETTER_N:
        small[ARGUMENT * room + m] = NIL
        packed, p = _bare(data, size, p)
        if not _is_nil(packed, json):
            return np.int64(_NOT), e
    else:
        small[ARGUMENT * room + m] = NUMBER
        number, p = _number(data, size, p)
    if p < 0:
        return p, e
    numbers[ARGUMENT_NUMBER * room + m] = number
    numbers[LIST_END * room + m] = e
    p = _following(data, size, p, json)
    if p >= 0:
        p = p + 1 if _at(data, size, p) == _RIGHT else np.int64(_NOT)
    return p, e


@kernel_part
def _part(data, size, p, json):
    """(number or NO_NUMBER, position behind) of a number or nil; else _NOT."""
    if _at(data, size, p) == _LETTER_N:
        packed, p = _bare(data, size, p)
        return np.int64(NO_NUMBER), (p if _is_nil(packed, json) else np.int64(_NOT))
    return _number(data, size, p)


@kernel_part
def _pair(data, size, p, json):
    """(first, second, position behind its `]`) of two numbers or nils, from the first one; else _NOT."""
    first, p = _part(data, size, p, json)
    second = np.int64(NO_NUMBER)
    if p >= 0:
        p = _following(data, size, p, json)
    if p >= 0:
        second, p = _part(data, size, p, json)
    if p >= 0:
        p = _following(data, size, p, json)
    if p >= 0:
        p = p + 1 if _at(data, size, p) == _RIGHT else np.int64(_NOT)
    return first, second, p


@kernel_part
def _keyed_pair(data, size, p, json):
    """(key, first, second, position behind the last `]`) of a number or nil, then a pair, from the key; else _NOT."""
    first = second = np.int64(NO_NUMBER)
    key, p = _part(data, size, p, json)
    if p >= 0:
        p = _following(data, size, p, json)
    if p >= 0:
        p = _blank(data, size, p + 1, json) if _at(data, size, p) == _LEFT else np.int64(_NOT)
    if p >= 0:
        first, second, p = _pair(data, size, p, json)
    if p >= 0:
        p = _following(data, size, p, json)
    if p >= 0:
        p = p + 1 if _at(data, size, p) == _RIGHT else np.int64(_NOT)
    return key, first, second, p


@kernel_part
def _named(data, begin, end, table, count, names, lengths):
    """(place of a name in its table, how many it then holds); place _NOT where it takes no more, or none so long."""
    length = end - begin
    if length > NAME_BYTES_MAX:
        return np.int64(_NOT), count
    for place in range(count):
        row = table * NAMES_MAX + place
        same = lengths[row] == length
        i = 0
        while same and i < length:
            same = names[row * NAME_BYTES_MAX + i] == data[begin + i]
            i += 1
        if same:
            return np.int64(place), count
    if count >= NAMES_MAX:
        return np.int64(_NOT), count
    row = table * NAMES_MAX + count
    for i in range(length):
        names[row * NAME_BYTES_MAX + i] = data[begin + i]
    lengths[row] = length
    return count, count + 1


@kernel_part
def _is_new_field(data, begin, end, state, count):
    """Whether this name is none of `count` others in the state, and there is room for it; it is then put there."""
    if count >= _OTHER_FIELDS_MAX:
        return False
    for i in range(count):
        at = state[_OTHER_FIELDS + 2 * i]
        length = state[_OTHER_FIELDS + 2 * i + 1] - at
        same = length == end - begin
        j = 0
        while same and j < length:
            same = data[at + j] == data[begin + j]
            j += 1
        if same:
            return False
    state[_OTHER_FIELDS + 2 * count] = begin
    state[_OTHER_FIELDS + 2 * count + 1] = end
    return True


@kernel_part
def _tag(data, size, p, json):
    """The position behind an EDN tag and the blanks after it, from its `#`; the same position where there is none."""
    if json or _at(data, size, p) != _HASH or not _is(data, size, p + 1, _LETTER):
        return p
    p += 1
    while _is(data, size, p, _TAG_BYTE):
        p += 1
    return _blank(data, size, p, json)


@kernel_without_lock
def read_lines(
    data, limit, json, state, record_small, records, mop_small, mops, elements, texts, text_bytes, names, lengths
):
    """Read the lines that begin at state[POSITION] and before `limit` into the buffers; DONE, STRANGE or FULL.

    data: uint8[:]. json: the notation. state: int64[STATE_SIZE], goes on from where it is. record_small: int8[4, :],
    records: int64[8, :], mop_small: int8[2, :], mops: int64[3, :], elements: int64[:], texts: int64[3, :],
    text_bytes: uint8[:], names: uint8[2, NAMES_MAX, NAME_BYTES_MAX], lengths: int64[2, NAMES_MAX].
    """
    size = len(data)
    bytes_ = _pointer(data)
    small_to, mops_to, elements_to = _pointer(mop_small), _pointer(mops), _pointer(elements)
    names_to, lengths_to, state_to = _pointer(names), _pointer(lengths), _pointer(state)
    room, mop_room, element_room = records.shape[1], mops.shape[1], len(elements)
    text_room, byte_room = texts.shape[1], len(text_bytes)
    p = state[POSITION]
    n, m, e = state[RECORDS], state[MICRO_OPS], state[ELEMENTS]
    t, b = state[TEXTS], state[TEXT_BYTES]
    f_count, node_count = state[F_NAMES], state[NODE_NAMES]
    limit = min(limit, size)
    while p < limit:
        p = _blank(bytes_, size, p, json)
        if p >= size or bytes_[p] == _NEWLINE:
            p = min(p + 1, size)
            state[POSITION] = p
            continue
        if n >= room:
            state[FULL_BUFFER] = RECORDS
            return FULL
        records[START, n] = p
        p = _tag(bytes_, size, p, json)
        if _at(bytes_, size, p) != _LEFT_CURLY:
            return STRANGE
        p = _blank(bytes_, size, p + 1, json)
        seen = others = 0
        shape = NIL
        first = second = third = np.int64(NO_NUMBER)
        time_ns = np.int64(0)
        index = process = np.int64(-1)
        type_ = f = node = np.int64(-1)
        while True:
            field_begin = _opened(bytes_, size, p, json)
            field_end, field, p = _name(bytes_, size, field_begin, json)
            if p < 0:
                return STRANGE
            p = _blank(bytes_, size, p, json)
            if json:
                if _at(bytes_, size, p) != _COLON:
                    return STRANGE
                p = _blank(bytes_, size, p + 1, json)
            bit = 0
            text_kind = np.int64(-1)
            text_begin = p
            if field == _NAME_INDEX:
                bit = _INDEX_BIT
                index, p = _number(bytes_, size, p)
                index = max(index, np.int64(-1))
            elif field == _NAME_TIME or (json and field == _NAME_TIME_NS):
                bit = _TIME_BIT
                time_ns, p = _number(bytes_, size, p)
            elif field == _NAME_TYPE:
                bit = _TYPE_BIT
                p = _without_colon(bytes_, size, _opened(bytes_, size, p, json), json)
                _, name, p = _name(bytes_, size, p, json)
                if name == _NAME_INVOKE:
                    type_ = np.int64(0)
                elif name == _NAME_OK:
                    type_ = np.int64(1)
                elif name == _NAME_FAIL:
                    type_ = np.int64(2)
                elif name == _NAME_INFO:
                    type_ = np.int64(3)
                else:
                    return STRANGE
            elif field == _NAME_PROCESS:
                bit = _PROCESS_BIT
                begin = _opened(bytes_, size, p, json)
                if begin >= 0:
                    _, _, p = _name(bytes_, size, begin, json)
                else:
                    process, p = _number(bytes_, size, p)
                    if process < 0:
                        return STRANGE
            elif field == _NAME_F:
                bit = _F_BIT
                begin = _without_colon(bytes_, size, _opened(bytes_, size, p, json), json)
                end, _, p = _name(bytes_, size, begin, json)
                if p >= 0:
                    f, f_count = _named(bytes_, begin, end, F_TABLE, f_count, names_to, lengths_to)
                    if f < 0:
                        return STRANGE
            elif field == _NAME_VALUE:
                bit = _VALUE_BIT
                p = text_begin = _tag(bytes_, size, p, json)
                if _at(bytes_, size, p) == _LEFT:
                    inside = _blank(bytes_, size, p + 1, json)
                    c = _at(bytes_, size, inside)
                    if c == _RIGHT:
                        shape = TXN
                        p = inside + 1
                    elif c == _LEFT:
                        shape = TXN
                        p = inside
                        while True:
                            if m >= mop_room:
                                state[FULL_BUFFER] = MICRO_OPS
                                return FULL
                            p, e = _micro_op(
                                bytes_, size, p, json, small_to, mops_to, mop_room, m, elements_to, element_room, e
                            )
                            if p == _NO_ROOM:
                                state[FULL_BUFFER] = ELEMENTS
                                return FULL
                            m += 1
                            if p >= 0:
                                p = _following(bytes_, size, p, json)
                            if p < 0:
                                break
                            if _at(bytes_, size, p) == _RIGHT:
                                p += 1
                                break
                    else:
                        shape = PAIR
                        first, second, p = _pair(bytes_, size, inside, json)
                        if p < 0:
                            shape = KEYED_PAIR
                            first, second, third, p = _keyed_pair(bytes_, size, inside, json)
                else:
                    first, p = _part(bytes_, size, p, json)
                    shape = NIL if first == NO_NUMBER else NUMBER
                if p < 0:
                    shape = OTHER
                    first = second = third = np.int64(NO_NUMBER)
                    m, e = state[MICRO_OPS], state[ELEMENTS]
                    text_kind = np.int64(VALUE_TEXT)
                    p = _form(bytes_, size, text_begin, json)
            elif field == _NAME_ERROR:
                bit = _ERROR_BIT
                text_kind = np.int64(ERROR_TEXT)
                p = _form(bytes_, size, p, json)
            elif field == _NAME_NODE:
                bit = _NODE_BIT
                if _at(bytes_, size, p) == _QUOTE:
                    begin = p + 1
                    p = _string(bytes_, size, p)
                    if p >= 0:
                        node, node_count = _named(bytes_, begin, p - 1, NODE_TABLE, node_count, names_to, lengths_to)
                        if node < 0:
                            return STRANGE
                else:
                    packed, p = _bare(bytes_, size, p)
                    if not _is_nil(packed, json):
                        return STRANGE
            elif field != _NAME_TIME_NS and _is_new_field(bytes_, field_begin, field_end, state_to, np.int64(others)):
                others += 1
                p = _form(bytes_, size, p, json)
            else:
                return STRANGE
            if p < 0 or seen & bit:
                return STRANGE
            seen |= bit
            if text_kind >= 0:
                if t >= text_room:
                    state[FULL_BUFFER] = TEXTS
                    return FULL
                if b + p - text_begin > byte_room:
                    state[FULL_BUFFER] = TEXT_BYTES
                    return FULL
                for i in range(text_begin, p):
                    text_bytes[b] = bytes_[i]
                    b += 1
                texts[TEXT_RECORD, t] = n
                texts[TEXT_KIND, t] = text_kind
                texts[TEXT_END, t] = b
                t += 1
            p = _following(bytes_, size, p, json)
            if p < 0:
                return STRANGE
            if _at(bytes_, size, p) == _RIGHT_CURLY:
                p += 1
                break
        if seen & _NEEDED_BITS != _NEEDED_BITS or (process < 0 and shape == OTHER):
            return STRANGE
        p = _blank(bytes_, size, p, json)
        if p < size:
            if bytes_[p] != _NEWLINE:
                return STRANGE
            p += 1
        records[PROCESS, n] = process
        records[TIME, n] = time_ns
        records[INDEX, n] = index
        records[FIRST, n] = first
        records[SECOND, n] = second
        records[THIRD, n] = third
        records[MOP_END, n] = m
        record_small[TYPE, n] = type_
        record_small[SHAPE, n] = shape
        record_small[F, n] = f
        record_small[NODE, n] = node
        n += 1
        state[POSITION] = p
        state[RECORDS], state[MICRO_OPS], state[ELEMENTS] = n, m, e
        state[TEXTS], state[TEXT_BYTES] = t, b
        state[F_NAMES], state[NODE_NAMES] = f_count, node_count
    return DONE
