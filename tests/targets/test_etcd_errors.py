"""Goal: every error of etcd is what its row says, and one that has no row is not taken for anything."""

from __future__ import annotations

import pytest

from harness.target import DidNotHappen, Unknown
from targets.etcd.errors import ERRORS, GatewayError, judged, row_of


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row.message)
def test_each_row_is_reached_by_its_message(row: object) -> None:
    error = GatewayError(503, 14, f"{row.message}, and so on")  # type: ignore[attr-defined]
    assert row_of(error) is row


@pytest.mark.parametrize(
    "message",
    [
        "etcdserver: request timed out",
        "etcdserver: request timed out, possibly due to previous leader failure",
        "etcdserver: request timed out, possibly due to connection lost",
        "etcdserver: leader changed",
        "context deadline exceeded",
        "etcdserver: server stopped",
    ],
)
def test_what_may_have_been_proposed_is_unknown(message: str) -> None:
    raised = judged(GatewayError(503, 14, message))
    assert isinstance(raised, Unknown)
    assert not raised.lost, "the connection that brought the error lives"


@pytest.mark.parametrize(
    "message", ["etcdserver: no leader", "etcdserver: too many requests", "etcdserver: mvcc: database space exceeded"]
)
def test_what_was_refused_did_not_happen(message: str) -> None:
    assert isinstance(judged(GatewayError(429, 8, message)), DidNotHappen)


def test_an_error_in_no_row_stays_itself() -> None:
    error = GatewayError(500, 2, "something new")
    assert judged(error) is error
