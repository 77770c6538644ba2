"""The node agent: does on a node what has to be done there, and undoes it when the controller is gone.

One file of the standard library alone, for python 3.9 and later, fed over its own stdin (`agent_client`). It runs in
the sandbox of a docker pod, as a child of the controller (`local`), or on a host of the user's own (ssh).

Requests (JSON lines on stdin, each with "id" and "what"; the answer on stdout carries the same id, or "error"):

    hello {node, scope, home?, user?, clock?, lease_s?}       the first request: heals what an earlier agent left
                          → {pid, python, abilities: {clock, partition: null or the reason why not}, healed}
          scope host: {base, run, installed?, lock_wait_s?, uncut?}, see `Host`  → {home, log} too
    heartbeat             no answer; any line renews the lease (15 s)
    run {argv, stdin?, limit_s, cwd?, env?, as_database?}     → {rc (null: out of time), stdout, stderr}
    tree                  → {root (null: down), pids, states: {pid: letter}, paused, offset_s}
    kill                  kill -9 of the whole tree, root first → {pids, took_ms}
    pause · resume        the whole tree → {pids, states, took_ms}
    drop {key, sources: [address]}  drop what comes from these addresses, under a name of the caller's → {rules}
    dropped {key} · undrop {key}    → {packets: dropped so far}; undrop is idempotent
    clock {offset_s}      the tree's CLOCK_REALTIME is this far ahead → {pids, measured: {pid: s}, offset_s, took_ms}
    clock-strobe {offsets_s: [...], period_ms}                go round these offsets until the next clock request
    clock-drift {rate, start_s}                               the offset grows by `rate` seconds a second until then
    clock-reset           the original entries are put back → {pids, measured before, took_ms}
    clock-measure         → {measured: {pid: s}, offset_s, changes}
    clock-prove           patch, measure and restore a child → {asked_s, skew_s, residue_s, monotonic_s}
    database-start {argv, env, cwd, log, stop_signal}         scopes children, host → {pid, killed, took_ms}
    database-started {limit_s}                                scope pod, after the engine's start → {root, pids}
    database-stop {limit_s}                                   scopes children, host → {rc, killed}
    service {ports, start: argv}    scope host, installed: who listens there is the database → {root, pids}
    service-start {limit_s}         run the start command unless it is up → {root, pids}
    await-empty {limit_s}           until no process of the tree is left, then kill -9 → {killed}
    put {path, offset, data (base64), mode} · get {path, offset, bytes} → {data} · port → {port}
    occupied {address, ports}       → {taken: {port: who listens there}}
    heal                  undo every fault now → what was undone
    end                   the same; stop the database (scopes children, host) or start the service; answer; exit

Dead man's switch. One thread does nothing but read stdin; the main thread does nothing but wait for the end of stdin,
a signal, or 15 s without a line. Then it kills the commands in progress and undoes every fault, and only then exits.
Nothing on that way writes to stdout or stderr: answers go through a bounded queue to a thread of their own.

Which processes are the database. "pod": those in the mount namespace of another container than ours; all its
processes, orphans included, can be told from `/proc/PID/ns/mnt`, whatever they do to their session, group or parents;
the root is the eldest one with parent 0. "children": the process that we started, its descendants, and the orphans
that come to us as their subreaper; the sessions of commands in progress are not. "host": the same, or with `installed`
the process that listens on the database's port and its descendants. A zombie is dead.
Kill, pause and clock take the root first, then list until nothing new appears.

Clocks: the vDSO (x86-64). See `Vdso`.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import glob
import json
import os
import platform
import queue
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Set
from typing import Any, NamedTuple

try:
    import ctypes
except ImportError:  # python3-minimal has none; only prctl needs it
    ctypes = None  # type: ignore[assignment]
try:
    import pwd
except ImportError:
    pwd = None  # type: ignore[assignment]

LEASE_S = 15.0
KEEPER_S = 0.1
"""How often new processes are looked for while a clock fault is in force."""
OUTPUT_BYTES = 1 << 20
"""What an answer carries of a command's output, at most (the end of it)."""
STOP_S = 2.0
"""How long to wait for a signal's effect on a process; one in an uninterruptible disk wait takes longest."""
CHAIN = "FAULTLINE"


NOTES = "agent-processes.json"
"""What an agent writes down for the next one, should it be killed."""
SYSTEM_PATH = ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a login without a profile may not look."""
HOST_LOCK = "/run/faultline.lock"
"""Held (flock) by the one agent of root on a host; the kernel gives it free when that ends."""


class Refused(Exception):
    """What was asked can't be done; the message is the answer's error."""


# -- processes ---------------------------------------------------------------------------------------------------


class Process(NamedTuple):
    """One process, named by (pid, start): a pid alone may be used again."""

    pid: int
    start: int
    ppid: int
    session: int
    state: str
    comm: str

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.start

    @property
    def dead(self) -> bool:
        return self.state in "ZXx"


def slurp(path: str) -> bytes:
    """A file of /proc, whose size is not known beforehand."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces: list[bytes] = []
        while True:
            piece = os.read(fd, 65536)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    finally:
        os.close(fd)


def process(pid: int) -> Process | None:
    """What /proc says of a process, None where there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError:
        return None
    end = data.rindex(b")")
    fields = data[end + 2 :].split()
    comm = data[data.index(b"(") + 1 : end].decode(errors="replace")
    # A first thread that is a zombie says little while others are still ending: their sockets may still accept.
    state = "E" if fields[0] == b"Z" and int(fields[17]) > 1 else fields[0].decode()
    return Process(pid, int(fields[19]), int(fields[1]), int(fields[3]), state, comm)


def processes(skip: Set[int] = frozenset()) -> dict[int, Process]:
    """Every process but those to skip, by pid: 15 µs each. Without /proc (macOS) by `ps`, with starts in seconds."""
    if os.path.isdir("/proc/self"):
        found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit() and int(name) not in skip)
        return {each.pid: each for each in found if each is not None}
    text = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,sess=,state=,lstart=,ucomm="], stdout=subprocess.PIPE, check=True, timeout=5
    ).stdout.decode(errors="replace")
    table = {}
    for line in text.splitlines():
        fields = line.split(None, 9)
        start = int(time.mktime(time.strptime(" ".join(fields[4:9]), "%a %b %d %H:%M:%S %Y")))
        pid = int(fields[0])
        table[pid] = Process(pid, start, int(fields[1]), os.getsid(pid), fields[3][0], fields[9])
    return table


def current(each: Process) -> Process | None:
    """The same process as it is now, None when it has ended."""
    now = process(each.pid) if os.path.isdir("/proc/self") else processes().get(each.pid)
    return now if now is not None and now.start == each.start and not now.dead else None


def send(each: Process, number: int) -> bool:
    """Signal a process unless it has ended (its pid may be another's by now)."""
    if current(each) is None:
        return False
    try:
        os.kill(each.pid, number)
    except ProcessLookupError:
        return False
    return True


VFORKS = (b"56", b"58", b"435")
"""clone, vfork and clone3 of x86-64: who waits uninterruptibly in one waits for a child that we stop as well."""


def stopped(each: Process) -> bool:
    """Whether every thread of it is stopped, or it has ended."""
    try:
        threads = os.listdir(f"/proc/{each.pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        now = current(each)
        return now is None or now.state == "T"
    for thread in threads:
        try:
            data = slurp(f"/proc/{each.pid}/task/{thread}/stat")
            letter = data[data.rindex(b")") + 2 : data.rindex(b")") + 3]
            if letter in b"TtZX" or (
                letter == b"D" and slurp(f"/proc/{each.pid}/task/{thread}/syscall").split()[0] in VFORKS
            ):
                continue
        except OSError:
            continue
        return False
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float, pause_s: float = 0.0005) -> bool:
    """Whether a condition came true in time; asked at first often, then less so."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)
    return True


def await_stopped(chosen: list[Process], timeout_s: float) -> bool:
    """Whether all of them stopped in time."""
    return wait_until(lambda: all(stopped(each) for each in chosen), timeout_s, 0.0001)


def await_awake(chosen: list[Process], timeout_s: float) -> bool:
    """Whether none of them is stopped any more, in time."""
    return wait_until(lambda: not any(stopped(each) and current(each) for each in chosen), timeout_s, 0.0001)


# -- which processes are the database ----------------------------------------------------------------------------


class PodTree:
    """The database is in another container, in our pid namespace: what has another mount namespace than ours.

    `runc:[...]` is a container's or exec's first program on its way into the namespaces; it is not ours to touch.
    """

    FIRST_PID_NAMESPACE = "pid:[4026531836]"
    """The machine's own (PROC_PID_INIT_INO): everything in there, of whatever container, would be taken for ours."""

    def __init__(self) -> None:
        if os.readlink("/proc/self/ns/pid") == self.FIRST_PID_NAMESPACE:
            raise Refused("scope 'pod' is for a container that shares its pid namespace with the database alone")
        self.own = os.readlink("/proc/self/ns/mnt")
        self.strangers: Set[int] = frozenset()

    def members(self, skip: Set[int] = frozenset()) -> list[Process]:
        found = []
        strangers = set(skip)
        for each in processes(skip).values():
            if each.comm.startswith("runc:["):
                continue
            strangers.add(each.pid)
            if each.dead or each.pid == 1:
                continue
            try:
                if os.readlink(f"/proc/{each.pid}/ns/mnt") != self.own:
                    found.append(each)
            except OSError:
                continue
        root = self.root(found)
        self.strangers = strangers - {each.pid for each in found}
        found.sort(key=lambda each: (each.pid != (root.pid if root else 0), each.start, each.pid))
        return found

    def root(self, members: list[Process]) -> Process | None:
        """The container's first process: the eldest that came from outside of the namespace."""
        entered = [each for each in members if each.ppid == 0]
        return min(entered, key=lambda each: (each.start, each.pid), default=None)


class ChildTree:
    """The database is what we started, its descendants, and the orphans that come to us as their subreaper."""

    def __init__(self, home: str, commands: Commands) -> None:
        self.home, self.commands = home, commands
        self.popen: subprocess.Popen[bytes] | None = None
        self.top: Process | None = None
        self.known: dict[tuple[int, int], Process] = {}
        self.strangers: Set[int] = frozenset()
        self.memory = os.path.join(home, NOTES)

    def started(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen, self.top = popen, process(popen.pid) or processes().get(popen.pid)
        self.members()
        self.remember()

    def members(self, skip: Set[int] = frozenset()) -> list[Process]:
        me = os.getpid()
        with self.commands.spawning:
            if self.popen is not None:
                self.popen.poll()
            table = processes(skip)
            sessions, own = self.commands.sessions(), self.commands.pids()
        adopted = [
            each for each in table.values() if each.ppid == me and each.pid not in own and each.session not in sessions
        ]
        for each in adopted:
            if each.dead and (self.popen is None or each.pid != self.popen.pid):
                with contextlib.suppress(OSError):
                    os.waitpid(each.pid, os.WNOHANG)
        return self.grown(table, adopted, skip)

    def grown(self, table: dict[int, Process], adopted: list[Process], skip: Set[int]) -> list[Process]:
        """Remember and return all that descends from the root, from those known before and from those adopted."""
        me = os.getpid()
        children: dict[int, list[Process]] = {}
        for each in table.values():
            children.setdefault(each.ppid, []).append(each)
        found: dict[tuple[int, int], Process] = {}
        roots = [*self.known, *([self.top.key] if self.top is not None else [])]
        pending = adopted + [table[pid] for pid, start in roots if pid in table and table[pid].start == start]
        while pending:
            each = pending.pop()
            if each.key not in found and each.pid != me:
                found[each.key] = each
                pending += children.get(each.pid, ())
        self.known = {key: each for key, each in found.items() if not each.dead}
        self.strangers = skip | table.keys() - {pid for pid, _ in self.known}
        top = self.top.pid if self.top else 0
        return sorted(self.known.values(), key=lambda each: (each.pid != top, each.start, each.pid))

    def root(self, members: list[Process]) -> Process | None:
        return next((each for each in members if self.top is not None and each.key == self.top.key), None)

    def remember(self) -> None:
        """For the next agent, should this one be killed: who they are."""
        if self.home:
            data = {"root": self.top.key if self.top else None, "members": sorted(self.known)}
            with open(self.memory + ".new", "w") as file:
                json.dump(data, file)
            os.replace(self.memory + ".new", self.memory)

    def adopt_leftovers(self, uid: int | None = None) -> None:
        """Take over what an agent before us left: those it wrote down, and whoever (of uid) works inside our home."""
        if not self.home:
            return
        table = processes()
        recorded: list[Any] = []
        with contextlib.suppress(OSError, ValueError), open(self.memory) as file:
            data = json.load(file)
            recorded = [*data["members"], *([data["root"]] if data["root"] else [])]
            pid, start = data["root"] or (0, 0)
            if pid in table and table[pid].start == start and not table[pid].dead:
                self.top = table[pid]
        home = os.path.realpath(self.home)
        for each in table.values():
            if not each.dead and each.pid != os.getpid() and (list(each.key) in recorded or works_in(each, home, uid)):
                self.known[each.key] = each


class ServiceTree(ChildTree):
    """The database is a service of the host's own: who listens on its port, and all that descend from it.

    It is looked for again when it has ended, for its own manager may have started it anew.
    """

    FOREIGN = ("systemd", "init", "docker-proxy", "sshd")
    """Who may hold a database's port without being one."""

    def __init__(self, home: str, commands: Commands) -> None:
        super().__init__(home, commands)
        self.ports: list[int] = []
        self.start: list[str] = []

    def members(self, skip: Set[int] = frozenset()) -> list[Process]:
        table = processes(skip)
        if not skip and (self.top is None or self.top.pid not in table or table[self.top.pid].start != self.top.start
                         or table[self.top.pid].dead):  # fmt: skip
            self.top = self.listener(table)
        return self.grown(table, [], skip)

    def listener(self, table: dict[int, Process]) -> Process | None:
        """The eldest process that listens on the first of the ports that has any. Raises Refused for a foreign one."""
        for port in self.ports:
            inodes = {f"socket:[{inode}]" for inode in listening(port)}
            holders = [each for each in table.values() if not each.dead and inodes and holds(each.pid, inodes)]
            if holders:
                eldest = min(holders, key=lambda each: (each.start, each.pid))
                if eldest.pid == 1 or eldest.comm in self.FOREIGN:
                    raise Refused(
                        f"port {port} is held by {eldest.comm} (pid {eldest.pid}), which is no database: a service "
                        "behind socket activation or in a container can't be tested as an installed one"
                    )
                return eldest
        return None

    def remember(self) -> None:
        """For the next agent: the port by which the service is found, and how it is started."""
        with open(self.memory + ".new", "w") as file:
            json.dump({"root": None, "members": [], "ports": self.ports, "start": self.start}, file)
        os.replace(self.memory + ".new", self.memory)


def listening(port: int) -> list[str]:
    """Inodes of the TCP sockets that listen on a port, of any address."""
    inodes = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in slurp(f"/proc/net/{name}").decode().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.append(fields[9])
    return inodes


def holds(pid: int, sockets: Set[str]) -> bool:
    """Whether a process has one of these open."""
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in sockets:
                    return True
    return False


def works_in(each: Process, home: str, uid: int | None = None) -> bool:
    """Whether it is a daemon of that uid (ours) whose working directory is below `home`: no agent, nobody's shell."""
    try:
        return (
            os.stat(f"/proc/{each.pid}").st_uid == (os.geteuid() if uid is None else uid)
            and (os.readlink(f"/proc/{each.pid}/cwd") + "/").startswith(home + "/")
            and slurp(f"/proc/{each.pid}/stat").rpartition(b")")[2].split()[4] == b"0"  # no terminal
            and b"faultline-agent" not in slurp(f"/proc/{each.pid}/cmdline")
        )
    except OSError:
        return False


# -- commands ----------------------------------------------------------------------------------------------------


class Commands:
    """Commands in progress, each in a session of its own."""

    def __init__(self) -> None:
        self.spawning = threading.Lock()
        """Held while a child is made: a listing must not take a command for the database."""
        self._running: dict[int, Any] = {}
        self._healer: int | None = None

    def sessions(self) -> set[int]:
        return set(self._running)

    def pids(self) -> set[int]:
        return set(self._running)

    def spawn(self, argv: list[str], **how: Any) -> subprocess.Popen[bytes]:
        with self.spawning:
            if self._healer not in (None, threading.get_ident()):
                raise Refused("the agent is at its end")
            popen = subprocess.Popen(argv, start_new_session=True, **how)
            self._running[popen.pid] = popen
        return popen

    def adopt(self, pid: int) -> None:
        """Count a fork of our own among the commands."""
        self._running[pid] = None

    def forget(self, pid: int) -> None:
        self._running.pop(pid, None)

    def run(
        self,
        argv: list[str],
        stdin: str | None = None,
        limit_s: float = 30.0,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        who: dict[str, Any] | None = None,
    ) -> tuple[int | None, str, str]:
        """(return code or None when out of time, stdout, stderr). who: the user, as `Popen` takes it."""
        try:
            popen = self.spawn(
                argv,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=dict(os.environ, **(env or {})),
                **(who or {}),
            )
        except (OSError, subprocess.SubprocessError) as error:
            return 127, "", f"{argv[0]}: {getattr(error, 'strerror', None) or error}"
        try:
            rc: int | None = None
            try:
                out, err = popen.communicate(None if stdin is None else stdin.encode(), timeout=limit_s)
                rc = popen.returncode
            except subprocess.TimeoutExpired:
                self.kill(popen.pid)
                try:
                    out, err = popen.communicate(timeout=1.0)
                except subprocess.TimeoutExpired as late:
                    out, err = late.stdout or b"", late.stderr or b""
        finally:
            self.forget(popen.pid)
        return rc, out[-OUTPUT_BYTES:].decode(errors="replace"), err[-OUTPUT_BYTES:].decode(errors="replace")

    def kill(self, *pids: int) -> None:
        """kill -9 of the sessions of these commands."""
        for pid in pids:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        for each in processes().values():
            if each.session in pids and not each.dead:
                with contextlib.suppress(OSError):
                    os.kill(each.pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """No command goes on, and only the thread that asks for this begins any more: healing needs commands too."""
        with self.spawning:
            self._healer = threading.get_ident()
            running = list(self._running)
        self.kill(*running)


# -- network -----------------------------------------------------------------------------------------------------


class Network:
    """Drops what comes from given addresses, by a chain of our own in front of INPUT; other rules are never touched."""

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.lock = threading.Lock()
        self.drops: dict[str, list[str]] = {}
        self.base: dict[str, dict[str, int]] = {}
        self.carried: dict[str, int] = {}
        self.installed: dict[int, bool] = {4: False, 6: False}

    def missing(self) -> str | None:
        """Why there can be no rules here, None when there can."""
        if shutil.which("iptables-restore") is None:
            return "iptables is not installed"
        rc, _, err = self._tables(4, "-n", "-L", "INPUT")
        return None if rc == 0 else "iptables: " + err.strip()[-200:]

    def _tables(self, family: int, *arguments: str) -> tuple[int | None, str, str]:
        return self.commands.run(["iptables" if family == 4 else "ip6tables", "-w", "2", *arguments], limit_s=5.0)

    def _restore(self, family: int, lines: list[str]) -> None:
        program = "iptables-restore" if family == 4 else "ip6tables-restore"
        text = "\n".join(["*filter", *lines, "COMMIT", ""])
        rc, _, err = self.commands.run([program, "-w", "2", "--noflush"], stdin=text, limit_s=5.0)
        if rc != 0:
            raise Refused(f"{program}: {err.strip()[-300:]}")

    def _counters(self) -> dict[str, int]:
        """Packets dropped by address, over all rules that we ever had."""
        total = dict(self.carried)
        for family in (4, 6):
            if self.installed[family]:
                _, text, _ = self._tables(family, "-nvxL", CHAIN)
                for line in text.splitlines():
                    fields = line.split()
                    if "DROP" in fields:
                        address = next(
                            (f for f in fields[3:] if re.match(r"^[0-9a-fA-F.:]*[.:][0-9a-fA-F.:]*(/\d+)?$", f)
                             and not f.startswith(("0.0.0.0/0", "::/0"))), ""
                        )  # fmt: skip
                        address = re.sub(r"/(32|128)$", "", address)
                        total[address] = total.get(address, 0) + int(fields[0])
        return total

    def _apply(self) -> int:
        wanted = sorted({address for addresses in self.drops.values() for address in addresses})
        if any(self.installed.values()):
            self.carried = self._counters()
        for family in (4, 6):
            rules = [f"-A {CHAIN} -s {a} -j DROP" for a in wanted if (":" in a) == (family == 6)]
            if rules:
                jump = [] if self.installed[family] else [f"-I INPUT 1 -j {CHAIN}"]
                self._restore(family, [f":{CHAIN} - [0:0]", *jump, *rules])
                self.installed[family] = True
            elif self.installed[family]:
                self._remove(family)
        return len(wanted)

    def _remove(self, family: int) -> None:
        try:
            self._restore(family, [f"-D INPUT -j {CHAIN}", f"-F {CHAIN}", f"-X {CHAIN}"])
        except Refused:
            for _ in range(8):
                if self._tables(family, "-D", "INPUT", "-j", CHAIN)[0] != 0:
                    break
            self._tables(family, "-F", CHAIN)
            self._tables(family, "-X", CHAIN)
            if self._tables(family, "-n", "-L", CHAIN)[0] == 0:
                raise
        self.installed[family] = False

    def drop(self, key: str, addresses: list[str]) -> int:
        with self.lock:
            for address in addresses:
                socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            self.base[key] = dict(self._counters() if any(self.installed.values()) else self.carried)
            self.drops[key] = addresses
            try:
                return self._apply()
            except Refused:
                del self.drops[key]
                raise

    def dropped(self, key: str) -> int:
        with self.lock:
            return self._dropped(key)

    def _dropped(self, key: str) -> int:
        if key not in self.drops:
            return 0
        now, base = self._counters(), self.base[key]
        return sum(now.get(address, 0) - base.get(address, 0) for address in set(self.drops[key]))

    def undrop(self, key: str) -> int:
        with self.lock:
            packets = self._dropped(key)
            if self.drops.pop(key, None) is not None:
                self._apply()
            return packets

    def heal(self) -> list[str]:
        """Remove our chain, whoever made it. What was removed."""
        held = self.lock.acquire(timeout=1.0)
        try:
            self.drops.clear()
            removed: list[str] = []
            if shutil.which("iptables") is None:
                return removed
            for family in (4, 6):
                if self.installed[family] or self._tables(family, "-n", "-L", CHAIN)[0] == 0:
                    self._remove(family)
                    removed.append(f"v{family}")
            return removed
        finally:
            if held:
                self.lock.release()


# -- clocks ------------------------------------------------------------------------------------------------------


class Busy(Exception):
    """A thread stands inside the bytes that are to change: let it run on and try again."""


class Vdso:
    """Redirects the time functions of one process to code that asks the kernel and adds an offset.

    The kernel maps the same few KiB of code (the vDSO) into every process; libc, Go and the JVM call it for the time.
    Writing to it through /proc/PID/mem gives that process, and those that it forks later, a copy of the page.
    Into the zeros after its end go, once, an aligned 8-byte word and the code below. Then, with every thread stopped
    and none with its program counter strictly inside the first five bytes of a function (a jump that is half old
    bytes would crash it), those bytes become a jump to the code. Later changes rewrite the word alone and stop
    nothing. Restoring puts the five bytes back, and zero into the word: a thread may still be in the code.
    Overwriting the functions' bodies instead crashes busy processes.

    Only clock ids 0 (CLOCK_REALTIME) and 5 (its coarse twin), gettimeofday and time are skewed. What makes the system
    call itself is not reached, and absolute waits on CLOCK_REALTIME follow the host's clock.
    The original bytes are those of the agent's own vDSO, so restoring needs no memory.
    """

    CODE = bytes.fromhex(
        # 0x08 clock_gettime:  mov eax, 228; syscall; test eax, eax; jnz out; test edi, edi; jz add; cmp edi, 5; jne out
        "b8e40000000f0585c0752e85ff740583ff057525"
        # add:  mov rax, [rsi]; mov ecx, 1000000000; imul rax, rcx; add rax, [rsi+8]; add rax, [rip-0x33] (the word)
        "488b06b900ca9a3b480fafc148034608480305cdffffff"
        #       xor edx, edx; div rcx; mov [rsi], rax; mov [rsi+8], rdx; xor eax, eax;  out: ret; (int3 to 0x50)
        "31d248f7f14889064889560831c0c3cccccccccccccccccccccccccccc"
        # 0x50 gettimeofday:  mov eax, 96; syscall; test eax, eax; jnz out; test rdi, rdi; jz out
        "b8600000000f0585c0753a4885ff7435"
        #       mov rax, [rip-0x67] (the word); cqo; mov ecx, 1000; idiv rcx; mov r8, rax
        "488b0599ffffff4899b9e803000048f7f94989c0"
        #       mov rax, [rdi]; mov ecx, 1000000; imul rax, rcx; add rax, [rdi+8]; add rax, r8; xor edx, edx; div rcx
        "488b07b940420f00480fafc1480347084c01c031d248f7f1"
        #       mov [rdi], rax; mov [rdi+8], rdx; xor eax, eax;  out: ret; (int3 to 0xa0)
        "4889074889570831c0c3cccccccccccccccccccc"
        # 0xa0 time:  push rdi; sub rsp, 16; xor edi, edi; mov rsi, rsp; mov eax, 228; syscall; mov rax, [rsp]
        "574883ec1031ff4889e6b8e40000000f05488b0424"
        #       mov ecx, 1000000000; imul rax, rcx; add rax, [rsp+8]; add rax, [rip-0xca] (the word); xor edx, edx
        "b900ca9a3b480fafc1480344240848030536ffffff31d2"
        #       div rcx; add rsp, 16; pop rdi; test rdi, rdi; jz out; mov [rdi], rax;  out: ret
        "48f7f14883c4105f4885ff7403488907c3"
    )
    ENTRIES = {"__vdso_clock_gettime": 0x08, "__vdso_gettimeofday": 0x50, "__vdso_time": 0xA0}
    JUMP_BYTES = 5
    AT_SYSINFO_EHDR = 33

    def __init__(self) -> None:
        if platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux" or sys.maxsize < 2**32:
            raise Refused(
                f"clock faults by the vDSO need 64-bit x86 Linux; this is {platform.system()} {platform.machine()}"
            )
        base, size = self._own_place()
        fd = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.image = os.pread(fd, size, base)
        finally:
            os.close(fd)
        symbols = self._symbols(self.image)
        self.word = (len(self.image.rstrip(b"\0")) + 64) // 64 * 64
        if self.word + 8 + len(self.CODE) > len(self.image):
            raise Refused("the vDSO of this kernel has no room after its end")
        self.jumps: dict[int, bytes] = {}
        for name, target in self.ENTRIES.items():
            if name not in symbols:
                raise Refused(f"the vDSO of this kernel has no {name}")
            entry = symbols[name]
            self.jumps[entry] = b"\xe9" + struct.pack("<i", self.word + target - entry - self.JUMP_BYTES)

    @staticmethod
    def _own_place() -> tuple[int, int]:
        for line in slurp("/proc/self/maps").decode(errors="replace").splitlines():
            if line.endswith("[vdso]"):
                first, last = (int(part, 16) for part in line.split()[0].split("-"))
                return first, last - first
        raise Refused("this kernel maps no vDSO")

    @staticmethod
    def _symbols(image: bytes) -> dict[str, int]:
        """name → offset, from the .dynsym section of the ELF image."""
        (sections,) = struct.unpack_from("<Q", image, 0x28)
        width, count = struct.unpack_from("<HH", image, 0x3A)
        headers = [struct.unpack_from("<IIQQQQIIQQ", image, sections + i * width) for i in range(count)]
        found = {}
        for header in headers:
            if header[1] == 11:  # SHT_DYNSYM
                names = headers[header[6]][4]
                for offset in range(header[4], header[4] + header[5], 24):
                    name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", image, offset)
                    text = image[names + name : image.index(b"\0", names + name)]
                    found[text.decode()] = value
        return found

    def place(self, pid: int) -> int:
        """Where the vDSO is in a process."""
        data = slurp(f"/proc/{pid}/auxv")
        for key, value in struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]):
            if key == self.AT_SYSINFO_EHDR:
                return int(value)
        raise Refused(f"process {pid} has no vDSO (or none of 64 bits)")

    @contextlib.contextmanager
    def _memory(self, pid: int) -> Any:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd, self.place(pid)
        finally:
            os.close(fd)

    def offset_ns(self, pid: int) -> int | None:
        """The offset a process runs with, read back from its own memory; None when its entries are the original."""
        with self._memory(pid) as (fd, base):
            return self._read(fd, base)

    def _read(self, fd: int, base: int) -> int | None:
        states = {os.pread(fd, self.JUMP_BYTES, base + entry) == jump for entry, jump in self.jumps.items()}
        if states == {False}:
            return None
        if states != {True}:
            raise Refused("its time functions are patched only in part")
        return int(struct.unpack("<q", os.pread(fd, 8, base + self.word))[0])

    def rewrite(self, pid: int, offset_ns: int) -> bool:
        """Change the word of a process that is patched, while it runs. False: it is not patched."""
        with self._memory(pid) as (fd, base):
            jumps = self.jumps.items()
            if any(os.pread(fd, self.JUMP_BYTES, base + entry) != jump for entry, jump in jumps):
                return False
            self._write(fd, base + self.word, struct.pack("<q", offset_ns))
            return True

    def patch(self, pid: int, offset_ns: int) -> None:
        """Every thread of it must be stopped. Raises Busy, Refused, OSError."""
        with self._memory(pid) as (fd, base):
            image = os.pread(fd, len(self.image), base)
            self._check(pid, image)
            self._check_counters(pid, base)
            end = self.word + 8 + len(self.CODE)
            self._write(fd, base + self.word, struct.pack("<q", offset_ns))
            if image[self.word + 8 : end] != self.CODE:
                self._write(fd, base + self.word + 8, self.CODE)
            for entry, jump in self.jumps.items():
                self._write(fd, base + entry, jump)
            if self._read(fd, base) != offset_ns:
                raise Refused(f"the patch of process {pid} did not hold")

    def restore(self, pid: int) -> bool:
        """Put back the entries; every thread must be stopped. Whether there was anything to put back."""
        with self._memory(pid) as (fd, base):
            image = os.pread(fd, len(self.image), base)
            changed = [
                entry for entry in self.jumps if image[entry : entry + 5] != self.image[entry : entry + self.JUMP_BYTES]
            ]
            if not changed:
                return False
            self._check(pid, image)
            self._check_counters(pid, base)
            for entry in changed:
                self._write(fd, base + entry, self.image[entry : entry + self.JUMP_BYTES])
            self._write(fd, base + self.word, bytes(8))
            return True

    def patched(self, pid: int) -> bool:
        """Whether any entry differs from the original."""
        with self._memory(pid) as (fd, base):
            return any(
                os.pread(fd, self.JUMP_BYTES, base + entry) != self.image[entry : entry + self.JUMP_BYTES]
                for entry in self.jumps
            )

    def _check(self, pid: int, image: bytes) -> None:
        """It must be our own vDSO, but for what we write ourselves."""
        theirs, end = bytearray(image), self.word + 8 + len(self.CODE)
        for entry, jump in self.jumps.items():
            if theirs[entry : entry + self.JUMP_BYTES] == jump:
                theirs[entry : entry + self.JUMP_BYTES] = self.image[entry : entry + self.JUMP_BYTES]
        if theirs[self.word + 8 : end] == self.CODE or not any(theirs[self.word : end]):
            theirs[self.word : end] = bytes(end - self.word)
        if theirs != self.image:
            raise Refused(f"the vDSO of process {pid} is not the one that this kernel gives us")

    def _check_counters(self, pid: int, base: int) -> None:
        """No thread may stand strictly inside an entry's first bytes."""
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                fields = slurp(f"/proc/{pid}/task/{thread}/syscall").split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if not fields or fields[0] == b"running":
                if process(int(thread)) is None:
                    continue
                raise Busy(f"thread {thread} of process {pid} runs")
            counter = int(fields[-1], 16)
            if any(base + entry < counter < base + entry + self.JUMP_BYTES for entry in self.jumps):
                raise Busy(f"thread {thread} of process {pid} is at the entry of a time function")

    @staticmethod
    def _write(fd: int, address: int, data: bytes) -> None:
        if os.pwrite(fd, data, address) != len(data):
            raise Refused("could not write all of it")


class Faketime:
    """libfaketime, for a libc process that we start: the offset is a file that it reads each second."""

    PLACES = (
        "/usr/lib/*/faketime/libfaketime.so.1",
        "/usr/lib64/faketime/libfaketime.so.1",
        "/usr/lib/faketime/libfaketime.so.1",
        "/usr/local/lib/faketime/libfaketime.so.1",
    )

    def __init__(self, home: str) -> None:
        found = [path for place in self.PLACES for path in sorted(glob.glob(place))]
        if not found:
            raise Refused("libfaketime is not installed (apt-get install libfaketime)")
        self.file = os.path.join(home, "faketime")
        self.env = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        self.set(0.0)

    def set(self, offset_s: float) -> None:
        with open(self.file + ".new", "w") as file:
            file.write(f"{offset_s:+.6f}\n")
        os.replace(self.file + ".new", self.file)

    @staticmethod
    def sweep(pids: Iterable[int]) -> None:
        """Remove the shared memory that it makes for a process and that a kill -9 leaves."""
        for pid in pids:
            for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
                with contextlib.suppress(OSError):
                    os.unlink(f"/dev/shm/{name}")

    def measure(self, commands: Commands) -> float:
        """The skew of a process that starts now with the same settings."""
        before = time.time()
        rc, out, err = commands.run(["date", "+%s.%N"], limit_s=5.0, env=self.env)
        if rc != 0:
            raise Refused("date under libfaketime: " + err.strip()[-200:])
        return float(out) - (before + time.time()) / 2


# -- the node's state --------------------------------------------------------------------------------------------


class Database:
    """The database's processes and the one state that a node has: paused or not, and the clock's offset."""

    def __init__(self, tree: Any, commands: Commands, clock: Vdso | Faketime | str) -> None:
        """clock: how its clock is changed, or the reason why it can't be."""
        self.tree, self.commands = tree, commands
        self.lock = threading.RLock()
        self.paused = False
        self.closing = False
        self.offset_ns: int | None = None
        self.patched: list[Process] = []
        self.touched = True
        """Whether any process's clock may be changed; an earlier agent may have done that."""
        self.suspect = isinstance(tree, ChildTree) and not isinstance(tree, ServiceTree)
        """Whether a process whose memory we may not read could have a changed clock."""
        self.clock_missing = clock if isinstance(clock, str) else None
        self.vdso = clock if isinstance(clock, Vdso) else None
        self.faketime = clock if isinstance(clock, Faketime) else None

    # processes

    def members(self, skip: Set[int] = frozenset()) -> list[Process]:
        return self.tree.members(skip)

    def freeze(self) -> list[Process]:
        """Stop the root, then all that can be seen, until nothing new appears (a stopped process forks no more).

        Who is no member in the first look is not looked at again: no pid is used anew within these milliseconds.
        """
        frozen: dict[tuple[int, int], Process] = {}
        strangers: Set[int] = frozenset()
        end = time.monotonic() + STOP_S
        root = self.tree.top if isinstance(self.tree, ChildTree) else None
        if root is not None:
            send(root, signal.SIGSTOP)
        while True:
            new = [each for each in self.members(strangers) if each.key not in frozen]
            strangers = strangers or self.tree.strangers
            if not new:
                return list(frozen.values())
            for each in new:
                send(each, signal.SIGSTOP)
                frozen[each.key] = each
            await_stopped(new, end - time.monotonic())

    def thaw(self, frozen: Iterable[Process]) -> None:
        """Let them go on, unless a pause is in force. Children before the root, so that it finds them awake."""
        if not self.paused:
            for each in reversed(list(frozen)):
                send(each, signal.SIGCONT)

    def kill(self) -> list[int]:
        with self.lock:
            frozen = self.freeze()
            for each in frozen:
                send(each, signal.SIGKILL)
            self.paused = False
            if not wait_until(lambda: not any(current(each) for each in frozen), 10.0):
                raise Refused("processes do not die: %s" % [each.pid for each in frozen if current(each)])
            self.members()
            if self.faketime is not None:
                self.faketime.sweep(each.pid for each in frozen)
            return [each.pid for each in frozen]

    def pause(self) -> dict[str, Any]:
        with self.lock:
            frozen = self.freeze()
            self.paused = bool(frozen) and not self.closing
            self.remember()
            if self.closing:
                self.thaw(frozen)
                raise Refused("the agent is at its end")
            return self.states(each for each in frozen if current(each))

    def resume(self) -> dict[str, Any]:
        with self.lock:
            self.paused = False
            resumed: dict[tuple[int, int], Process] = {}
            for _ in range(20):
                asleep = [each for each in self.members() if each.state == "T"]
                if not asleep:
                    break
                self.thaw(asleep)
                resumed.update((each.key, each) for each in asleep)
                await_awake(asleep, 0.1)
            return self.states(resumed.values())

    def states(self, chosen: Iterable[Process]) -> dict[str, Any]:
        now = [(each, current(each)) for each in chosen]
        return {
            "pids": [each.pid for each, _ in now],
            "states": {each.pid: p.state if p else "gone" for each, p in now},
        }

    def remember(self) -> None:
        if isinstance(self.tree, ChildTree):
            self.tree.remember()

    def await_empty(self, timeout_s: float) -> list[int]:
        """Wait until nothing of the tree is left; who is then still there is killed. The killed pids."""
        if wait_until(lambda: not self.members(), timeout_s, 0.002):
            return []
        return self.kill()

    # clocks

    def set_clock(self, offset_ns: int) -> list[int]:
        """Give the whole tree this offset. Only the first time does it stop anybody."""
        with self.lock:
            if self.clock_missing is not None:
                raise Refused(self.clock_missing)
            self.offset_ns = offset_ns = offset_ns // 1000 * 1000
            if self.faketime is not None:
                self.faketime.set(offset_ns / 1e9)
                return [each.pid for each in self.members()]
            new, done, strangers = self.patched, set[tuple[int, int]](), frozenset[int]()
            while self.patched and self._rewrite(new):
                done.update(each.key for each in new)
                members = self.members(strangers)
                strangers = strangers or frozenset(self.tree.strangers)
                new = [each for each in members if each.key not in done]
                if not new:
                    self.patched = members
                    return [each.pid for each in members]
            return self._patch_tree()

    def _rewrite(self, chosen: Iterable[Process]) -> bool:
        """Change the word alone. False when one of them is not patched."""
        offset_ns = self.offset_ns
        assert offset_ns is not None
        return all(self._each(each, lambda pid: self._vdso().rewrite(pid, offset_ns)) for each in chosen)

    def move_clock(self, offset_ns: int) -> None:
        """The same for a strobe: those whom the last look found; `keep_clock` sees to who comes meanwhile."""
        with self.lock:
            self.offset_ns = offset_ns // 1000 * 1000
            if self.faketime is not None or not self._rewrite(self.patched):
                self.set_clock(offset_ns)

    def _vdso(self) -> Vdso:
        assert self.vdso is not None
        return self.vdso

    def _each(self, each: Process, action: Callable[[int], Any]) -> Any:
        """The action's answer; True for a process that has ended meanwhile (its memory is gone)."""
        try:
            return action(each.pid)
        except (OSError, Refused):
            if current(each) is None:
                return True
            raise

    def _on_frozen(self, action: Callable[[int], Any]) -> tuple[list[Process], set[int], dict[int, str]]:
        """Do something to every process of the tree while it is stopped: (tree, pids done, pid → why not)."""
        done: set[int] = set()
        for attempt in range(50):
            frozen = self.freeze()
            failed: dict[int, str] = {}
            busy = False
            try:
                for each in frozen:
                    try:
                        if each.pid not in done and self._each(each, action) is not False:
                            done.add(each.pid)
                    except Busy as reason:
                        failed[each.pid], busy = str(reason), True
                    except (OSError, Refused) as reason:
                        failed[each.pid] = str(reason)
            finally:
                self.thaw(frozen)
            if not busy or self.paused:
                break
            time.sleep(0.0005 * (attempt + 1))
        return frozen, done, failed

    def _patch_tree(self) -> list[int]:
        offset_ns = self.offset_ns
        assert offset_ns is not None

        def patch(pid: int) -> None:
            if self.closing:
                raise Refused("the agent is at its end")
            self._vdso().patch(pid, offset_ns)

        self.touched = self.suspect = True
        self.patched, done, failed = self._on_frozen(patch)
        self.remember()
        if failed:
            reasons = "; ".join(sorted(set(failed.values())))[:300]
            raise Refused(
                f"the clock of {len(failed)} of {len(failed) + len(done)} processes could not be changed: {reasons}"
            )
        return [each.pid for each in self.patched]

    def keep_clock(self) -> None:
        """Processes that came meanwhile get the offset that is in force."""
        with self.lock:
            if self.offset_ns is not None and self.vdso is not None:
                members = self.members()
                for each in members:
                    with contextlib.suppress(OSError, Refused):
                        if self.vdso.offset_ns(each.pid) != self.offset_ns:
                            self._patch_tree()
                            return
                self.patched = members

    def reset_clock(self) -> tuple[list[int], dict[int, str]]:
        """The original entries everywhere: (pids changed, pid → why it could not be)."""
        with self.lock:
            self.offset_ns = None
            known, self.patched = self.patched, []
            if self.faketime is not None:
                self.faketime.set(0.0)
                return [each.pid for each in self.members()], {}
            if self.vdso is None or not self.touched or not (known or self._any_patched(self.vdso)):
                return [], {}
            _, done, failed = self._on_frozen(self.vdso.restore)
            self.touched = bool(failed)
            return sorted(done), failed

    def _any_patched(self, vdso: Vdso) -> bool:
        """Whether anybody's clock is changed, or can't be read."""
        try:
            return any(self._each(each, vdso.patched) for each in self.members())
        except (OSError, Refused):
            return True

    def measure(self) -> dict[int, float]:
        """Seconds that each process's clock is ahead, read back from its own memory (libfaketime: of a new process)."""
        with self.lock:
            if self.faketime is not None:
                return {each.pid: skew for skew in [self.faketime.measure(self.commands)] for each in self.members()}
            measured = {}
            if self.vdso is not None:
                for each in self.patched or self.members():
                    with contextlib.suppress(OSError, Refused):
                        measured[each.pid] = (self.vdso.offset_ns(each.pid) or 0) / 1e9
            return measured

    def heal(self) -> dict[str, Any]:
        """Undo clock and pause, from what can be seen; what can't be undone is ended by kill -9."""
        held = self.lock.acquire(timeout=1.0)
        try:
            self.paused = False
            asleep = [each.pid for each in self.members() if each.state == "T"]
            restored, failed = self.reset_clock()
            killed = []
            for each in self.members():
                if each.pid in failed and self.vdso is not None and self.suspect:
                    try:
                        if not self.vdso.patched(each.pid):
                            continue
                    except OSError:
                        pass
                    if send(each, signal.SIGKILL):
                        killed.append(each.pid)
            self.suspect = False
            self.resume()
            resumed = [pid for pid in asleep if pid not in killed]
            return {"clocks_restored": restored, "killed": killed, "resumed": resumed}
        finally:
            if held:
                self.lock.release()


class Clockwork:
    """Changes the offset again and again: strobe and drift. One plan at a time."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.changes = 0
        self.error: str | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, next_offset_ns: Callable[[int, float], int], period_s: float) -> list[int]:
        """Offsets as next_offset_ns(number of the change, seconds since the start); the first one at once."""
        self.stop()
        self.changes, self.error, self._stop = 1, None, threading.Event()
        pids = self.database.set_clock(next_offset_ns(0, 0.0))
        stop, began = self._stop, time.monotonic()

        def go() -> None:
            while not stop.wait(period_s):
                with self.database.lock:
                    if stop.is_set():
                        return
                    try:
                        self.database.move_clock(next_offset_ns(self.changes, time.monotonic() - began))
                        self.changes += 1
                    except (Refused, OSError) as error:
                        self.error = str(error)

        self._thread = threading.Thread(target=go, daemon=True)
        self._thread.start()
        return pids

    def stop(self) -> None:
        self._stop.set()


class Probe:
    """A child of ours that tells what time it sees: proves on this machine that a patch acts, and that it goes away.

    It has a process group of its own in our session: should the agent be killed while the child is stopped, the
    group is orphaned and the kernel itself ends it.
    """

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        asked, self._ask = os.pipe()
        self._answers, answers = os.pipe()
        with commands.spawning:
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    os.setpgid(0, 0)
                    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                        signal.signal(number, signal.SIG_DFL)
                    for fd in (0, 1, 2, self._ask, self._answers):
                        with contextlib.suppress(OSError):
                            os.close(fd)
                    while os.read(asked, 1):
                        os.write(answers, struct.pack("<qq", time.time_ns(), time.monotonic_ns()))
                finally:
                    os._exit(0)
            commands.adopt(self.pid)
        os.close(asked)
        os.close(answers)
        self.itself = process(self.pid)

    strangers: Set[int] = frozenset()

    def members(self, skip: Set[int] = frozenset()) -> list[Process]:
        return [self.itself] if self.itself is not None and current(self.itself) else []

    def skews_s(self) -> tuple[float, float]:
        """(realtime, monotonic) seconds that the child is ahead of us, from the quickest of five questions."""
        best: tuple[int, float, float] = (1 << 62, 0.0, 0.0)
        for _ in range(5):
            before, before_mono = time.time_ns(), time.monotonic_ns()
            os.write(self._ask, b"?")
            data = os.read(self._answers, 16)
            after, after_mono = time.time_ns(), time.monotonic_ns()
            if len(data) != 16:
                raise Refused("the child that was patched has died")
            real, mono = struct.unpack("<qq", data)
            sample = (
                after_mono - before_mono,
                (real - (before + after) // 2) / 1e9,
                (mono - (before_mono + after_mono) // 2) / 1e9,
            )
            best = min(best, sample)
        return best[1], best[2]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, 0)
        self.commands.forget(self.pid)
        os.close(self._ask)
        os.close(self._answers)


# -- a host of the user's own ------------------------------------------------------------------------------------


class Host:
    """What a run may touch on a host that is not ours: one folder, one lock, and as root one chain of iptables.

    `base`/`run` is the run's folder: root's, with `home` for the database's user, its log and our notes. One agent of
    root works on a host at a time, so whatever lies in `base` when we hold the lock was left by one that died.
    """

    def __init__(self, base: str, run: str, user: str) -> None:
        """user: whose the databases are where we are root. Raises Refused."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", run):
            raise Refused(f"run {run!r} is no name of a folder")
        self.base = os.path.realpath(os.path.expanduser(base))
        self.run, self.folder = run, os.path.join(self.base, run)
        self.home, self.log = os.path.join(self.folder, "home"), os.path.join(self.folder, "database.log")
        self.root = os.geteuid() == 0
        self.who: dict[str, Any] = {}
        if self.root and user:
            uid, gid = 65534, 65534
            if pwd is not None:
                with contextlib.suppress(KeyError):
                    uid, gid = pwd.getpwnam(user)[2:4]
            self.who = {"user": uid, "group": gid, "extra_groups": []}
        self._lock: int | None = None

    def lock(self, wait_s: float, over: threading.Event) -> None:
        """Keep others off until our end; waits for one that is still healing. Raises Refused, naming who holds it."""
        self._make_base()
        path = HOST_LOCK if self.root else os.path.join(self.base, "lock")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                holder = os.pread(fd, 4096, 0).decode(errors="replace").strip()
                if time.monotonic() > until or over.is_set():
                    os.close(fd)
                    raise Refused(
                        f"another run works on this host ({holder}); one at a time: wait for its end, or stop it there"
                    ) from None
            time.sleep(0.1)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"run {self.run}, agent pid {os.getpid()}\n".encode(), 0)
        self._lock = fd
        self._make_base()  # who held it has removed it meanwhile

    def _make_base(self) -> None:
        os.makedirs(self.base, mode=0o711, exist_ok=True)
        status = os.stat(self.base)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise Refused(f"{self.base} can be written by others: it must be ours alone")

    def leftovers(self) -> list[str]:
        """Folders of runs that are over. We must hold the lock."""
        if self._lock is None:
            raise Refused("the host is not locked")
        return sorted(entry.path for entry in os.scandir(self.base) if entry.is_dir(follow_symlinks=False))

    def make(self) -> None:
        """The run's folder, and the database's home in it."""
        os.mkdir(self.folder, 0o711)
        os.chmod(self.folder, 0o711)
        os.mkdir(self.home, 0o700)
        self.give(self.home)
        os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))

    def give(self, path: str) -> None:
        """It becomes the database's user's."""
        if self.who:
            os.chown(path, self.who["user"], self.who["group"], follow_symlinks=False)

    def remove(self) -> None:
        """Everything that we made, but the lock's empty file."""
        os.chdir("/")
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(self.base)


# -- the agent ---------------------------------------------------------------------------------------------------


class Writer:
    """Answers go out by a thread of their own through a bounded queue: a full pipe blocks nobody."""

    def __init__(self) -> None:
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=4096)
        threading.Thread(target=self._go, daemon=True).start()

    def send(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(json.dumps(answer, separators=(",", ":")).encode() + b"\n")

    def flush(self, timeout_s: float) -> None:
        wait_until(lambda: self._lines.unfinished_tasks == 0, timeout_s, 0.001)

    def _go(self) -> None:
        while True:
            line = self._lines.get()
            try:
                while line:
                    line = line[os.write(1, line) :]
            except OSError:
                pass
            self._lines.task_done()


class Agent:
    """Reads requests, answers each in a thread of its own, and heals at the end."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.commands = Commands()
        self.network = Network(self.commands)
        self.database: Database | None = None
        self.clockwork: Clockwork | None = None
        self.scope, self.home, self.node = "pod", "", ""
        self.host: Host | None = None
        self.uncut = ""
        self.stop_signal = "SIGINT"
        self.lease_s = LEASE_S
        self.last_line = time.monotonic()
        self.over = threading.Event()
        self.why = ""
        self.lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    # the four threads

    def main(self) -> None:
        """Wait for the end, whatever it is; then heal and exit."""
        with contextlib.suppress(OSError):
            os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: self.finish(f"signal {number}"))
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for target in (self.read, self.dispatch, self.keep):
            threading.Thread(target=target, daemon=True).start()
        looked = time.monotonic()
        while not self.over.wait(0.2):
            now = time.monotonic()
            if now - looked > 2.0:  # we were stopped ourselves: let the reader catch up first
                self.last_line = max(self.last_line, now - self.lease_s + 2.0)
            looked = now
            if now - self.last_line > self.lease_s:
                self.finish(f"no heartbeat for {self.lease_s:g} s")
        threading.Timer(20.0, lambda: os._exit(3)).start()
        self.writer.send({"event": "ending", "why": self.why})
        self.heal_and_stop()
        os._exit(0)

    def finish(self, why: str) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()

    def read(self) -> None:
        """Nothing but this: the end of stdin must be seen whatever else goes on."""
        rest = b""
        while True:
            try:
                data = os.read(0, 1 << 16)
            except OSError:
                data = b""
            if not data:
                self.finish("the end of stdin")
                return
            self.last_line = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.lines.put(line)

    def dispatch(self) -> None:
        while True:
            line = self.lines.get()
            try:
                request = json.loads(line)
            except ValueError:
                continue
            if isinstance(request, dict) and request.get("what") != "heartbeat":
                threading.Thread(target=self.answer, args=(request,), daemon=True).start()

    def keep(self) -> None:
        """While a clock fault is in force, give it to processes that come meanwhile."""
        while not self.over.wait(KEEPER_S):
            if self.database is not None and self.database.offset_ns is not None:
                self.database.keep_clock()

    def answer(self, request: dict[str, Any]) -> None:
        number, what = request.pop("id", None), str(request.pop("what", ""))
        handler = getattr(self, "do_" + what.replace("-", "_"), None)
        try:
            if handler is None:
                raise Refused(f"unknown request {what!r}")
            if self.database is None and what != "hello":
                raise Refused("say hello first")
            answer = handler(**request)
        except (Refused, OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
            answer = {"error": "{}{}".format("" if isinstance(error, Refused) else type(error).__name__ + ": ", error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.writer.send(dict(answer, id=number))
        if what == "end":
            self.writer.flush(1.0)
            self.finish("end")

    # undoing

    def heal(self) -> dict[str, Any]:
        """Undo every fault that can be seen; one that fails does not keep another from being tried."""
        healed: dict[str, Any] = {}
        if self.clockwork is not None:
            self.clockwork.stop()
        try:
            healed.update(self.database.heal() if self.database is not None else {})
        except Exception as error:
            healed["database_error"] = str(error)
        if self.scope != "children":
            try:
                healed["rules_removed"] = self.network.heal()
            except Exception as error:
                healed["network_error"] = str(error)
        return healed

    def heal_and_stop(self) -> dict[str, Any]:
        if self.database is not None:
            self.database.closing = True
        self.commands.kill_all()
        healed = self.heal()
        self.heal()  # whatever a request that was under way did meanwhile
        if self.database is not None and isinstance(self.database.tree, ServiceTree):
            with contextlib.suppress(Exception):
                healed["started"] = self.revive(self.database.tree)
        elif self.scope != "pod" and self.database is not None:
            with contextlib.suppress(Exception):
                healed["stopped"] = self.do_database_stop(limit_s=5.0)
            with contextlib.suppress(OSError):
                os.unlink(self.database.tree.memory)
        if self.host is not None and self.database is not None:
            self.host.remove()
        return healed

    def revive(self, tree: ServiceTree, limit_s: float = 10.0) -> bool:
        """Start a service that is down. Whether that was needed."""
        if not tree.start or tree.root(tree.members()) is not None:
            return False
        null = os.open(os.devnull, os.O_RDWR)
        try:  # what it leaves running keeps its own files open, and must not keep ours
            popen = self.commands.spawn(tree.start, stdin=null, stdout=null, stderr=null, cwd="/")
        finally:
            os.close(null)
        try:
            rc = popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Refused(f"`{' '.join(tree.start)}` did not end within {limit_s:g} s") from None
        finally:
            self.commands.forget(popen.pid)
        if rc != 0:
            raise Refused(f"`{' '.join(tree.start)}` ended with {rc}")
        return True

    def heal_leftovers(self, host: Host, clock: Vdso | Faketime | str) -> dict[str, Any]:
        """Undo and remove what runs left whose agents were killed. One entry for each kind of thing done."""
        healed: dict[str, Any] = {"stopped": [], "services_started": [], "folders_removed": []}
        for folder in host.leftovers():
            noted: dict[str, Any] = {}
            with contextlib.suppress(OSError, ValueError), open(os.path.join(folder, NOTES)) as file:
                noted = json.load(file)
            if noted.get("ports"):
                service = ServiceTree(folder, self.commands)
                service.ports, service.start = noted["ports"], noted["start"]
                done = Database(service, self.commands, clock).heal()
                if self.revive(service):
                    healed["services_started"].append(" ".join(service.start))
            else:
                tree = ChildTree(folder, self.commands)
                home = os.path.join(folder, "home")
                tree.adopt_leftovers(os.stat(home).st_uid if os.path.isdir(home) else None)
                left = Database(tree, self.commands, clock)
                done = left.heal()
                healed["stopped"] += left.kill()
            for what, pids in done.items():
                healed[what] = healed.get(what, []) + pids
            shutil.rmtree(folder, ignore_errors=True)
            healed["folders_removed"].append(folder)
        return healed

    # requests

    def do_hello(
        self,
        node: str,
        scope: str,
        home: str = "",
        user: str = "",
        clock: str | None = None,
        lease_s: float = LEASE_S,
        base: str = "",
        run: str = "",
        installed: bool = False,
        lock_wait_s: float = 10.0,
        uncut: str = "",
    ) -> dict[str, Any]:
        if self.database is not None:
            raise Refused("hello was said before")
        if scope not in ("pod", "children", "host"):
            raise Refused(f"scope {scope!r}: pod, children or host")
        self.node, self.scope, self.home, self.lease_s, self.uncut = node, scope, home, lease_s, uncut
        source: Vdso | Faketime | str
        try:
            source = Vdso()  # before root is dropped: then our own /proc is closed to us
        except (Refused, OSError) as error:
            source = str(error)
        host: Host | None = None
        if scope == "host":
            os.environ["PATH"] = os.environ.get("PATH", os.defpath) + SYSTEM_PATH
            host = self.host = Host(base, run, user)
            host.lock(lock_wait_s, self.over)
        elif user and os.geteuid() == 0:
            self.become(user)
            self.prctl(4, 1)  # PR_SET_DUMPABLE: lost with the change of user; a child that tests a patch needs it
        left: dict[str, Any] = {}
        if host is not None:
            if not installed:
                self.prctl(36, 1)
            left = self.heal_leftovers(host, source)
            host.make()
            self.home = home = host.home
        if home:
            os.environ["HOME"] = home
            os.chdir(home)
        if scope == "children":
            self.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
            tree: Any = ChildTree(home, self.commands)
            tree.adopt_leftovers()
        elif host is not None:
            tree = ServiceTree(host.folder, self.commands) if installed else ChildTree(host.folder, self.commands)
        else:
            tree = PodTree()
        if clock == "libfaketime":
            try:
                source = Faketime(home)
            except (Refused, OSError) as error:
                source = str(error)
        database = Database(tree, self.commands, source)
        self.clockwork = Clockwork(database)
        self.database = database
        healed = self.heal()
        for what, things in left.items():
            healed[what] = healed.get(what, []) + things
        partition = "processes on one machine share its network" if scope == "children" else self.network_missing()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
        os.close(null)
        return {
            "pid": os.getpid(),
            "start": (process(os.getpid()) or processes()[os.getpid()]).start,
            "python": platform.python_version(),
            "user": os.geteuid(),
            "abilities": {"clock": database.clock_missing, "partition": partition},
            "healed": healed,
            **({"home": host.home, "log": host.log} if host is not None else {}),
        }

    def network_missing(self) -> str | None:
        """Why there can be no partition here, None when there can."""
        if self.host is not None and not self.host.root:
            return (
                f"rules of iptables need root, and the agent is uid {os.geteuid()}: "
                "log in as root, or let the user run `sudo -n python3`"
            )
        return self.uncut or self.network.missing()

    @staticmethod
    def become(user: str) -> None:
        """Drop root for good. All that we need is imported by now: the interpreter's folder may be closed to them."""
        uid, gid = 65534, 65534
        if pwd is not None:
            with contextlib.suppress(KeyError):
                uid, gid = pwd.getpwnam(user)[2:4]
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.environ["USER"] = os.environ["LOGNAME"] = user

    @staticmethod
    def prctl(option: int, value: int) -> None:
        """Where the system has it; nothing depends on it but more comfort."""
        if ctypes is not None and sys.platform == "linux":
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(None).prctl(option, value, 0, 0, 0)

    @property
    def db(self) -> Database:
        assert self.database is not None
        return self.database

    def do_run(
        self,
        argv: list[str],
        stdin: str | None = None,
        limit_s: float = 30.0,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        as_database: bool = False,
    ) -> dict[str, Any]:
        who = self.host.who if self.host is not None and as_database else None
        rc, out, err = self.commands.run(argv, stdin, limit_s, cwd or self.home or None, env, who)
        return {"rc": rc, "stdout": out, "stderr": err}

    def do_tree(self) -> dict[str, Any]:
        with self.db.lock:
            members = self.db.members()
            root = self.db.tree.root(members)
            return {
                "root": root.pid if root else None,
                "pids": [each.pid for each in members],
                "states": {each.pid: each.state for each in members},
                "paused": self.db.paused,
                "offset_s": None if self.db.offset_ns is None else self.db.offset_ns / 1e9,
            }

    def do_kill(self) -> dict[str, Any]:
        began = time.perf_counter()
        return {"pids": self.db.kill(), "took_ms": (time.perf_counter() - began) * 1e3}

    def do_pause(self) -> dict[str, Any]:
        began = time.perf_counter()
        return dict(self.db.pause(), took_ms=(time.perf_counter() - began) * 1e3)

    def do_resume(self) -> dict[str, Any]:
        began = time.perf_counter()
        return dict(self.db.resume(), took_ms=(time.perf_counter() - began) * 1e3)

    def do_drop(self, key: str, sources: list[str]) -> dict[str, Any]:
        if self.scope == "children":
            raise Refused("processes on one machine share its network: no partition here")
        if self.host is not None and (reason := self.network_missing()):
            raise Refused(reason)
        began = time.perf_counter()
        return {"rules": self.network.drop(key, sources), "took_ms": (time.perf_counter() - began) * 1e3}

    def do_dropped(self, key: str) -> dict[str, Any]:
        return {"packets": self.network.dropped(key)}

    def do_undrop(self, key: str) -> dict[str, Any]:
        began = time.perf_counter()
        return {"packets": self.network.undrop(key), "took_ms": (time.perf_counter() - began) * 1e3}

    def clock(self, next_offset_ns: Callable[[int, float], int], period_s: float) -> dict[str, Any]:
        assert self.clockwork is not None
        began = time.perf_counter()
        with self.db.lock:
            self.clockwork.stop()
            try:
                if period_s > 0:
                    pids = self.clockwork.start(next_offset_ns, period_s)
                else:
                    self.clockwork.changes = 1
                    pids = self.db.set_clock(next_offset_ns(0, 0.0))
            except Exception:
                self.clockwork.stop()
                self.db.reset_clock()
                raise
            took_ms = (time.perf_counter() - began) * 1e3
            return dict(self.do_clock_measure(), pids=pids, took_ms=took_ms)

    def do_clock(self, offset_s: float) -> dict[str, Any]:
        return self.clock(lambda change, age_s: round(offset_s * 1e9), 0.0)

    def do_clock_strobe(self, offsets_s: list[float], period_ms: float) -> dict[str, Any]:
        offsets = [round(offset * 1e9) for offset in offsets_s]
        return self.clock(lambda change, age_s: offsets[change % len(offsets)], max(period_ms, 1.0) / 1e3)

    def do_clock_drift(self, rate: float, start_s: float = 0.0) -> dict[str, Any]:
        return self.clock(lambda change, age_s: round((start_s + rate * age_s) * 1e9), 0.02)

    def do_clock_reset(self) -> dict[str, Any]:
        assert self.clockwork is not None
        began = time.perf_counter()
        with self.db.lock:
            self.clockwork.stop()
            before = self.do_clock_measure()
            pids, failed = self.db.reset_clock()
            self.clockwork.changes = 0
            if failed:
                raise Refused(f"clocks not put back: {failed}")
            return dict(before, pids=pids, took_ms=(time.perf_counter() - began) * 1e3)

    def do_clock_measure(self) -> dict[str, Any]:
        assert self.clockwork is not None
        with self.db.lock:
            return {
                "measured": self.db.measure(),
                "offset_s": None if self.db.offset_ns is None else self.db.offset_ns / 1e9,
                "changes": self.clockwork.changes,
                "error_in_between": self.clockwork.error,
            }

    def do_clock_prove(self, offset_s: float = 37.25) -> dict[str, Any]:
        if self.db.clock_missing is not None:
            raise Refused(self.db.clock_missing)
        faketime = self.db.faketime
        if faketime is not None:
            with self.db.lock:
                if self.db.offset_ns is not None:
                    raise Refused("a clock fault is in force")
                faketime.set(offset_s)
                skew_s = faketime.measure(self.commands)
                faketime.set(0.0)
                return {"asked_s": offset_s, "skew_s": skew_s, "residue_s": faketime.measure(self.commands)}
        probe = Probe(self.commands)
        try:
            child = Database(probe, self.commands, self.db.vdso or "none")
            child.set_clock(round(offset_s * 1e9))
            skew_s, monotonic_s = probe.skews_s()
            _, failed = child.reset_clock()
            if failed:
                raise Refused(f"a child's clock was not put back: {failed}")
            return {
                "asked_s": offset_s, "skew_s": skew_s, "residue_s": probe.skews_s()[0], "monotonic_s": monotonic_s
            }  # fmt: skip
        finally:
            probe.close()

    def do_database_start(
        self, argv: list[str], env: dict[str, str], cwd: str, log: str, stop_signal: str = "SIGINT"
    ) -> dict[str, Any]:
        tree = self.db.tree
        if not isinstance(tree, ChildTree) or isinstance(tree, ServiceTree):
            raise Refused("here the engine or the host starts the database, not the agent")
        began = time.perf_counter()
        getattr(signal, stop_signal)
        with self.db.lock:
            if tree.root(tree.members()) is not None:
                return {"pid": tree.top.pid if tree.top else None, "running": True, "killed": []}
            killed = self.db.await_empty(0.0 if self.db.paused else 5.0)
            self.db.paused = False
            self.stop_signal = stop_signal
            if self.db.faketime is not None:
                env = dict(env, **self.db.faketime.env)
            with open(log, "ab") as output, self.commands.spawning:
                if self.db.closing:
                    raise Refused("the agent is at its end")
                popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                    **(self.host.who if self.host is not None else {}),
                )
            tree.started(popen)
            if self.db.offset_ns is not None:
                self.db.set_clock(self.db.offset_ns)
            return {"pid": popen.pid, "killed": killed, "took_ms": (time.perf_counter() - began) * 1e3}

    def do_database_started(self, limit_s: float = 5.0) -> dict[str, Any]:
        tree = self.db.tree
        if not wait_until(lambda: tree.root(tree.members()) is not None, limit_s, 0.002):
            raise Refused(f"no process of the database was seen within {limit_s:g} s")
        with self.db.lock:
            if self.db.offset_ns is not None:
                self.db.set_clock(self.db.offset_ns)
        return self.do_tree()

    def do_database_stop(self, limit_s: float = 20.0) -> dict[str, Any]:
        tree = self.db.tree
        if not isinstance(tree, ChildTree) or isinstance(tree, ServiceTree):
            raise Refused("here the engine or the host stops the database, not the agent")
        with self.db.lock:
            self.db.resume()
            root = tree.root(tree.members())
            if root is not None:
                send(root, getattr(signal, self.stop_signal))
        ended = wait_until(lambda: not tree.members(), limit_s if root is not None else 0.2, 0.002)
        killed = [] if ended else self.db.kill()
        return {"rc": tree.popen.poll() if tree.popen is not None else None, "killed": killed}

    def do_service(self, ports: list[int], start: list[str]) -> dict[str, Any]:
        tree = self.db.tree
        if not isinstance(tree, ServiceTree):
            raise Refused("an installed service is for scope host with installed")
        with self.db.lock:
            tree.ports, tree.start = ports, start
            if tree.root(tree.members()) is None:
                raise Refused(f"nothing listens on port {ports[0]}: an installed database must be up already")
            tree.remember()
            self.db.heal()
        return self.do_tree()

    def do_service_start(self, limit_s: float = 30.0) -> dict[str, Any]:
        tree = self.db.tree
        if not isinstance(tree, ServiceTree):
            raise Refused("an installed service is for scope host with installed")
        with self.db.lock:
            self.db.paused = False
            self.revive(tree, limit_s)
        return self.do_database_started(limit_s)

    def do_await_empty(self, limit_s: float = 5.0) -> dict[str, Any]:
        return {"killed": self.db.await_empty(limit_s)}

    def do_put(self, path: str, offset: int, data: str, mode: int = 0o644) -> dict[str, Any]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if offset == 0 else 0)
        fd = os.open(os.path.join(self.home or "/", path), flags, mode)
        with os.fdopen(fd, "wb") as file:
            file.seek(offset)
            file.write(base64.b64decode(data))
            os.fchmod(file.fileno(), mode)
            if self.host is not None and self.host.who:
                os.fchown(file.fileno(), self.host.who["user"], self.host.who["group"])
        return {}

    def do_get(self, path: str, offset: int, bytes: int) -> dict[str, Any]:
        with open(os.path.join(self.home or "/", path), "rb") as file:
            file.seek(offset)
            return {"data": base64.b64encode(file.read(bytes)).decode()}

    def do_port(self, address: str = "127.0.0.1", first: int = 20000, last: int = 32000) -> dict[str, Any]:
        """A free TCP port below those that the kernel gives to outgoing connections."""
        for _ in range(200):
            port = random.SystemRandom().randint(first, last)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind((address, port))
                return {"port": port}
        raise Refused(f"no free port between {first} and {last} on {address}")

    def do_occupied(self, address: str, ports: list[int]) -> dict[str, Any]:
        """Which of these ports nobody can listen on here, with who does."""
        taken = {}
        for port in ports:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as error:
                    sockets = {f"socket:[{inode}]" for inode in listening(port)}
                    holders = [each for each in processes().values() if sockets and holds(each.pid, sockets)]
                    who = ", ".join(f"{each.comm} (pid {each.pid})" for each in holders)
                    taken[str(port)] = who or str(error.strerror)
        return {"taken": taken}

    def do_heal(self) -> dict[str, Any]:
        return self.heal()

    def do_end(self) -> dict[str, Any]:
        return self.heal_and_stop()


if __name__ == "__main__":
    Agent().main()
