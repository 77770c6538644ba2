"""One transaction on one connection, and what its outcome proves (the table is in `errors`).

    BEGIN ISOLATION LEVEL ...   each statement is sent and answered on its own (no pipeline: a stall needs gaps)
    ... the op's statements ...
    COMMIT                      ok only for the tag COMMIT without a WARNING

COMMIT of an aborted transaction answers ROLLBACK: it did not happen. COMMIT that answers with a WARNING was cut short
while it waited for a standby: it is committed here and may be lost there, so nobody knows. (`commit_warnings=ok` takes
it for done, as programs do that never look at warnings; `cancel_commit_ms` is what makes such commits.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar, TypeVar

from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Unknown
from targets.postgres.connection import Answer, CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.errors import at_commit, before_commit

T = TypeVar("T")

LOCAL_READ = "local-read"
"""An op that the node's own server answers, see `workloads.local_reads`; here it is a read like any other."""
BEGIN = {
    "serializable": "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "repeatable-read": "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "read-committed": "BEGIN ISOLATION LEVEL READ COMMITTED",
}


class TransactionSession:
    """What the sessions of all workloads share. `end_backend(pid, application)` ends an abandoned backend.

    local_reads: whether they do the op `local-read` too.
    """

    local_reads: ClassVar[bool] = False

    def __init__(
        self,
        connection: Connection,
        context: SessionContext,
        *,
        application: str,
        end_backend: Callable[[int, str], None],
    ) -> None:
        self.connection = connection
        self.between_statements = context.between_statements
        self._begin = BEGIN[context.options["isolation"]]
        self._cancel_commit_s = context.options["cancel_commit_ms"] / 1000
        self._warnings_are_ok = context.options["commit_warnings"] == "ok"
        self._application = application
        self._end_backend = end_backend

    def is_read(self, op: Op) -> bool:
        """Whether the op writes nothing."""
        raise NotImplementedError

    def invoke(self, op: Op) -> Op:
        """See `harness.target.Session`."""
        raise NotImplementedError

    def transaction(self, body: Callable[[], T]) -> T:
        """Run `body` between BEGIN and COMMIT. Raises DidNotHappen, Unknown, or an error that is in no table."""
        connection = self.connection
        try:
            connection.execute(self._begin)
            result = body()
        except (ServerError, ConnectionLost) as error:
            raise self._rolled_back(before_commit(error)) from error
        except BaseException:
            self._rollback()
            raise
        connection.warnings.clear()
        try:
            answer = self._commit()
        except (ServerError, ConnectionLost) as error:
            raise at_commit(error) from error
        if answer.tag == "ROLLBACK":
            raise DidNotHappen("COMMIT answered ROLLBACK")
        if answer.tag != "COMMIT":
            raise Unknown(f"COMMIT answered {answer.tag!r}")
        if connection.warnings and not self._warnings_are_ok:
            raise Unknown(f"COMMIT answered with a warning: {connection.warnings[0]}")
        return result

    def _commit(self) -> Answer:
        if self._cancel_commit_s:
            return self.connection.execute_or_cancel("COMMIT", self._cancel_commit_s)
        return self.connection.execute("COMMIT")

    def _rolled_back(self, outcome: Exception) -> Exception:
        """Leave the connection outside a transaction, or say that it can't be used any more."""
        usable = self._rollback()
        if isinstance(outcome, DidNotHappen):
            outcome.lost = outcome.lost or not usable
        return outcome

    def _rollback(self) -> bool:
        try:
            self.connection.execute("ROLLBACK")
        except (ServerError, ConnectionLost):
            return False
        return True

    def close(self) -> None:
        """Shut the connection; a backend at work is told to end: waiting for a lock, it would not notice."""
        abandoned = self.connection.busy
        self.connection.close()
        if abandoned:
            threading.Thread(target=self._end_abandoned, daemon=True).start()

    def _end_abandoned(self) -> None:
        try:
            self._end_backend(self.connection.backend_pid, self._application)
        except (CannotConnect, ServerError, ConnectionLost):
            pass
