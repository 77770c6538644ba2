"""Goal: databases on hosts that a user has are tested as anywhere, and the hosts are left as they were found.

Method: containers with an ssh server and the databases stand for the hosts, and are looked at from outside of ssh.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import InfrastructureError
from harness.nodes.base import Database
from harness.nodes.ssh import SshCluster
from targets.etcd.target import Etcd
from tests.e2e.own_hosts import OwnHost, OwnHosts, own_hosts
from tests.e2e.runs import Ran, faultline, need_docker, run
from tests.e2e.test_dead_controller import await_faults, start
from tests.e2e.track_record.rows import ALL_FAULTS, assert_clean

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
LONG_S = 90.0
"""A bound that only a fault in the program reaches."""
SHORT = "hold=2,rest=2"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnHosts]:
    need_docker(Etcd.default_image)
    with own_hosts(3, tmp_path_factory.mktemp("user")) as made:
        yield made


@pytest.fixture
def left_clean(hosts: OwnHosts) -> Iterator[None]:
    yield
    for host in hosts.hosts:
        assert await_true(lambda host=host: not host.broken()), host.broken()


def await_true(condition: Callable[[], object]) -> bool:
    until = time.monotonic() + LONG_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def on_hosts(hosts: OwnHosts, names: str, *arguments: str) -> tuple[str, ...]:
    return ("--on", "ssh", "--hosts", names, "--opts", hosts.options, *arguments)


@pytest.mark.usefixtures("left_clean")
def test_etcd_on_three_hosts(hosts: OwnHosts, tmp_path: Path) -> None:
    a, b, c = (host.address for host in hosts.hosts)
    arguments = on_hosts(hosts, f"root@{a},ada@{b},root@{c}:22", "--target", "etcd", "--workload", "register")
    ran = run(tmp_path, *arguments, "--faults", ",".join(ALL_FAULTS), "--time", "25", "--opts", SHORT)
    assert_clean(ran, oks=50, fs=("read", "write"), faults=ALL_FAULTS)
    assert f"ada@{b}" in ran.folder.read_environment()["substrate"]["hosts"]
    assert all((ran.folder.nodes / name / "database.log").stat().st_size for name in ("n1", "n2", "n3"))
    assert f"root@{a},ada@{b},root@{c}:22" in ran.output, "the command that repeats it"


@pytest.mark.usefixtures("left_clean")
def test_postgres_on_a_host(hosts: OwnHosts, tmp_path: Path) -> None:
    faults = ("kill", "pause", "clock")
    ran = run(tmp_path, *on_hosts(hosts, hosts.names(1), "--target", "postgres", "--faults", ",".join(faults),
                                  "--time", "25", "--opts", "hold=1,rest=4"))  # fmt: skip
    assert_clean(ran, oks=50, fs=("txn",), faults=faults)


@pytest.mark.usefixtures("left_clean")
def test_redis_on_three_hosts(hosts: OwnHosts, tmp_path: Path) -> None:
    """Whether a failover loses a write is chance here: R1 of the track record is where it must."""
    arguments = on_hosts(hosts, hosts.names(3), "--target", "redis", "--faults", "kill,pause,partition")
    ran = run(tmp_path, *arguments, "--time", "25", "--rate", "60", "--opts", SHORT)
    assert ran.code in (0, 1, 4), "an answer, whichever"
    assert ran.oks("read", "write", "cas") >= 20
    assert all(ran.effective(kind) for kind in ("kill", "pause", "partition"))
    assert not ran.folder.read_environment()["unmapped"]
    assert all((ran.folder.nodes / name / "database.log").stat().st_size for name in ("n1", "n2", "n3"))


@pytest.mark.usefixtures("left_clean")
def test_without_rights_and_behind_a_jump_host(hosts: OwnHosts, tmp_path: Path) -> None:
    """`bob` is nobody there, and clients go through the ssh connection, which goes through another host."""
    jump = f"ada@{hosts.hosts[1].address}"
    arguments = on_hosts(hosts, hosts.names(1, "bob"), "--target", "postgres", "--faults", "kill,pause")
    ran = run(tmp_path, *arguments, "--time", "12", "--opts", f"jump={jump},hold=1,rest=4")
    assert ran.verdict["verdict"] != "invalid" and ran.code in (0, 4)
    assert ran.oks("txn") >= 1 and ran.effective("kill") and ran.effective("pause")
    assert ran.folder.read_environment()["substrate"]["reached"] == "through ssh"
    assert not hosts.hosts[0].sh("find /home/bob/.faultline -mindepth 1 ! -name lock")
    done = faultline("doctor", "--hosts", hosts.names(1, "bob"), "--opts", hosts.options)
    assert done.returncode == 0 and "partition: no — rules of iptables need root" in done.stdout, done.stdout


@pytest.mark.usefixtures("left_clean")
def test_kill_9_of_the_controller_leaves_nothing(hosts: OwnHosts, tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []
    arguments = on_hosts(hosts, hosts.names(3), "--target", "etcd", "--faults", "partition,pause,clock")
    process = start(started, tmp_path / "results", *arguments, "--time", "600", "--opts", "hold=20,rest=1")
    await_faults(tmp_path / "results", {"partition", "pause", "clock"}, process)
    assert any("FAULTLINE" in line for host in hosts.hosts for line in host.broken())
    second = faultline("test", *arguments, "--time", "5", "--results", str(tmp_path / "other"))
    assert second.returncode == 3 and "another run works on this host (run " in second.stderr, second.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    for host in hosts.hosts:
        assert await_true(lambda host=host: not host.broken()), host.broken()
    healed = faultline("heal", str(tmp_path / "results" / "latest"))
    assert healed.returncode == 0 and "nothing was left" in healed.stdout, healed.stdout + healed.stderr


def break_and_kill_agent(host: OwnHost, one: SshCluster) -> int:
    """The pid of a database that is stopped, on a host with a rule in force and no agent any more."""
    (node,) = one.nodes
    node.install(Database(argv=["sleep", "1000"]))
    node.start_db()
    (pid,) = node.db_pids()
    node.agent.request("drop", key="test", sources=["192.0.2.1"])
    node.agent.request("pause")
    host.sh(f"kill -9 {node.agent.hello['pid']}")
    assert await_true(lambda: node.agent.lost)
    assert "FAULTLINE" in host.sh("iptables -S") and "T" in host.sh(f"ps -o stat= {pid}")
    return pid


@pytest.mark.usefixtures("left_clean")
def test_what_a_killed_agent_left_is_healed_by_the_next(hosts: OwnHosts) -> None:
    host, one = hosts.hosts[0], cluster(hosts, 1, "crashed")
    with one, pytest.raises(InfrastructureError, match="agent was lost"):
        break_and_kill_agent(host, one)
        one.check()
    assert not host.broken(), "the controller heals by another agent"
    one = cluster(hosts, 1, "crashed").__enter__()
    pid = break_and_kill_agent(host, one)
    one.nodes[0].close()
    assert host.broken(), "nobody has healed"
    done = faultline("clean", "--hosts", hosts.names(1), "--opts", hosts.options)
    assert done.returncode == 0 and str(pid) in done.stdout and "folders removed" in done.stdout, done.stdout


def cluster(hosts: OwnHosts, count: int, run_id: str, **options: str) -> SshCluster:
    given = dict(part.split("=") for part in hosts.options.split(","))
    return SshCluster(run_id=run_id, hosts=hosts.names(count).split(","), options={**given, **options}, service="etcd")


START_ETCD = """
cat > /usr/local/bin/start-etcd << 'END'
#!/bin/sh
setsid etcd --name own --data-dir /var/lib/own-etcd --listen-client-urls http://{address}:2379 \\
  --advertise-client-urls http://{address}:2379 --log-outputs /var/log/etcd.log < /dev/null > /dev/null 2>&1 &
END
chmod +x /usr/local/bin/start-etcd; start-etcd
until etcdctl --endpoints http://{address}:2379 put users own; do sleep 0.1; done
"""


@pytest.fixture
def own_etcd(hosts: OwnHosts) -> Iterator[OwnHost]:
    """The last host, on which the user's own etcd runs with a key of the user's."""
    host = hosts.hosts[2]
    host.sh(START_ETCD.format(address=host.address))
    yield host
    host.sh("pkill -9 -x etcd; rm -rf /var/lib/own-etcd /usr/local/bin/start-etcd", check=False)
    assert await_true(lambda: not host.broken()), host.broken()


def test_a_database_that_is_there(hosts: OwnHosts, own_etcd: OwnHost, tmp_path: Path) -> None:
    name = f"root@{own_etcd.address}"
    common = on_hosts(hosts, name, "--target", "etcd", "--workload", "register", "--faults", "kill,pause")
    refused = faultline("test", *common, "--results", str(tmp_path))
    assert refused.returncode == 3 and "port 2379" in refused.stderr and "installed=yes" in refused.stderr
    refused = faultline("test", *common, "--opts", "installed=yes", "--results", str(tmp_path))
    assert refused.returncode == 3 and "systemd does not run there" in refused.stderr, refused.stderr
    ran: Ran = run(tmp_path, *common, "--time", "12", "--opts", f"installed=yes,start=start-etcd,{SHORT}")
    assert_clean(ran, oks=50, fs=("read", "write"), faults=("kill", "pause"))
    etcdctl = f"etcdctl --endpoints http://{own_etcd.address}:2379"
    assert own_etcd.sh(f"{etcdctl} get '' --prefix").split() == ["users", "own"], "ours are gone, the user's are there"
    own_etcd.sh(f"{etcdctl} put register/1 5")
    refused = faultline("test", *common, "--opts", "installed=yes,start=start-etcd", "--results", str(tmp_path))
    assert refused.returncode == 3 and "1 under register/" in refused.stderr, refused.stderr
    assert "register/1" in own_etcd.sh(f"{etcdctl} get register/1"), "what is not ours is not removed"


def test_a_killed_service_is_started_again_when_the_controller_is_gone(hosts: OwnHosts, own_etcd: OwnHost) -> None:
    up = f"etcdctl --endpoints http://{own_etcd.address}:2379 get users"
    one = cluster(hosts, 3, "gone", installed="yes", start="start-etcd")
    one.hosts = one.hosts[2:]
    with one:
        node = one.nodes[0]
        node.install(Database(argv=[], ports=(2379,)))
        killed = node.agent.request("kill")["pids"]
        assert killed and not node.db_pids()
        node.connection.close()
        assert await_true(lambda: "own" in own_etcd.sh(up, check=False))


def test_a_host_whose_key_is_not_the_known_one_is_refused(hosts: OwnHosts, tmp_path: Path) -> None:
    host, wrong = hosts.hosts[0], tmp_path / "known_hosts"
    wrong.write_text(f"{host.address} {hosts.hosts[1].key()}\n")
    common = ("test", "--target", "etcd", "--on", "ssh", "--hosts", hosts.names(1), "--results", str(tmp_path / "r"))
    logins = str(host.container.logs()).count("Accepted publickey")
    done = faultline(*common, "--opts", f"ssh-key={hosts.key},known-hosts={wrong}")
    assert done.returncode == 3 and "ITS KEY HAS CHANGED" in done.stderr and "ssh-keygen -R" in done.stderr, done.stderr
    (tmp_path / "none").write_text("")
    done = faultline(*common, "--opts", f"ssh-key={hosts.key},known-hosts={tmp_path / 'none'}")
    assert done.returncode == 3 and "its key is not known" in done.stderr, done.stderr
    assert str(host.container.logs()).count("Accepted publickey") == logins
