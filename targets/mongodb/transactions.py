"""Workloads of several statements: append and bank, in multi-document transactions or (`transactions=off`) without.

    startTransaction             goes with the first statement; read and write concern are the transaction's
    ... the op's statements ...
    commitTransaction            sent once; also for reads alone, because only its write concern makes the reads of a
                                 snapshot those of a majority

append   collection `lists`, a document {_id: k, elements: [...]} a key: update {$push} with upsert, find by _id
bank     collection `accounts`, a document {_id: account, balance: n} each. A transfer reads both balances and writes
         both as numbers that the client worked out

Without transactions the statements of an op go one by one. What went wrong after a write that was acknowledged leaves
that write in place: nobody can call such an op failed, so it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pymongo.errors
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.synchronous.client_session import ClientSession

from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Unknown
from targets.mongodb.errors import at_commit, before_commit
from targets.mongodb.links import Link, LinkedSession

T = TypeVar("T")
LISTS, ACCOUNTS = "lists", "accounts"


class StatementSession(LinkedSession):
    """What append and bank share: `find` and `update`, inside the transaction at work or alone."""

    def __init__(self, link: Link, context: SessionContext) -> None:
        super().__init__(link)
        self._in_transactions = context.options["transactions"] == "on"
        self._transaction: ClientSession | None = None
        self._written = 0

    def together(self, body: Callable[[], T]) -> T:
        """Run the statements of one op. Raises DidNotHappen, Unknown, or an error that is in no table."""
        self._written = 0
        if self._in_transactions:
            return self._as_transaction(body)
        try:
            return body()
        except DidNotHappen as error:
            if not self._written:
                raise
            raise Unknown(f"{self._written} of its writes are done, then: {error}", lost=error.lost) from error

    def _as_transaction(self, body: Callable[[], T]) -> T:
        link, session = self.link, self.link.session(self.link.writes)
        session.start_transaction(
            read_concern=ReadConcern(link.level),
            write_concern=link.write_concern,
            read_preference=ReadPreference.PRIMARY,
            max_commit_time_ms=link.commit_limit_ms,
        )
        self._transaction = session
        try:
            result = body()
        except pymongo.errors.PyMongoError as error:
            outcome = before_commit(error)
            if not getattr(outcome, "lost", True):
                self._abort(session)
            raise outcome from error
        except BaseException:
            self._abort(session)
            raise
        finally:
            self._transaction = None
        before = link.writes.attempts
        try:
            session.commit_transaction()
        except pymongo.errors.PyMongoError as error:
            raise link.unless_repeated(at_commit(error), before) from error
        return result

    @staticmethod
    def _abort(session: ClientSession) -> None:
        """The driver swallows what goes wrong: a transaction that is not committed has no effect, aborted or not."""
        if session.in_transaction:
            session.abort_transaction()

    def find(self, collection: str, condition: dict[str, Any]) -> list[dict[str, Any]]:
        """Documents by _id."""
        if self._transaction is not None:
            return self.link.find_in(self._transaction, collection, condition)
        with self.link.asking():
            return self.link.find(collection, condition)

    def update(self, collection: str, key: int, change: dict[str, Any], *, upsert: bool = False) -> None:
        """Change the document with this _id. Raises DidNotHappen where there is none and it may not be made."""
        documents = self.link.collection(collection)
        if self._transaction is not None:
            changed = documents.update_one({"_id": key}, change, upsert=upsert, session=self._transaction)
        else:
            with self.link.asking():
                changed = documents.update_one({"_id": key}, change, upsert=upsert, session=self.link.causal_session())
            self._written += 1
        if not upsert and changed.matched_count != 1:
            raise DidNotHappen(f"there is no document {key} in {collection}")


class AppendSession(StatementSession):
    """`txn` of list appends and reads, see `workloads.append`."""

    def is_read(self, op: Op) -> bool:
        return all(what == "r" for what, _, _ in op.value)

    def invoke(self, op: Op) -> Op:
        return op.replace(type="ok", value=self.together(lambda: self._run(op.value)))

    def _run(self, micro_ops: list[list[Any]]) -> list[list[Any]]:
        done: list[list[Any]] = []
        for what, key, value in micro_ops:
            if done:
                self.link.between_statements()
            if what == "append":
                self.update(LISTS, key, {"$push": {"elements": value}}, upsert=True)
                done.append([what, key, value])
            else:
                found = self.find(LISTS, {"_id": key})
                done.append([what, key, found[0]["elements"] if found else []])
        return done


class BankSession(StatementSession):
    """`transfer` and `read`, see `workloads.bank`."""

    def invoke(self, op: Op) -> Op:
        if op.f == "read":
            return op.replace(type="ok", value=self.together(self._read))
        assert op.f == "transfer", op.f
        self.together(lambda: self._transfer(op.value["from"], op.value["to"], op.value["amount"]))
        return op.replace(type="ok")

    def _read(self) -> list[list[int]]:
        return sorted([account["_id"], account["balance"]] for account in self.find(ACCOUNTS, {}))

    def _balance(self, account: int) -> int:
        return int(self.find(ACCOUNTS, {"_id": account})[0]["balance"])

    def _transfer(self, source: int, goal: int, amount: int) -> None:
        left = self._balance(source) - amount
        if left < 0:
            raise DidNotHappen(f"not enough in {source}")
        there = self._balance(goal) + amount
        self.link.between_statements()
        self.update(ACCOUNTS, source, {"$set": {"balance": left}})
        self.update(ACCOUNTS, goal, {"$set": {"balance": there}})
