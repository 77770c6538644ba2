"""A Debian base image from packages, where no registry answers: debootstrap, then imported into the engine.

The mirror, proxy and date settings are those of this machine's own apt; without any, debootstrap's default mirror.
Cost: 25 s and 120 MB a base.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import docker
import docker.errors

from harness.errors import InfrastructureError

BASE = re.compile(r"debian:(?P<suite>[a-z]+)-slim")
NOT_NEEDED = ("./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/locale/*")
DEBOOTSTRAP_TIMEOUT_S = 900
APT_SETTINGS = re.compile(
    r'^Acquire::(?:https?::Proxy|Check-Valid-Until|Check-Date|Retries) ".+";$', re.MULTILINE | re.IGNORECASE
)


def make_base(client: docker.DockerClient, name: str, why: str) -> None:
    """Make `debian:<suite>-slim`. why: the reason that it could not be pulled, for messages.

    Raises InfrastructureError with the way out.
    """
    match = BASE.fullmatch(name)
    if match is None:
        raise InfrastructureError(
            f"image {name!r} can't be pulled ({why}), and only debian:<suite>-slim can be made here"
        )
    if shutil.which("debootstrap") is None:
        raise InfrastructureError(
            f"image {name!r} can't be pulled ({why}); to make it from packages install debootstrap "
            "(`apt-get install debootstrap`)"
        )
    if os.geteuid() != 0:
        raise InfrastructureError(
            f"image {name!r} can't be pulled ({why}); to make it from packages debootstrap needs root: "
            "`sudo make images`, or `sudo .venv/bin/faultline images`"
        )
    with tempfile.TemporaryDirectory(prefix="faultline-base-") as folder:
        root = Path(folder) / "root"
        _debootstrap(match["suite"], root)
        (root / "etc/apt/apt.conf.d/99machine").write_text(machine_settings())
        _import(client, root, name)


def machine_mirror() -> str | None:
    """Where this machine's own apt gets Debian from; None when it says nothing that debootstrap can use."""
    listing = _asked("apt-get", "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)", "Created-By: Packages")
    for line in listing.splitlines():
        uri, _, whose = line.partition("|")
        if whose == "Debian|Debian" and uri.startswith(("http://", "https://")):
            return uri
    return None


def machine_settings() -> str:
    """This machine's apt settings that a download inside a build needs too."""
    return "".join(line + "\n" for line in APT_SETTINGS.findall(_asked("apt-config", "dump")))


def _asked(*argv: str) -> str:
    """What a command says; nothing where there is no such command."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    except OSError:
        return ""


def _debootstrap(suite: str, root: Path) -> None:
    mirror = machine_mirror()
    argv = ["debootstrap", "--variant=minbase", suite, str(root), *([mirror] if mirror else [])]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEBOOTSTRAP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"debootstrap of {suite} took more than {DEBOOTSTRAP_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise InfrastructureError(f"debootstrap of {suite} failed: {' | '.join(done.stdout.splitlines()[-5:])}")


def _import(client: docker.DockerClient, root: Path, name: str) -> None:
    repository, _, tag = name.partition(":")
    excludes = [f"--exclude={pattern}" for pattern in NOT_NEEDED]
    with subprocess.Popen(["tar", "-C", str(root), *excludes, "-c", "."], stdout=subprocess.PIPE) as tar:
        answer = client.api.import_image_from_stream(
            tar.stdout, repository=repository, tag=tag, changes=['CMD ["bash"]']
        )
    if tar.returncode != 0 or "error" in str(answer):
        raise InfrastructureError(f"the engine could not import {name!r}: {answer}")
