"""Workloads whose ops are single operations on single documents.

register, causal   collection `registers`, a document {_id: k, value: v} a key
    read    find by _id
    write   update {$set} with upsert
    cas     update (option `cas_command`: or findAndModify) of {_id: k, value: old}; old null: an insert, which
            an _id takes once
set, set-final     collection `elements`, a document {_id: element} each: insert, and a find of all
counter            collection `counters`, the document {_id: 0, total: n}: update {$inc}, find

A compare-and-set that found no such document changed nothing, whatever became of its write concern: it is `fail`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pymongo.errors
from pymongo.write_concern import WriteConcern

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.mongodb.links import DATABASE, Link, LinkedSession, open_link

REGISTERS, ELEMENTS, COUNTERS = "registers", "elements", "counters"


class RegisterSession(LinkedSession):
    """`read`, `write` and `cas` of one register, see `workloads.register`; also for `workloads.causal`."""

    def __init__(self, link: Link, context: SessionContext) -> None:
        super().__init__(link)
        self._find_and_modify = context.options["cas_command"] == "find-and-modify"

    def invoke(self, op: Op) -> Op:
        key, value = op.value
        with self.link.asking():
            if op.f == "read":
                found = self.link.find(REGISTERS, {"_id": key})
                return op.replace(type="ok", value=[key, found[0]["value"] if found else None])
            if op.f == "write":
                self._registers().update_one(
                    {"_id": key}, {"$set": {"value": value}}, upsert=True, session=self.link.causal_session()
                )
                return op.replace(type="ok")
            assert op.f == "cas", op.f
            self._compare_and_set(key, *value)
            return op.replace(type="ok")

    def _registers(self) -> Any:
        return self.link.collection(REGISTERS)

    def _compare_and_set(self, key: int, old: int | None, new: int) -> None:
        session = self.link.causal_session()
        if old is None:
            try:
                self._registers().insert_one({"_id": key, "value": new}, session=session)
            except pymongo.errors.DuplicateKeyError:
                raise DidNotHappen("compare failed: it was written before") from None
            return
        condition, change = {"_id": key, "value": old}, {"$set": {"value": new}}
        if self._find_and_modify:
            there = self._registers().find_one_and_update(condition, change, session=session) is not None
        else:
            there = self._registers().update_one(condition, change, session=session).matched_count == 1
        if not there:
            raise DidNotHappen("compare failed: it held something else")


class SetSession(LinkedSession):
    """`add` and `read` of one set, see `workloads.set`."""

    def __init__(self, link: Link, context: SessionContext) -> None:
        super().__init__(link)

    def invoke(self, op: Op) -> Op:
        with self.link.asking():
            if op.f == "read":
                return op.replace(type="ok", value=sorted(each["_id"] for each in self.link.find(ELEMENTS, {})))
            assert op.f == "add", op.f
            self.link.collection(ELEMENTS).insert_one({"_id": op.value}, session=self.link.causal_session())
            return op.replace(type="ok")


class CounterSession(LinkedSession):
    """`add` and `read` of one number, see `workloads.counter`."""

    def __init__(self, link: Link, context: SessionContext) -> None:
        super().__init__(link)

    def invoke(self, op: Op) -> Op:
        with self.link.asking():
            if op.f == "read":
                found = self.link.find(COUNTERS, {"_id": 0})
                return op.replace(type="ok", value=found[0]["total"] if found else 0)
            assert op.f == "add", op.f
            changed = self.link.collection(COUNTERS).update_one(
                {"_id": 0}, {"$inc": {"total": op.value}}, session=self.link.causal_session()
            )
            if changed.matched_count != 1:
                raise DidNotHappen("there is no counter here")
            return op.replace(type="ok")


class Sessions:
    """A SessionFactory. collection: emptied and made at set-up, with these documents. make(link, context) → Session."""

    def __init__(self, make: Any, collection: str, documents: Any = None) -> None:
        self._make, self._collection = make, collection
        self._documents: Callable[[Mapping[str, Any]], list[dict[str, Any]]] = documents or (lambda options: [])

    def setup(self, target: Any, cluster: Cluster) -> None:
        """Collections are made beforehand: to make one inside a transaction needs locks that others then wait for."""
        with target.at_primary(cluster) as driver:
            database = driver.client[DATABASE].with_options(write_concern=WriteConcern(w="majority"))
            database.drop_collection(self._collection)
            database.create_collection(self._collection, check_exists=False)
            if documents := self._documents(target.chosen):
                database[self._collection].insert_many(documents)

    def open(self, target: Any, node: Node, context: SessionContext) -> Any:
        return self._make(open_link(target, node, context), context)
