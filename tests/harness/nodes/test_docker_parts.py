"""Goal: what the docker substrate decides by itself is right. Method: no engine but one that is meant to be missing."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from docker.errors import BuildError
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfrastructureError
from harness.nodes import docker_engine, docker_images, docker_labels
from harness.nodes.docker_exec import frames

FRAME = st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300))


@given(st.lists(FRAME, max_size=8), st.integers(0, 9))
def test_frames_come_as_they_were_sent_and_a_cut_one_is_dropped(sent: list[tuple[int, bytes]], cut: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for stream, body in sent:
            theirs.sendall(struct.pack(">BxxxL", stream, len(body)) + body)
        theirs.sendall((struct.pack(">BxxxL", 1, 2) + b"xy")[:cut])
        theirs.shutdown(socket.SHUT_WR)
        assert list(frames(ours)) == sent


def test_a_command_that_prints_nothing_ends() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        assert list(frames(ours)) == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("postgres", ("postgres", "latest")),
        ("postgres:18", ("postgres", "18")),
        ("host:5000/postgres", ("host:5000/postgres", "latest")),
        ("host:5000/a/postgres:18", ("host:5000/a/postgres", "18")),
        ("postgres@sha256:00ff", ("postgres@sha256:00ff", None)),
    ],
)
def test_only_one_tag_is_ever_pulled(name: str, parts: tuple[str, str | None]) -> None:
    assert docker_images.split_name(name) == parts


class TestControllers:
    def test_this_process_lives(self) -> None:
        assert docker_labels.lives(docker_labels.controller())

    def test_one_that_ended_does_not(self) -> None:
        code = "from harness.nodes import docker_labels; print(docker_labels.controller())"
        name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert name.startswith(platform.node())
        assert not docker_labels.lives(name)

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times of processes need /proc")
    def test_a_pid_used_again_is_another(self) -> None:
        assert not docker_labels.lives(f"{platform.node()}:{os.getpid()}:1")

    def test_one_of_another_machine_is_left_alone(self) -> None:
        assert docker_labels.lives("another-machine:1:1")

    @pytest.mark.parametrize("name", ["", f"{platform.node()}:x:1"])
    def test_what_nobody_owns_is_nobodys(self, name: str) -> None:
        assert not docker_labels.lives(name)


class TestNoEngine:
    def test_missing_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        with pytest.raises(InfrastructureError, match=r"no Docker engine answers at DOCKER_HOST=.*start Docker"):
            docker_engine.connect()

    def test_nobody_listens(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "engine.sock"
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with pytest.raises(InfrastructureError, match=r"no Docker engine answers .*start Docker"):
            docker_engine.connect()

    def test_current_context_is_followed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        (tmp_path / "config.json").write_text('{"currentContext": "desk"}')
        with pytest.raises(InfrastructureError, match="context 'desk' does not exist"):
            docker_engine.connect()
        meta = tmp_path / "contexts" / "meta" / _context_id("desk")
        meta.mkdir(parents=True)
        endpoint = {"docker": {"Host": f"unix://{tmp_path}/none.sock"}}
        (meta / "meta.json").write_text(json.dumps({"Name": "desk", "Metadata": {}, "Endpoints": endpoint}))
        with pytest.raises(InfrastructureError, match=r"no Docker engine answers at unix://.*none\.sock.*'desk'"):
            docker_engine.connect()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
    def test_no_right(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "engine.sock"
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(str(path))
            closed.listen()
            path.chmod(0)
            monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
            with pytest.raises(InfrastructureError, match="no right to use"):
                docker_engine.connect()


def _context_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_failed_build_is_told_by_its_own_words() -> None:
    log = [
        {"stream": "Step 3/9 : RUN make\n"},
        {"stream": " ---> Running in 0123\n"},
        {"stream": "\x1b[91mcc: fatal error: no input files\n\x1b[0m"},
        {"stream": "Removing intermediate container 0123\n"},
        {"error": "The command '/bin/sh -c make' returned a non-zero code: 2"},
    ]
    assert docker_images.last_words(BuildError("reason", log)) == "cc: fatal error: no input files"
    assert docker_images.last_words(BuildError("reason", [])) == "reason"
