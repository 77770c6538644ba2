"""Which host is meant, and how to log in to it: what was written, completed by the ssh configuration."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from harness.errors import UsageError
from harness.nodes.ssh import check_options
from harness.nodes.ssh_hosts import Host, login, parse_host, read_config
from harness.nodes.ssh_options import parse_options
from harness.planning import Request, make_plan, repeat_command

CONFIG = """
Host db-*
  User admin
  ProxyJump ops@bastion:2200
Host db-1
  HostName 10.0.0.1
  Port 2201
  IdentityFile ~/keys/one
  IdentitiesOnly yes
  HostKeyAlias first
  UserKnownHostsFile ~/known_db
  ConnectTimeout 3
Host bastion
  HostName bastion.example
Host round
  ProxyJump round
Host odd
  ProxyCommand nc %h %p
"""


@pytest.fixture
def config() -> paramiko.SSHConfig:
    return paramiko.SSHConfig.from_text(CONFIG)


@pytest.mark.parametrize(
    "text, host",
    [
        ("a", Host(name="a")),
        ("root@a", Host(name="a", user="root")),
        ("root@a.example:2222/10.0.0.7", Host(name="a.example", user="root", port=2222, address="10.0.0.7")),
        ("[fd00::1]:22", Host(name="fd00::1", port=22)),
        ("a/fd00::2", Host(name="a", address="fd00::2")),
    ],
)
def test_a_host_is_written_as_for_ssh(text: str, host: Host):
    assert parse_host(text) == host
    assert parse_host(str(host)) == host


@pytest.mark.parametrize("text", ["", "a b", "a:0", "a:70000", "a:x", "@a", "a/b", "ssh://a", "a:22:22"])
def test_other_forms_are_refused(text: str):
    with pytest.raises(UsageError, match="host"):
        parse_host(text)


def test_the_configuration_completes_what_was_written(config: paramiko.SSHConfig):
    got = login(parse_host("db-1"), config)
    assert (got.host, got.port, got.user, got.known_as, got.timeout_s) == ("10.0.0.1", 2201, "admin", "first", 3)
    assert got.keys == (str(Path("~/keys/one").expanduser()),) and got.only_keys
    assert got.known_hosts[0] == str(Path("~/known_db").expanduser())
    (jump,) = got.jumps
    assert (jump.host, jump.port, jump.user) == ("bastion.example", 2200, "ops")
    assert jump.known_as == "[bastion.example]:2200"


def test_what_was_written_outranks_the_configuration(config: paramiko.SSHConfig):
    got = login(parse_host("me@db-1:22"), config, key="k", known_hosts="file", jump="x+you@y:23", timeout_s=7)
    assert (got.user, got.port, got.keys, got.only_keys, got.known_hosts) == ("me", 22, ("k",), True, ("file",))
    assert [(hop.user, hop.host, hop.port) for hop in got.jumps][1:] == [("you", "y", 23)]
    assert got.jumps[0].host == "x"


def test_ways_that_lead_nowhere_are_refused(config: paramiko.SSHConfig):
    with pytest.raises(UsageError, match="in a circle"):
        login(parse_host("round"), config)
    with pytest.raises(UsageError, match="ProxyCommand is not supported; use ProxyJump"):
        login(parse_host("odd"), config)


def test_a_configuration_that_was_named_must_be_there(tmp_path: Path):
    with pytest.raises(UsageError, match="no-such"):
        read_config(str(tmp_path / "no-such"))
    assert read_config(str(_file(tmp_path, "Host a\n  Port 23\n"))).lookup("a")["port"] == "23"


def _file(folder: Path, text: str) -> Path:
    (folder / "config").write_text(text)
    return folder / "config"


def asked(**more) -> Request:
    return Request(**{"target": "etcd", "on": "ssh", "hosts": ("a", "root@b:23", "c/10.0.0.3"), **more})


def test_each_host_is_a_node():
    plan = make_plan(asked(options={"known-hosts": "f"}))
    assert (plan.nodes, plan.image, plan.hosts) == (3, "", ("a", "root@b:23", "c/10.0.0.3"))
    assert (plan.options["known-hosts"], plan.options["installed"]) == ("f", "no")
    assert "partition" in plan.faults
    command = repeat_command(plan, with_make=False)
    assert "--hosts a,root@b:23,c/10.0.0.3" in command and "--nodes" not in command and "known-hosts=f" in command


@pytest.mark.parametrize(
    "more, problem",
    [
        ({"hosts": ()}, "needs to know the hosts: HOSTS="),
        ({"nodes": 2}, "3 hosts are named"),
        ({"on": "docker"}, "add ON=ssh"),
        ({"hosts": ("a", "a")}, "named twice"),
        ({"hosts": ("a b",)}, "write \\[user@\\]host"),
        ({"options": {"service": "x"}}, "add installed=yes"),
        ({"options": {"installed": "yes"}, "faults": ("membership",)}, "membership"),
        ({"target": "simulated", "workload": "append"}, "does not run on 'ssh'"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_dialled(more: dict, problem: str):
    with pytest.raises(UsageError, match=problem):
        make_plan(asked(**more))


def test_options_are_parsed_and_checked():
    assert parse_options({"ssh-timeout": "3"})["ssh-timeout"] == 3
    with pytest.raises(UsageError, match="unknown option 'sshkey'"):
        parse_options({"sshkey": "x"})
    problems: list[str] = []
    check_options(["a", "b c"], parse_options({"ssh-config": "/no/such/file"}), problems)
    assert len(problems) == 2
