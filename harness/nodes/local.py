"""The local substrate: databases as processes on this machine, a directory for each node; no root, no Docker.

Every node has the address 127.0.0.1; `node.port` gives it ports of its own. Its agent is a child of the controller in a
session of its own, and the database a direct child of the agent. So the agent may patch the database's clock without
any right (it is its ancestor and of its uid), and stops it when the controller is gone, however that ended.

As root, agent and database run as `nobody` on files below a fresh directory: databases refuse root, and no user is
created and no mode changed outside of that directory. The agent is started by this interpreter as root and drops it
once it has imported what it needs, for the interpreter itself may lie where nobody may read.

The directory is removed when the cluster is closed; `clean` removes what a controller that was killed left.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import pwd
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import InfrastructureError
from harness.nodes.agent_client import AgentClient, PopenChannel, bootstrap_argv
from harness.nodes.base import AgentLost, CommandFailed, Completed, Database, LogLine, save_logs

ADDRESS = "127.0.0.1"
PREFIX = "faultline-local-"
DESCRIPTION = "run.json"
LOG = "database.log"
NODES_MAX = 50
USER = "nobody"
PLACES = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
"""Where directories of runs are made besides the system's own temporary directory; `clean` looks there too."""


class LocalNode:
    """Implements `harness.nodes.base.Node`."""

    def __init__(self, name: str, home: Path, config: Mapping[str, Any]) -> None:
        self.name, self.address, self.home = name, ADDRESS, str(home)
        self.database: Database | None = None
        self._config = dict(config, home=str(home))
        self._ports: dict[int, int] = {}
        self.agent = self.open_agent()

    def open_agent(self) -> AgentClient:
        """An agent on this node; its first act is to heal what an earlier one left. Raises AgentLost."""
        return AgentClient(lambda: PopenChannel(bootstrap_argv(sys.executable)), self.name, self._config)

    def port(self, port: int) -> int:
        if port not in self._ports:
            while True:
                free = int(self.agent.request("port", address=ADDRESS)["port"])
                if free not in self._ports.values():
                    break
            self._ports[port] = free
        return self._ports[port]

    def endpoint(self, port: int) -> tuple[str, int]:
        return ADDRESS, self.port(port)

    def run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        return self.agent.run(*argv, stdin=stdin, timeout_s=timeout_s)

    def db_run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        return self.run(*argv, stdin=stdin, timeout_s=timeout_s)

    def put(self, local: Path, remote: str) -> None:
        """Copy a file, or a folder with all that is in it, below the node's home. Raises InfrastructureError."""
        destination = self._inside(remote)
        try:
            if local.is_dir():
                shutil.copytree(local, destination, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(local, destination)
        except OSError as error:
            raise InfrastructureError(f"{self.name}: {local} could not be copied to {destination}: {error}") from error
        _give_away(destination)

    def get(self, remote: str, local: Path) -> None:
        """Copy a file back. Raises InfrastructureError."""
        try:
            shutil.copyfile(Path(self.home, remote), local)
        except OSError as error:
            raise InfrastructureError(f"{self.name}: {remote} could not be copied to {local}: {error}") from error

    def log_stream(self) -> Iterator[LogLine]:
        with contextlib.suppress(FileNotFoundError), open(self._log, encoding="utf-8", errors="replace") as file:
            for line in file:
                yield LogLine(self.name, line.rstrip("\n"))

    def install(self, database: Database) -> None:
        for path, text in database.files.items():
            destination = self._inside(path)
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_text(text, encoding="utf-8")
            _give_away(destination)
        self.database = database

    def start_db(self) -> None:
        database = self.database
        if database is None:
            raise InfrastructureError(f"{self.name}: no database is installed")
        environment = {"PATH": os.defpath, "HOME": self.home, "LANG": "C.UTF-8", **database.env}
        self.agent.request(
            "database-start",
            timeout_s=30.0,
            argv=database.argv,
            env=environment,
            cwd=self.home,
            log=self._log,
            stop_signal=database.stop_signal,
        )

    def stop_db(self, timeout_s: float = 20.0) -> None:
        self.agent.request("database-stop", timeout_s=timeout_s + 15.0, limit_s=timeout_s)

    def db_pids(self) -> list[int]:
        return list(self.agent.request("tree")["pids"])

    @property
    def _log(self) -> str:
        return str(Path(self.home, LOG))

    def _inside(self, remote: str) -> Path:
        """A path of the node's, absolute or relative to its home. Raises InfrastructureError for one outside of it."""
        path = Path(os.path.normpath(Path(self.home, remote)))
        if not path.is_relative_to(self.home):
            raise InfrastructureError(f"{self.name}: {remote} is outside of the node's home {self.home}")
        return path


class LocalCluster:
    """Implements `harness.nodes.base.Cluster`; its nodes exist between `__enter__` and `__exit__`."""

    substrate = "local"

    def __init__(self, *, run_id: str, nodes: int, clock: str = "vdso") -> None:
        """clock: how clock faults are made, "vdso" or "libfaketime" (see `harness.nodes.agent`)."""
        if not 1 <= nodes <= NODES_MAX:
            raise InfrastructureError(f"local runs 1 to {NODES_MAX} nodes, not {nodes}")
        self.run_id = run_id
        self.nodes: Sequence[LocalNode] = []
        self._count = nodes
        self._clock = clock
        self.folder: Path | None = None

    def __enter__(self) -> LocalCluster:
        self.folder = _make_folder(self.run_id)
        nodes: list[LocalNode] = []
        self.nodes = nodes
        try:
            for number in range(1, self._count + 1):
                home = self.folder / f"n{number}"
                home.mkdir(mode=0o700)
                _give_away(home)
                nodes.append(LocalNode(home.name, home, {**_agent_config(), "clock": self._clock}))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def check(self) -> None:
        for node in self.nodes:
            if node.agent.lost is not None:
                raise InfrastructureError(f"{node.name}: its agent was lost: {node.agent.lost}")

    def collect_logs(self, folder: Path) -> None:
        save_logs(self.nodes, folder, LOG)

    def describe(self) -> Mapping[str, Any]:
        agents = {f"{node.agent.hello['python']} as uid {node.agent.hello['user']}" for node in self.nodes}
        return {
            "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores",
            "agent": ", ".join(sorted(agents)),
            "clock": self._clock,
        }

    def _remove(self) -> None:
        """End the agents: they heal and stop their databases. Where one was lost, another heals what it left."""
        for node in self.nodes:
            lost = node.agent.lost is not None
            node.agent.close()
            if lost:
                with contextlib.suppress(AgentLost):
                    node.open_agent().close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def heal(run_id: str) -> list[str]:
    """Undo the faults that a run left on this machine, and stop its databases. Returns what was done, one line each.

    A new agent is started in each node's directory: its first act is to heal.
    """
    return [line for folder in _folders() if _read(folder).get("run_id") == run_id for line in _heal_folder(folder)]


def clean(run_id: str | None = None) -> list[str]:
    """The same, and remove the directories; without a run_id for all runs whose controller is gone."""
    removed = []
    for folder in _folders():
        description = _read(folder)
        if (description.get("run_id") == run_id) if run_id is not None else not _lives(description):
            removed += _heal_folder(folder)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(f"directory {folder}")
    return removed


def _agent_config() -> dict[str, Any]:
    return {"scope": "children", "user": USER if os.geteuid() == 0 else ""}


def _heal_folder(folder: Path) -> list[str]:
    done = []
    for home in sorted(path for path in folder.iterdir() if path.is_dir()):
        agent = AgentClient(
            lambda: PopenChannel(bootstrap_argv(sys.executable)), home.name, {**_agent_config(), "home": str(home)}
        )
        try:
            left = agent.request("tree")["pids"]
            healed = {name: pids for name, pids in agent.hello["healed"].items() if pids}
            done += [f"node {home}: {name.replace('_', ' ')}: {pids}" for name, pids in healed.items()]
            if left:
                agent.request("database-stop", timeout_s=30.0, limit_s=10.0)
                done.append(f"node {home}: stopped {len(left)} processes")
        except CommandFailed as error:
            done.append(f"node {home}: {error}")
        finally:
            agent.close()
    return done


def _make_folder(run_id: str) -> Path:
    """A fresh directory that the database's user can reach and run programs in. Raises InfrastructureError."""
    problems = []
    name = f"{PREFIX}{re.sub(r'[^a-zA-Z0-9_.-]', '-', run_id)[:40]}-{secrets.token_hex(3)}"
    for place in _places():
        problem = _unfit(place)
        if problem is None:
            folder = place / name
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
            description = {"run_id": run_id, "controller": [os.getpid(), _started(os.getpid())]}
            (folder / DESCRIPTION).write_text(json.dumps(description))
            return folder
        problems.append(f"{place} {problem}")
    raise InfrastructureError(f"no directory for the nodes: {'; '.join(problems)} (set TMPDIR to one that is fit)")


def _places() -> list[Path]:
    """Candidates, the system's own temporary directory first; resolved (macOS links /tmp)."""
    return list(dict.fromkeys(place.resolve() for place in (Path(tempfile.gettempdir()), *PLACES) if place.is_dir()))


def _unfit(place: Path) -> str | None:
    """Why a directory can't hold the nodes', None when it can."""
    if not os.access(place, os.W_OK | os.X_OK):
        return "is not writable"
    if os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "is mounted noexec"
    if os.geteuid() == 0:
        for folder in (place, *place.parents):
            if not folder.stat().st_mode & 0o001:
                return f"is not open to user {USER} ({folder})"
    return None


def _give_away(path: Path) -> None:
    """As root: what is below becomes nobody's."""
    if os.geteuid() != 0:
        return
    try:
        uid, gid = pwd.getpwnam(USER)[2:4]
    except KeyError:
        uid, gid = 65534, 65534
    os.chown(path, uid, gid, follow_symlinks=False)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), uid, gid, follow_symlinks=False)


def _folders() -> list[Path]:
    """Directories of runs that are there; only those of our own uid, for another could have written anything."""
    found = [folder for place in _places() for folder in sorted(place.glob(f"{PREFIX}*"))]
    return [folder for folder in found if folder.is_dir() and folder.stat().st_uid == os.geteuid()]


def _read(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        description = json.loads((folder / DESCRIPTION).read_text())
        if isinstance(description, dict):
            return description
    return {}


def _lives(description: Mapping[str, Any]) -> bool:
    """Whether the controller of a run still runs."""
    pid, started = description.get("controller", (0, ""))
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        pass
    except (ProcessLookupError, ValueError):
        return False
    return bool(pid) and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
