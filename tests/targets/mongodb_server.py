"""A scripted replica set: small servers that speak MongoDB's protocol over real sockets, for the real driver.

No mongod can be had everywhere that these tests run. What they need of one is here in earnest: OP_MSG (and the OP_QUERY
that drivers begin with), hello, configuration, elections, documents, transactions on snapshots with write conflicts,
cluster times; each member has data of its own, and a primary hands its writes on to the members that it reaches. What
a test wants to see go wrong it scripts: `member.on("update", drop_after)`. Every request is kept, so tests can count.
"""

from __future__ import annotations

import contextlib
import copy
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import bson
from bson import Timestamp
from bson.objectid import ObjectId

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
EPOCH = 1_700_000_000
Document = dict[str, Any]
Reaction = Callable[["Member", Document], "Document | None"]


class Drop(Exception):
    """Close the connection without an answer."""


def error(code: int, name: str, *labels: str, **more: Any) -> Reaction:
    """The command is refused, and not done; in a transaction that ends it."""
    answer = {"ok": 0.0, "code": code, "codeName": name, "errmsg": name, **more}
    told = answer | ({"errorLabels": list(labels)} if labels else {})

    def react(member: Member, command: Document) -> Document:
        member.end_transaction(command)
        return told

    return react


def write_concern_error(code: int, name: str, *labels: str) -> Reaction:
    """The command is done, and not confirmed as widely as was asked for."""

    def react(member: Member, command: Document) -> Document:
        told = {"writeConcernError": {"code": code, "codeName": name, "errmsg": name}}
        return {**member.do(command), **told} | ({"errorLabels": list(labels)} if labels else {})

    return react


def write_error(code: int, name: str) -> Reaction:
    """The command is answered, and its one write was refused."""
    told = [{"index": 0, "code": code, "errmsg": name}]
    return lambda member, command: {"ok": 1.0, "n": 0, "writeErrors": told}


def drop_before(member: Member, command: Document) -> Document:
    """The connection breaks, and the command is not done."""
    raise Drop


def drop_after(member: Member, command: Document) -> Document:
    """The command is done, and the connection breaks before the answer."""
    member.do(command)
    raise Drop


def no_answer(member: Member, command: Document) -> None:
    """The command is done; no answer comes, and the connection stays."""
    member.do(command)


class Refused(Exception):
    """What a member answers with ok 0."""

    def __init__(self, code: int, name: str, *labels: str) -> None:
        super().__init__(name)
        self.answer: Document = {"ok": 0.0, "code": code, "codeName": name, "errmsg": name}
        if labels:
            self.answer["errorLabels"] = list(labels)


class Transaction:
    """An open one: the data as they were when it began, with its own writes; which documents it wrote."""

    def __init__(self, data: dict[str, dict[Any, Document]]) -> None:
        self.data = copy.deepcopy(data)
        self.written: set[tuple[str, Any]] = set()
        self.began_with: Document = {}


class Member:
    """One server. role: PRIMARY, SECONDARY, ... knows: the primary that it knows of. reaches: where its writes go."""

    def __init__(self, replica_set: ReplicaSet, number: int) -> None:
        self.set, self.number = replica_set, number
        self.role, self.knows = "STARTUP", None
        self.term = 0
        self.frozen = False
        self.data: dict[str, dict[Any, Document]] = {}
        self.reaches: list[Member] = [self]
        self.requests: list[Document] = []
        self.connections = 0
        self.transactions: dict[tuple[bytes, int], Transaction] = {}
        self._scripts: dict[str, list[Reaction]] = {}
        self._lock = replica_set.lock
        self._sockets: list[socket.socket] = []
        self._listener = bound(0)
        self.port: int = self._listener.getsockname()[1]
        self.running = False

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; nothing happens when it does already."""
        if not self.running:
            if self._listener.fileno() < 0:
                self._listener = bound(self.port)
            self._listener.listen()
            self.running = True
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """End it: its connections break."""
        self.running = False
        with self._lock:
            ending, self._sockets = [self._listener, *self._sockets], []
        for each in ending:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def on(self, name: str, *reactions: Reaction) -> None:
        """How the next commands of this name are answered, one after the other; then as ever."""
        with self._lock:
            self._scripts.setdefault(name, []).extend(reactions)

    def count(self, name: str) -> int:
        """How many commands of this name came."""
        with self._lock:
            return sum(next(iter(each)) == name for each in self.requests)

    def asked(self, name: str) -> list[Document]:
        """The commands of this name."""
        with self._lock:
            return [each for each in self.requests if next(iter(each)) == name]

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with self._lock:
                    self.connections += 1
                    self._sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, Drop, struct.error):
            while True:
                request, opcode, command = receive(client)
                answer = self._answer(command)
                if answer is not None:
                    send(client, request, opcode, answer)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()

    def _answer(self, command: Document) -> Document | None:
        name = next(iter(command))
        with self._lock:
            self.requests.append(command)
            script = self._scripts.get(name)
            answer = script.pop(0)(self, command) if script else self.do(command)
            return None if answer is None else {**answer, **self.set.times()}

    def do(self, command: Document) -> Document:
        """Do a command as a server does; a majority that can't be reached is not waited for."""
        name = next(iter(command))
        try:
            answer: Document = getattr(self, f"_{name}", self._unknown)(command)
        except Refused as refused:
            return refused.answer
        if command.get("writeConcern", {}).get("w") == "majority" and not self.has_majority:
            told = {"code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting for replication timed out"}
            return {**answer, "writeConcernError": {**told, "errInfo": {"wtimeout": True}}}
        return answer

    @property
    def has_majority(self) -> bool:
        """Whether more than half of the set has what this member writes."""
        return 2 * len(self.reaches) > len(self.set.config.get("members", ()))

    def _unknown(self, command: Document) -> Document:
        raise Refused(59, "CommandNotFound")

    def _hello(self, command: Document) -> Document:
        said: Document = {
            "ok": 1.0,
            "isWritablePrimary": self.role == "PRIMARY",
            "ismaster": self.role == "PRIMARY",
            "secondary": self.role == "SECONDARY",
            "minWireVersion": 0,
            "maxWireVersion": 25,
            "maxBsonObjectSize": 16 << 20,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30,
        }
        if self.role == "STARTUP":
            return {**said, "isreplicaset": True, "info": "Does not have a valid replica set config"}
        said |= {"setName": self.set.config["_id"], "setVersion": self.set.config["version"], "me": self.host}
        said["hosts"] = [member["host"] for member in self.set.config["members"]]
        if self.knows is not None:
            said["primary"] = self.knows.host
        if self.role == "PRIMARY":
            said["electionId"] = ObjectId(bytes.fromhex("7fffffff") + self.term.to_bytes(8, "big"))
        return said

    _ismaster = _isMaster = _hello

    def _ping(self, command: Document) -> Document:
        return {"ok": 1.0}

    _endSessions = _create = _ping

    def _buildInfo(self, command: Document) -> Document:
        return {"ok": 1.0, "version": "8.0.4"}

    def _replSetInitiate(self, command: Document) -> Document:
        if self.set.config:
            raise Refused(23, "AlreadyInitialized")
        self.set.config = {**command["replSetInitiate"], "version": 1}
        for member in self.set.members:
            member.role = "SECONDARY"
        self.set.elect(self)
        return {"ok": 1.0}

    def _replSetGetConfig(self, command: Document) -> Document:
        return {"ok": 1.0, "config": self.set.config}

    def _replSetGetStatus(self, command: Document) -> Document:
        members = [
            {"name": member.host, "stateStr": member.role, "health": 1.0}
            for member in self.set.members
            if member.host in self.set.hosts()
        ]
        return {"ok": 1.0, "members": members}

    def _replSetReconfig(self, command: Document) -> Document:
        self._must_lead()
        wanted = command["replSetReconfig"]
        before, after = self.set.hosts(), {member["host"] for member in wanted["members"]}
        if wanted["version"] != self.set.config["version"] + 1 or len(before ^ after) > 1:
            raise Refused(103, "NewReplicaSetConfigurationIncompatible")
        self.set.config = wanted
        for member in self.set.members:
            if member.host in after - before:
                member.role, member.knows, member.data = "SECONDARY", self, copy.deepcopy(self.data)
                self.reaches.append(member)
            elif member.host in before - after:
                member.role, member.knows = "REMOVED", None
                self.reaches.remove(member)
        return {"ok": 1.0}

    def _replSetStepDown(self, command: Document) -> Document:
        self._must_lead()
        others = [m for m in self.reaches if m is not self and not m.frozen and m.host in self.set.hosts()]
        if others:
            self.set.elect(others[0])
        else:
            self.role, self.knows = "SECONDARY", None
        return {"ok": 1.0}

    def _replSetFreeze(self, command: Document) -> Document:
        if self.role == "PRIMARY":
            raise Refused(95, "NotSecondary")
        self.frozen = command["replSetFreeze"] > 0
        return {"ok": 1.0}

    def _drop(self, command: Document) -> Document:
        self._must_lead()
        for member in self.reaches:
            member.data.pop(command["drop"], None)
        return {"ok": 1.0}

    def _listDatabases(self, command: Document) -> Document:
        names = ["admin", *(["faultline"] if any(self.data.values()) else [])]
        return {"ok": 1.0, "databases": [{"name": name} for name in names]}

    def _dropDatabase(self, command: Document) -> Document:
        self._must_lead()
        for member in self.reaches:
            member.data.clear()
        return {"ok": 1.0}

    def _insert(self, command: Document) -> Document:
        documents = self._documents(command, command["insert"], writes=[each["_id"] for each in command["documents"]])
        for number, document in enumerate(command["documents"]):
            if document["_id"] in documents:
                told = {"index": number, "code": 11000, "errmsg": "E11000 duplicate key error"}
                return {"ok": 1.0, "n": number, "writeErrors": [told]}
            self._put(command, command["insert"], document)
        return {"ok": 1.0, "n": len(command["documents"])}

    def _update(self, command: Document) -> Document:
        [update] = command["updates"]
        found, before, _ = self._change(command, command["update"], update["q"], update["u"], update.get("upsert"))
        upserted = {"upserted": [{"index": 0, "_id": update["q"]["_id"]}]} if found and before is None else {}
        return {"ok": 1.0, "n": int(found), "nModified": int(found and before is not None), **upserted}

    def _findAndModify(self, command: Document) -> Document:
        _, before, _ = self._change(
            command, command["findAndModify"], command["query"], command["update"], command.get("upsert")
        )
        return {"ok": 1.0, "value": before, "lastErrorObject": {"n": int(before is not None)}}

    def _change(
        self, command: Document, collection: str, condition: Document, change: Document, upsert: bool | None
    ) -> tuple[bool, Document | None, Document]:
        documents = self._documents(command, collection, writes=[condition["_id"]])
        before = documents.get(condition["_id"])
        if before is not None and any(before.get(name) != value for name, value in condition.items()):
            before = None
            upsert = False
        if before is None and not upsert:
            return False, None, {}
        after = changed(dict(before) if before is not None else {"_id": condition["_id"]}, change)
        self._put(command, collection, after)
        return True, before, after

    def _find(self, command: Document) -> Document:
        mode = command.get("$readPreference", {}).get("mode", "primary")
        if self.role != "PRIMARY" and mode == "primary":
            raise Refused(13435, "NotPrimaryNoSecondaryOk")
        if self.role not in ("PRIMARY", "SECONDARY"):
            raise Refused(13436, "NotPrimaryOrSecondary")
        if self.role != "PRIMARY" and command.get("readConcern", {}).get("level") == "linearizable":
            raise Refused(10107, "NotWritablePrimary")
        if not self.has_majority and command.get("readConcern", {}).get("level") == "linearizable":
            raise Refused(50, "MaxTimeMSExpired")
        documents = self._documents(command, command["find"])
        found = [
            copy.deepcopy(document)
            for document in documents.values()
            if all(document.get(name) == value for name, value in command.get("filter", {}).items())
        ]
        return {"ok": 1.0, "cursor": {"id": 0, "ns": f"{command['$db']}.{command['find']}", "firstBatch": found}}

    def _documents(self, command: Document, collection: str, writes: Any = None) -> dict[Any, Document]:
        """What a command sees; for one that writes these ids, after it was looked whether it may."""
        if writes is not None:
            self._must_lead()
        transaction = self._transaction(command)
        if transaction is None:
            return self.data.setdefault(collection, {})
        for key in writes or ():
            others = [each for each in self.transactions.values() if each is not transaction]
            changed_since = self.data.get(collection, {}).get(key) != transaction.began_with.get((collection, key))
            mine = (collection, key) in transaction.written
            if any((collection, key) in other.written for other in others) or (changed_since and not mine):
                self.end_transaction(command)
                raise Refused(112, "WriteConflict", "TransientTransactionError")
        return transaction.data.setdefault(collection, {})

    def _put(self, command: Document, collection: str, document: Document) -> None:
        transaction = self._transaction(command)
        self.set.time += 1
        if transaction is not None:
            transaction.written.add((collection, document["_id"]))
            transaction.data.setdefault(collection, {})[document["_id"]] = document
            return
        for member in self.reaches:
            member.data.setdefault(collection, {})[document["_id"]] = copy.deepcopy(document)

    def _transaction(self, command: Document) -> Transaction | None:
        if "autocommit" not in command:
            return None
        key = (bytes(command["lsid"]["id"]), command["txnNumber"])
        if command.pop("startTransaction", False):
            command["started"] = True
            begun = self.transactions[key] = Transaction(self.data)
            begun.began_with = {(c, k): copy.deepcopy(d) for c, ds in self.data.items() for k, d in ds.items()}
        if key not in self.transactions:
            raise Refused(251, "NoSuchTransaction", "TransientTransactionError")
        return self.transactions[key]

    def end_transaction(self, command: Document) -> None:
        """Forget the transaction that a command belongs to."""
        if "autocommit" in command:
            self.transactions.pop((bytes(command["lsid"]["id"]), command["txnNumber"]), None)

    def _commitTransaction(self, command: Document) -> Document:
        self._must_lead()
        transaction = self._transaction(command)
        assert transaction is not None
        self.end_transaction(command)
        self.set.time += 1
        for collection, key in transaction.written:
            for member in self.reaches:
                member.data.setdefault(collection, {})[key] = copy.deepcopy(transaction.data[collection][key])
        return {"ok": 1.0}

    def _abortTransaction(self, command: Document) -> Document:
        self._transaction(command)
        self.end_transaction(command)
        return {"ok": 1.0}

    def _must_lead(self) -> None:
        if self.role != "PRIMARY":
            raise Refused(10107, "NotWritablePrimary")


class ReplicaSet:
    """The members, who leads, the configuration. A context manager; `initiated` makes the set at once."""

    def __init__(self, count: int = 3, *, initiated: bool = True) -> None:
        self.lock = threading.RLock()
        self.time = 0
        self.term = 0
        self.config: Document = {}
        self.members = [Member(self, number) for number in range(count)]
        self._initiated = initiated

    def __enter__(self) -> ReplicaSet:
        if self._initiated:
            for member in self.members:
                member.start()
            hosts = [{"_id": member.number, "host": member.host} for member in self.members]
            self.members[0].do({"replSetInitiate": {"_id": "faultline", "members": hosts}})
        return self

    def __exit__(self, *problem: object) -> None:
        for member in self.members:
            member.stop()

    def hosts(self) -> set[str]:
        return {member["host"] for member in self.config["members"]}

    def elect(self, winner: Member, *, unheard_by: tuple[Member, ...] = ()) -> None:
        """A new primary in a new term. unheard_by: members that don't learn of it, as behind a partition."""
        self.term += 1
        inside = [m for m in self.members if m.host in self.hosts() and m not in unheard_by]
        for member in inside:
            member.role, member.knows = "SECONDARY", winner
        for member in unheard_by:
            member.reaches = [member]
        winner.role, winner.term, winner.reaches = "PRIMARY", self.term, inside

    def rejoin(self, member: Member) -> None:
        """A member comes home from behind a partition: it rolls back what only it had, and ends its connections."""
        with self.lock:
            home = self.primary
            member.role, member.knows, member.data = "SECONDARY", home, copy.deepcopy(home.data)
            member.transactions.clear()
            home.reaches.append(member)
        member.stop()
        member.start()

    def times(self) -> Document:
        now = Timestamp(EPOCH, self.time + 1)
        signature = {"hash": b"\0" * 20, "keyId": 0}
        return {"operationTime": now, "$clusterTime": {"clusterTime": now, "signature": signature}}

    @property
    def primary(self) -> Member:
        """The newest."""
        return max((m for m in self.members if m.role == "PRIMARY"), key=lambda member: member.term)


def bound(port: int, timeout_s: float = 20.0) -> socket.socket:
    """A socket at this port (0: a free one) that does not listen yet: until then connections are refused."""
    until = time.monotonic() + timeout_s
    while True:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
            return one
        except OSError:
            one.close()
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def changed(document: Document, change: Document) -> Document:
    """A document after $set, $inc and $push."""
    for name, value in change.get("$set", {}).items():
        document[name] = value
    for name, value in change.get("$inc", {}).items():
        document[name] = document.get(name, 0) + value
    for name, value in change.get("$push", {}).items():
        document[name] = [*document.get(name, []), value]
    return document


def receive(client: socket.socket) -> tuple[int, int, Document]:
    """(request id, opcode, command) of the next message. Raises Drop at the end of the stream."""
    length, request, _, opcode = struct.unpack("<iiii", exactly(client, 16))
    body = exactly(client, length - 16)
    if opcode == OP_QUERY:
        start = body.index(b"\0", 4) + 1 + 8
        return request, opcode, bson.decode(body[start : start + struct.unpack_from("<i", body, start)[0]])
    command: Document = {}
    place = 4
    while place < len(body):
        kind, size = body[place], struct.unpack_from("<i", body, place + 1)[0]
        section = body[place + 1 : place + 1 + size]
        if kind == 0:
            command = {**bson.decode(section), **command}
        else:
            name, _, documents = section[4:].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
        place += 1 + size
    first = next((name for name in command if name not in ("documents", "updates", "deletes")), "")
    return request, opcode, {first: command[first], **command}


def send(client: socket.socket, request: int, opcode: int, answer: Document) -> None:
    """The answer in the form that its question had."""
    data = bson.encode(answer)
    if opcode == OP_QUERY:
        body, kind = struct.pack("<iqii", 8, 0, 0, 1) + data, OP_REPLY
    else:
        body, kind = struct.pack("<iB", 0, 0) + data, OP_MSG
    client.sendall(struct.pack("<iiii", 16 + len(body), 1, request, kind) + body)


def exactly(client: socket.socket, size: int) -> bytes:
    """So many bytes. Raises Drop when the stream ends before."""
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            raise Drop
        data += more
    return data
