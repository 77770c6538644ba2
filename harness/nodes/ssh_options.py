"""The options of a run on one's own hosts (`ON=ssh OPTS=...`), apart from what needs the ssh library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness.errors import UsageError
from harness.options import Option

ROOTS_FOLDER = "/var/lib/faultline"
USERS_FOLDER = "~/.faultline"

OPTIONS: Final[Mapping[str, Option]] = {
    "known-hosts": Option("", "ssh: file with the hosts' keys, instead of those that ssh looks in"),
    "ssh-key": Option("", "ssh: private key file, instead of the ssh agent's and the usual ones"),
    "ssh-config": Option("", "ssh: configuration file, instead of ~/.ssh/config"),
    "jump": Option("", "ssh: host to go through ([user@]host[:port], several joined by +), instead of ProxyJump"),
    "ssh-timeout": Option(10.0, "ssh: seconds until a host counts as not answering", least=1, most=120),
    "tunnel": Option(
        "auto", "ssh: whether clients go through the ssh connection; auto: behind a jump host", ("auto", "yes", "no")
    ),
    "user": Option("nobody", "ssh: whose the databases are that we start as root"),
    "folder": Option("", f"ssh: where runs live on the hosts, instead of {ROOTS_FOLDER} (root) or {USERS_FOLDER}"),
    "installed": Option(
        "no", "ssh: yes: the database is there and up; it is never stopped for good, nothing is deleted", ("no", "yes")
    ),
    "service": Option(
        "", "ssh, installed=yes: its systemd unit, for starting it again after a kill; default: the target's name"
    ),
    "start": Option("", "ssh, installed=yes: the command that starts it again, instead of systemctl"),
    "port": Option(
        0, "ssh, installed=yes: where it listens for clients, if not at its usual port", least=0, most=65535
    ),
}


def parse_options(given: Mapping[str, str]) -> dict[str, Any]:
    """Every option with the given value or its default. Raises UsageError, naming each problem."""
    problems = [
        f"unknown option {name!r} for ssh: choose from {', '.join(OPTIONS)}" for name in given if name not in OPTIONS
    ]
    values = {}
    for name, option in OPTIONS.items():
        try:
            values[name] = option.parse(name, given[name]) if name in given else option.default
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    return values
