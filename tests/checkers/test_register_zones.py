"""Zones agree with the definition on small registers whose values are written once, and with the search on all.

Method: random executions of a real register by several clients (so that many are linearizable), some results corrupted
afterwards; the oracle tries every order. FAULTLINE_EXAMPLES sets how many are tried.
"""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.linearizability.linearizable_model import NEVER, Operation
from checkers.linearizability.register_columns import CAS, READ, WRITE, RegisterColumns, group
from checkers.linearizability.register_model import Register
from checkers.linearizability.register_zones import BETWEEN, BROKEN, LINEARIZABLE, UNDECIDED, judge
from checkers.linearizability.register_zones_wording import violation_of
from harness.history import FAIL, INFO, OK
from tests.checkers.linearizability_oracle import linearizable

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, database=None)
Row = tuple[int, int, int, int, int, int, int]
"""register, kind, outcome, old, new, invoked, returned (places)."""


def execution(chance: random.Random, register: int, count: int, clients: int, crash: float, base: int) -> list[Row]:
    """One register's calls: each at an instant between its invocation and return. Values from 1, initially 0."""
    value, fresh, place = 0, 1, base
    rows: list[list[int]] = []
    busy: dict[int, tuple[int, bool]] = {}
    while len(rows) < count or busy:
        client = chance.randrange(clients)
        if client not in busy:
            if len(rows) == count:
                continue
            kind = chance.choice([READ, READ, WRITE, CAS])
            old = value if chance.random() < 0.8 else chance.randrange(fresh)
            rows.append([register, kind, OK, old if kind == CAS else -1, fresh if kind != READ else -1, place, place])
            fresh += kind != READ
            busy[client] = (len(rows) - 1, False)
        else:
            number, happened = busy[client]
            row = rows[number]
            if not happened:
                happens = row[1] != CAS or row[3] == value
                if chance.random() < crash and row[1] != READ:
                    row[2], row[6] = INFO, NEVER
                    happens = happens and chance.random() < 0.5
                elif not happens:
                    row[2] = FAIL
                if row[1] == READ:
                    row[3] = value
                elif happens:
                    value = row[4]
                busy[client] = (number, True)
                continue
            if row[6] != NEVER:
                row[6] = place
            del busy[client]
        place += 1
    return [tuple(row) for row in rows]  # type: ignore[misc]


def corrupted(chance: random.Random, rows: list[Row]) -> list[Row]:
    """With a value changed here and there: what a read found, what was expected, what was written, or an op's time."""
    changed = [list(row) for row in rows]
    for row in changed:
        if row[3] >= 0 and chance.random() < 0.15:
            row[3] = chance.randrange(max(each[4] for each in changed) + 2)
        if row[4] >= 0 and chance.random() < 0.03:
            row[4] = chance.randrange(1, len(changed) + 2)
    if chance.random() < 0.1:
        changed.pop(chance.randrange(len(changed)))
    return [
        (row[0], READ if row[1] == CAS and row[3] == row[4] else row[1], *row[2:])  # type: ignore[misc]
        for row in changed
        if not (row[1] == CAS and row[3] == row[4] and row[2] != OK)
    ]


def columns_of(rows: list[Row]) -> RegisterColumns:
    rows = sorted(rows, key=lambda row: row[5])
    table = np.array(rows, np.int64).reshape(len(rows), 7)
    registers = int(table[:, 0].max(initial=-1)) + 1
    places = int(np.where(table[:, 6] == NEVER, table[:, 5], table[:, 6]).max(initial=0)) + 1
    keys = list(range(registers))
    return group(registers, *(table[:, i] for i in range(7)), 0, places, keys, True)


def operations_of(rows: list[Row], register: int) -> list[Operation]:
    made = []
    for of, kind, outcome, old, new, invoked, returned in rows:
        if of != register or outcome == FAIL:
            continue
        action = {READ: ("read", old), WRITE: ("write", new), CAS: ("cas", old, new)}[kind]
        made.append(Operation(action, invoked, returned))
    return made


@thorough
@given(st.integers(0, 2**60))
def test_agrees_with_the_definition(seed: int) -> None:
    chance = random.Random(seed)
    rows: list[Row] = []
    for register in range(chance.randint(1, 3)):
        made = execution(chance, register, chance.randint(1, 7), chance.randint(1, 5), chance.choice([0, 0.2, 0.5]), 0)
        if chance.random() < 0.7:
            made = corrupted(chance, made)
        rows += [
            (*row[:5], row[5] * 3 + register, row[6] if row[6] == NEVER else row[6] * 3 + register) for row in made
        ]
    if not rows:
        return
    columns = columns_of(rows)
    zones = judge(columns)
    for register in range(len(columns)):
        operations = operations_of(rows, register)
        written = [op.action[-1] for op in operations if op.action[0] != "read"]  # type: ignore[index]
        if zones.verdict[register] == UNDECIDED:
            assert len(set(written)) < len(written) or 0 in written
            continue
        expected = linearizable(Register(0), operations)
        assert (zones.verdict[register] == LINEARIZABLE) == expected, operations
        if not expected:
            proof, sentence = violation_of(columns, zones, register, str)
            assert sentence
            calls = [
                Operation(
                    {
                        READ: ("read", int(columns.old[call])),
                        WRITE: ("write", int(columns.new[call])),
                        CAS: ("cas", int(columns.old[call]), int(columns.new[call])),
                    }[int(columns.kind[call])],
                    int(columns.invoked[call]),
                    int(columns.returned[call]),
                )
                for call in proof
            ]
            assert len(calls) <= 7 and not linearizable(Register(0), calls), (operations, calls)


@pytest.mark.parametrize("crash", [0, 0.05])
def test_long_executions_are_linearizable_until_one_read_goes_back(crash: float) -> None:
    chance = random.Random(7)
    rows = execution(chance, 0, 4000, 12, crash, 0)
    assert judge(columns_of(rows)).verdict.tolist() == [LINEARIZABLE]
    late = next(place for place in range(3000, 4000) if rows[place][1] == READ and rows[place][2] == OK)
    early = next(row[4] for row in rows[500:] if row[1] == WRITE and row[2] == OK)
    rows[late] = (*rows[late][:3], early, *rows[late][4:])
    rows = [row for row in rows if row[1] != CAS or row[3] != early]
    zones = judge(columns_of(rows))
    assert zones.verdict.tolist() == [BROKEN]


def test_a_stale_read_is_told() -> None:
    rows = [(0, WRITE, OK, -1, 1, 0, 1), (0, WRITE, OK, -1, 2, 2, 3), (0, READ, OK, 1, -1, 4, 5)]
    columns = columns_of(rows)
    zones = judge(columns)
    assert zones.violation.tolist() == [BETWEEN]
    did = ["client 1 wrote 1", "client 1 wrote 2", "client 2 read 1"]
    proof, sentence = violation_of(columns, zones, 0, did.__getitem__)
    assert proof == [0, 1, 2]
    assert sentence == (
        "first client 1 wrote 1 and had its answer; then client 1 wrote 2 and had its answer; and only then began "
        "this: client 2 read 1. Every value was put there once only, so the older one can't have come back."
    )
