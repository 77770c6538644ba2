"""Kill and pause: a database's whole process tree, ended with kill -9 or stopped with SIGSTOP for a while.

A database is a tree of processes: killing only the first leaves sessions that go on committing, and a stopped one would
keep it from starting again. The node's agent takes the root first, then all others (`harness.nodes.agent`).
A kill ends a pause of the same node, because nothing is left that could be paused; its heal starts the database anew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from harness.fault import Fault
from harness.nodes.base import CommandFailed, Node
from harness.options import Option
from nemeses.base import Setting
from nemeses.choose import on_each, share_option, some_nodes

SERVE_TIMEOUT_S = 60.0
"""How long a killed node may take to serve again; the same bound as for recovery."""


class Kill:
    """The database's processes are killed with -9; healing starts it again with its data."""

    kind = "kill"
    options: Mapping[str, Option] = share_option("kill")

    def prove(self, setting: Setting) -> str | None:
        """Stop and continue: who may send these signals may send the other. That it starts again was seen already."""
        return _prove_signals(setting)

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return _plan(setting, rng, self.kind)

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        answers = on_each(setting.cluster, fault.nodes, lambda node: node.agent.request("kill", timeout_s=20.0))
        pids = {name: answer["pids"] for name, answer in answers.items()}
        took_ms = {name: answer["took_ms"] for name, answer in answers.items()}
        return {"died": pids, "took_ms": took_ms, "took_effect": any(pids.values())}

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        def revive(node: Node) -> float:
            began = time.monotonic()
            if node.agent.request("tree")["root"] is None:
                node.start_db()
            setting.target.await_node(node, SERVE_TIMEOUT_S)
            return time.monotonic() - began

        return {"served_after_s": on_each(setting.cluster, fault.nodes, revive)}


class Pause:
    """The database's processes are stopped (SIGSTOP), and go on later as if no time had passed."""

    kind = "pause"
    options: Mapping[str, Option] = share_option("pause")

    def prove(self, setting: Setting) -> str | None:
        """Stop one node's database and let it go on."""
        return _prove_signals(setting)

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return _plan(setting, rng, self.kind)

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        answers = on_each(setting.cluster, fault.nodes, lambda node: node.agent.request("pause"))
        stopped = {name: _in_state(answer, "T") for name, answer in answers.items()}
        return {
            "stopped": stopped,
            "states": {name: _summary(answer) for name, answer in answers.items()},
            "took_ms": {name: answer["took_ms"] for name, answer in answers.items()},
            "took_effect": any(stopped.values()),
        }

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        answers = on_each(setting.cluster, fault.nodes, lambda node: node.agent.request("resume"))
        return {
            "resumed": {name: answer["pids"] for name, answer in answers.items()},
            "states_after": {name: _summary(answer) for name, answer in answers.items()},
        }


def _plan(setting: Setting, rng: random.Random, kind: str) -> tuple[list[str], dict[str, Any]]:
    names = [node.name for node in setting.cluster.nodes]
    return some_nodes(rng, names, setting.options[f"{kind}-nodes"]), {}


def _prove_signals(setting: Setting) -> str | None:
    node = setting.cluster.nodes[0]
    try:
        try:
            paused = node.agent.request("pause")
        finally:
            resumed = node.agent.request("resume")
    except CommandFailed as error:
        return str(error)
    if not paused["pids"]:
        return f"no process of the database was found on {node.name}"
    if not set(paused["states"].values()) <= {"T", "gone"}:
        return f"not all processes of the database stopped: {_summary(paused)}"
    if _in_state(resumed, "T"):
        return f"not all processes of the database went on: {_summary(resumed)}"
    return None


def _in_state(answer: Mapping[str, Any], state: str) -> list[int]:
    return [int(pid) for pid, letter in answer["states"].items() if letter == state]


def _summary(answer: Mapping[str, Any]) -> dict[str, int]:
    """State letter → how many processes."""
    letters = list(answer["states"].values())
    return {letter: letters.count(letter) for letter in sorted(set(letters))}
