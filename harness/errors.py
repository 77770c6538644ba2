"""Errors that a user sees as one line, each with its exit code."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit codes of the `faultline` command."""

    VALID = 0
    INVALID = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    UNKNOWN = 4


class FaultlineError(Exception):
    """Base of what is reported as one line without a traceback."""

    exit = Exit.INFRASTRUCTURE


class UsageError(FaultlineError):
    """What was asked can't be done; the message names the thing, the value and the way out."""

    exit = Exit.USAGE


class Interrupted(FaultlineError):
    """Ctrl-C or SIGTERM before there was anything to judge. No InfrastructureError, so that no retry swallows it."""


class InfrastructureError(FaultlineError):
    """The run's own machinery failed: no engine, a dead node at set-up, a lost agent, a full disk."""

    exit = Exit.INFRASTRUCTURE
