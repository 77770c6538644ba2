"""EDN: what is written is read back, the reader agrees with `edn_format`, what is no EDN is named with its place."""

from __future__ import annotations

from typing import Any

import edn_format
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.edn import DEPTH_MAX, EdnError, dumps, loads
from harness.history_edn import EdnOps, _quick, op_line, write_lines
from harness.op import NEMESIS, Op

ATOMS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=12,
)


def plain(value: Any) -> Any:
    """What `edn_format` read, as plain values."""
    if isinstance(value, edn_format.Keyword | edn_format.Symbol):
        return str(value).lstrip(":") if isinstance(value, edn_format.Keyword) else str(value)
    if isinstance(value, tuple | list | edn_format.ImmutableList):
        return [plain(part) for part in value]
    if hasattr(value, "items"):
        return {plain(key): plain(part) for key, part in value.items()}
    return value


@given(VALUES)
@example({"a": [1, -2.5, None, True, 'quote " and \\ and \n']})
@example(10**30)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert "\n" not in dumps(value)


FORMS = st.recursive(
    st.sampled_from(
        ["nil", "true", "false", ":kw", ":a/b", "sym", "a-b", "12", "-3", "+4", "5N", "1.5", "-2.0", "1e3", '"s"']
    )
    | st.integers().map(str),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: f"[{' '.join(parts)}]"),
        st.lists(inner, max_size=4).map(lambda parts: f"({', '.join(parts)} ; comment\n)"),
        st.dictionaries(st.sampled_from([":a", ":b", "1", '"k"']), inner, max_size=3).map(
            lambda entries: "{" + ", ".join(f"{key} {part}" for key, part in entries.items()) + "}"
        ),
        st.tuples(inner, inner).map(lambda parts: f"[#_{parts[0]} {parts[1]}]"),
    ),
    max_leaves=10,
)


@given(FORMS)
def test_agrees_with_edn_format(text: str) -> None:
    assert loads(text) == plain(edn_format.loads(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#jepsen.history.Op{:index 0, :f :read}", {"index": 0, "f": "read"}),
        ("#jepsen.independent.Tuple [3 [1 2]]", [3, [1, 2]]),
        ("#{1 2}", [1, 2]),
        ("[#{3 1 2} #{2 3 1}]", [[1, 2, 3], [1, 2, 3]]),
        ('[#{:b 1 [2] "a"} #{"a" [2] 1 :b}]', [[1, [2], "a", "b"], [1, [2], "a", "b"]]),
        ('#object[java.lang.Object 0x6b2A1f "x"]', ["java.lang.Object", 0x6B2A1F, "x"]),
        ("[-0x10 0X1fN]", [-16, 31]),
        ("#:jepsen{:a 1, :b 2}", {"a": 1, "b": 2}),
        ("{:type :ok, :value ^{:line 1} [1 2]}", {"type": "ok", "value": [1, 2]}),
        ("[^:a ^:b 1 ^String s]", [1, "s"]),
        ("{[1 2] 3}", {(1, 2): 3}),
        ("[\\a \\newline \\u0041]", ["a", "\n", "A"]),
        ("1/2", 0.5),
        ("1.5M", 1.5),
        ('"\\u0041\\t"', "A\t"),
        ("[1,2,,3]", [1, 2, 3]),
    ],
)
def test_what_else_edn_has(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("[1 2", "ends before '\\[' is closed", 0),
        ("[1\n 2}", "closed by '}'", 5),
        ("{:a}", "key without a value", 0),
        ("{:a 1 :a 2}", "same key twice", 0),
        ("##NaN", "equals nothing", 0),
        ('"abc', "ends inside a string", 0),
        ('"a\\qb"', "is no escape", 0),
        ("1 2", "more text", 2),
        ("]", "closes nothing", 0),
        ("", "ends where a value should stand", 0),
        ("#foo", "nothing follows #foo", 0),
        ("^{:a 1}", "ends where a value should stand", 7),
        ("[^:a]", "closes nothing", 4),
        ("#:foo 1", "begins no value", 0),
        ("0x1g", "neither a number nor a name", 0),
        ("^" * 100_000, "nested deeper", DEPTH_MAX),
        ("1x", "neither a number nor a name", 0),
        ("007", "neither a number nor a name", 0),
        ("1e999", "no finite number", 0),
        ("9" * 5000, "too long", 0),
        ("[" * 100_000, "nested deeper", DEPTH_MAX),
        ("#a " * 100_000, "nested deeper", 3 * DEPTH_MAX),
    ],
)
def test_what_is_no_edn_is_named_with_its_place(text: str, message: str, position: int) -> None:
    with pytest.raises(EdnError, match=message) as raised:
        loads(text)
    assert raised.value.position == position


@given(st.text(alphabet='[]{}()#_:"\\ \n,;anil01.-+eNM/', max_size=30))
def test_any_text_is_a_value_or_an_edn_error(text: str) -> None:
    try:
        loads(text)
    except EdnError as error:
        assert 0 <= error.position <= len(text)


OPS = st.builds(
    Op,
    type=st.sampled_from(["invoke", "ok", "fail", "info"]),
    f=st.sampled_from(["txn", "read", "cas"]),
    value=st.lists(st.lists(st.sampled_from(["r", "append"]) | st.none() | st.integers(), max_size=3), max_size=3)
    | VALUES,
    process=st.integers(0, 99),
    time_ns=st.integers(-5, 10**12),
    index=st.integers(0, 10**6),
    error=st.none() | st.text(max_size=10),
    node=st.none() | st.sampled_from(["n1", "n2"]),
)


@given(OPS)
def test_an_op_is_read_back_from_its_line(op: Op) -> None:
    (line,) = write_lines([op])
    data = line.encode()
    (read,), begin, behind = EdnOps().read(data, 0)
    assert (begin, behind) == (0, len(data))
    assert Op(**{"time_ns": read.pop("time"), **read}) == op


@given(OPS)
def test_the_quick_way_reads_what_the_exact_reader_reads(op: Op) -> None:
    line = op_line(op)
    quick = _quick(line)
    assert quick is None or quick == loads(line)


@given(st.text(alphabet='[]:., \\"#;{}-+019eNMnilrtue', max_size=14))
@example("01")
@example("[:nil nil :a.nil]")
@example("1e5")
@example("[1.]")
def test_the_quick_way_never_reads_a_value_otherwise(value: str) -> None:
    line = f"{{:index 0, :time 1, :type :ok, :process 0, :f :txn, :value {value}}}"
    quick = _quick(line)
    if quick is not None:
        assert quick == loads(line)


def test_lines_look_as_jepsen_writes_them() -> None:
    txn = Op("invoke", "txn", [["append", 1, 2], ["r", 1, None]], 0, 123, 0)
    assert op_line(txn) == (
        "{:index 0, :time 123, :type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:r 1 nil]]}"
    )
    fault = Op("invoke", "inject", {"id": 1, "kind": "kill", "nodes": ["n1"]}, NEMESIS, 5, 1)
    assert list(write_lines([fault])) == [
        '{:index 1, :time 5, :type :info, :process :nemesis, :f :inject, :value {:id 1, :kind "kill", :nodes ["n1"]}}\n'
    ]
    left = Op("ok", "leave", [17, 0, "left"], 3, 9, 2, None, "n2")
    assert op_line(left) == ('{:index 2, :time 9, :type :ok, :process 3, :f :leave, :value [17 0 "left"], :node "n2"}')
    assert _quick(op_line(txn)) is not None
