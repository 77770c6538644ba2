"""Goal: every error of Cassandra is what its row says, the two kinds of Unavailable are told apart, and one that has no
row is not taken for anything."""

from __future__ import annotations

import pytest
from cassandra import ConsistencyLevel, WriteType
from cassandra.protocol import ErrorMessage, ServerError, UnavailableErrorMessage, WriteTimeoutErrorMessage

from harness.target import DidNotHappen, Unknown
from targets.cassandra.errors import ERRORS, WRITE_TIMEOUTS, Refused, judged


def unavailable(level: int) -> ErrorMessage:
    info = {"consistency": level, "required_replicas": 2, "alive_replicas": 1}
    return UnavailableErrorMessage(code=0x1000, message="Cannot achieve consistency level", info=info)


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: ERRORS[code].name)
def test_each_row_is_what_it_says(code: int) -> None:
    raised = judged(ErrorMessage(code, "it said so", None), conditional=True)
    assert isinstance(raised, DidNotHappen if ERRORS[code].happened == "no" else Unknown)
    assert not raised.lost, "the connection that brought the error lives"


@pytest.mark.parametrize("code", [0x1100, 0x1500, 0x1700, 0x1200])
def test_what_may_have_been_accepted_is_unknown(code: int) -> None:
    assert isinstance(judged(ErrorMessage(code, "", None), conditional=True), Unknown)


@pytest.mark.parametrize("kind", WRITE_TIMEOUTS)
def test_whatever_was_being_written_when_it_timed_out_is_unknown(kind: int) -> None:
    """Also a batch whose log timed out: a node that stored the log plays it."""
    info = {
        "consistency": ConsistencyLevel.QUORUM,
        "required_responses": 2,
        "received_responses": 1,
        "write_type": kind,
    }
    raised = judged(WriteTimeoutErrorMessage(code=0x1100, message="timed out", info=info), conditional=False)
    assert isinstance(raised, Unknown) and not raised.lost
    assert WRITE_TIMEOUTS[kind] in str(raised)


def test_every_kind_of_write_is_told() -> None:
    assert set(WRITE_TIMEOUTS) == set(WriteType.value_to_name)


def test_unavailable_before_paxos_did_not_happen() -> None:
    assert isinstance(judged(unavailable(ConsistencyLevel.SERIAL), conditional=True), Refused)


def test_unavailable_at_the_commit_is_unknown() -> None:
    assert isinstance(judged(unavailable(ConsistencyLevel.QUORUM), conditional=True), Unknown)


def test_unavailable_for_a_plain_write_did_not_happen() -> None:
    assert isinstance(judged(unavailable(ConsistencyLevel.QUORUM), conditional=False), Refused)


def test_unavailable_in_an_unlogged_batch_is_unknown() -> None:
    """Its partitions are refused one by one."""
    raised = judged(unavailable(ConsistencyLevel.QUORUM), conditional=False, in_parts=True)
    assert isinstance(raised, Unknown) and not raised.lost


def test_an_error_in_no_row_stays_itself() -> None:
    error = ServerError(code=0x0000, message="java.lang.AssertionError", info=None)
    assert judged(error, conditional=True) is error
