"""Finds the Docker engine the way the docker command does, and says in one line what is wrong when none answers.

Order: DOCKER_HOST, then the context named by DOCKER_CONTEXT, then the current context of the docker command's
configuration, then the platform's socket. The docker command itself is not needed.
"""

from __future__ import annotations

import os
from typing import Any

import docker
import docker.errors
from docker.context import ContextAPI
from docker.context.config import get_current_context_name

from harness.errors import InfrastructureError

API_TIMEOUT_S = 120
"""A create or a start on a busy machine takes seconds; a build or a pull is streamed and not bound by this."""

CONNECTIONS_MAX = 32
"""Pods are made in parallel threads, and each exec of an agent holds a connection of its own."""


def connect() -> docker.DockerClient:
    """A client of an engine that answers. Raises InfrastructureError with the way out."""
    where = "the platform's socket"
    try:
        where, arguments = _endpoint()
        client = docker.DockerClient(timeout=API_TIMEOUT_S, max_pool_size=CONNECTIONS_MAX, version="auto", **arguments)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise InfrastructureError(_explain(where, error)) from error
    return client


def _endpoint() -> tuple[str, dict[str, Any]]:
    """(where the engine is, arguments of DockerClient)."""
    if host := os.environ.get("DOCKER_HOST"):
        return f"DOCKER_HOST={host}", docker.utils.kwargs_from_env()
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    if name == "default":
        return "the platform's socket", docker.utils.kwargs_from_env()
    context = ContextAPI.get_context(name)
    if context is None:
        raise docker.errors.DockerException(f"the docker context {name!r} does not exist (see `docker context ls`)")
    arguments: dict[str, Any] = {"base_url": context.Host}
    if context.TLSConfig is not None:
        arguments["tls"] = context.TLSConfig
    return f"{context.Host} (docker context {name!r})", arguments


def _explain(where: str, error: Exception) -> str:
    """One line for the user."""
    reasons, current = [], error
    while current is not None:
        reasons.append(current)
        following = current.__cause__ or current.__context__
        if following is None and current.args and isinstance(current.args[-1], Exception):
            following = current.args[-1]
        current = following  # type: ignore[assignment]
    text = " ".join(str(reason) for reason in reasons)
    if "Permission denied" in text:
        return (
            f"no right to use the Docker engine at {where}: add yourself to its group (`sudo usermod -aG docker "
            "$USER`, then log in again), or use a target that runs on `local`"
        )
    if "does not exist" in text and "context" in text:
        return str(error)
    if "No such file" in text or "Connection refused" in text:
        return (
            f"no Docker engine answers at {where}: start Docker, set DOCKER_HOST, or use a target that runs on `local`"
        )
    return f"the Docker engine at {where} can't be used: {error}"
