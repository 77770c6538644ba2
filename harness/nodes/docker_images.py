"""Which image a name stands for on this machine: one that is here, else pulled; and the sandbox, built at first use.

An image that is here is taken as it is, so a run needs no registry once its images are there, and what `make images`
built (see `harness.images`) is found under the vendor's name.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import docker
import docker.errors

from harness.errors import InfrastructureError

ANSI = re.compile(r"\x1b\[[0-9;]*m")
ENGINES_OWN = re.compile(r"Step \d+/\d+ : | ---> |Removing intermediate container |The command '")
SANDBOX = Path(__file__).with_name("sandbox")


def is_here(client: docker.DockerClient, name: str) -> bool:
    """Whether the engine has the image."""
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def resolve(client: docker.DockerClient, name: str) -> Any:
    """The image of that name, pulled if it is not here. Raises InfrastructureError with the way out."""
    try:
        return client.images.get(name)
    except docker.errors.ImageNotFound:
        pass
    if problem := pull(client, name):
        raise InfrastructureError(
            f"image {name!r} is not here and can't be pulled ({problem}): connect to its registry, build an equivalent "
            f"with `make images`, or name another with IMAGE=..."
        )
    return client.images.get(name)


def pull(client: docker.DockerClient, name: str) -> str | None:
    """Pull it, saying so on stderr. None: done; else why not, in one line."""
    print(f"pulling {name} ...", file=sys.stderr, flush=True)
    try:
        client.images.pull(*split_name(name))
    except docker.errors.APIError as error:
        return str(error.explanation or error).strip().replace("\n", " ")
    return None


def split_name(name: str) -> tuple[str, str | None]:
    """Repository and tag; without a tag the registry's `latest`, never all tags. A digest stays in the name."""
    if "@" in name:
        return name, None
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, "latest"
    return repository, tag


def sandbox_name() -> str:
    """The sandbox's name carries its Dockerfile's hash: another Dockerfile, another image."""
    return f"faultline-sandbox:{hashlib.sha256((SANDBOX / 'Dockerfile').read_bytes()).hexdigest()[:12]}"


def ensure_sandbox(client: docker.DockerClient) -> str:
    """The sandbox image's name, built if it is not here. Raises InfrastructureError."""
    name = sandbox_name()
    if is_here(client, name):
        return name
    resolve(client, base_of(SANDBOX / "Dockerfile"))
    print(f"building {name} ...", file=sys.stderr, flush=True)
    try:
        client.images.build(path=str(SANDBOX), tag=name, network_mode="host", rm=True, forcerm=True)
    except docker.errors.BuildError as error:
        raise InfrastructureError(f"the sandbox image could not be built: {last_words(error)}") from error
    except docker.errors.DockerException as error:
        raise InfrastructureError(f"the sandbox image could not be built: {error}") from error
    return name


def base_of(dockerfile: Path) -> str:
    """The image that a Dockerfile's first FROM names."""
    for line in dockerfile.read_text().splitlines():
        if line.startswith("FROM "):
            return line.split()[1]
    raise InfrastructureError(f"{dockerfile} has no FROM")


def last_words(error: docker.errors.BuildError) -> str:
    """The end of what a failed build printed, without the engine's own lines: why it failed."""
    printed = "".join(str(part.get("stream") or "") for part in error.build_log)
    lines = [line for line in ANSI.sub("", printed).splitlines() if line.strip() and not ENGINES_OWN.match(line)]
    return " | ".join(lines[-6:])[-800:] or str(error)
