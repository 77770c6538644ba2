"""Clock faults by the vDSO, on processes that do nothing but read the clock."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from specimens import await_true, beats, fresh_beats, start_family, usable_python

from harness.nodes import agent as agent_module
from harness.nodes.agent_client import AgentClient
from harness.nodes.base import CommandFailed

x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux", reason="the vDSO patch is for x86-64 Linux"
)


@pytest.fixture
def clock_reader(agent: AgentClient, home: Path) -> Callable[..., Callable[[], list[int]]]:
    """Starts `clock_reader.c` as the database; the answer stops it and returns calls, skewed, wrong, torn."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine (install gcc)")
    program = home / "clock_reader"
    source = Path(__file__).with_name("clock_reader.c")
    subprocess.run([compiler, "-O2", "-pthread", "-o", str(program), str(source)], check=True)

    def start(*offsets_s: float) -> Callable[[], list[int]]:
        argv = [str(program), *(str(round(offset * 1000)) for offset in offsets_s)]
        pid = agent.request("database-start", argv=argv, env={}, cwd=str(home), log=str(home / "log"))["pid"]
        # It notes the true time before it starts its threads: a clock that is patched before then looks true to it.
        await_true(lambda: len(list(Path(f"/proc/{pid}/task").iterdir())) == 4, 5.0, "its threads run")

        def stop() -> list[int]:
            assert agent.request("tree")["root"] is not None, "it lives"
            (home / "stop").touch()
            await_true(lambda: agent.request("tree")["root"] is None, 5.0, "it ends")
            return [int(part) for part in (home / "log").read_text().split()]

        return stop

    return start


@x86
@pytest.mark.timeout(900)
def test_toggled_a_thousand_times_on_three_busy_threads(agent: AgentClient, clock_reader):
    """Goal: no toggle crashes a thread or shows a time that is neither the true nor the skewed one."""
    stop = clock_reader(30.0)
    for _ in range(1000):
        assert set(agent.request("clock", offset_s=30.0)["measured"].values()) == {30.0}
        assert len(agent.request("clock-reset")["pids"]) == 1
    calls, skewed, wrong, torn = stop()
    assert calls > 100_000
    assert skewed > 1_000
    assert (wrong, torn) == (0, 0)


@x86
def test_every_function_shows_the_skew(agent: AgentClient, clock_reader):
    stop = clock_reader(-3600.0)
    agent.request("clock", offset_s=-3600.0)
    time.sleep(0.5)
    calls, skewed, wrong, _ = stop()
    assert wrong == 0
    assert skewed > 0.3 * calls


@x86
def test_strobe_shows_only_its_own_offsets(agent: AgentClient, clock_reader):
    stop = clock_reader(5.5, -7.25)
    agent.request("clock-strobe", offsets_s=[5.5, -7.25, 0.0], period_ms=2)
    time.sleep(3.0)
    changes = agent.request("clock-measure")["changes"]
    agent.request("clock-reset")
    calls, skewed, wrong, torn = stop()
    assert changes > 200
    assert 0.2 * calls < skewed
    assert (wrong, torn) == (0, 0)


@x86
def test_drift_grows(agent: AgentClient, home: Path):
    start_family(agent, home, generations=1)
    agent.request("clock-drift", rate=10.0, start_s=1.0)
    time.sleep(1.0)
    (early,) = fresh_beats(home).values()
    time.sleep(1.0)
    (late,) = fresh_beats(home).values()
    assert early > 5
    assert 5 < late - early < 20
    agent.request("clock-reset")
    await_true(lambda: all(abs(skew) < 0.2 for skew in fresh_beats(home, 0.1).values()), 2.0, "the right time again")


@x86
def test_the_whole_tree_is_skewed_and_restored(agent: AgentClient, home: Path):
    start_family(agent, home)
    answer = agent.request("clock", offset_s=-77.5)
    assert set(answer["measured"].values()) == {-77.5}
    await_true(lambda: [round(s, 1) for s in fresh_beats(home, 0.1).values()] == [-77.5] * 7, 2.0, "all see it")
    agent.request("clock", offset_s=12.0)
    await_true(lambda: [round(s, 1) for s in fresh_beats(home, 0.1).values()] == [12.0] * 7, 2.0, "all see the next")
    assert len(agent.request("clock-reset")["pids"]) == 7
    await_true(lambda: all(abs(s) < 0.1 for s in fresh_beats(home, 0.1).values()), 2.0, "the right time again")
    assert agent.request("clock-reset")["pids"] == [], "idempotent"


@x86
def test_a_database_started_under_a_clock_fault_is_patched_before_it_counts_as_up(agent: AgentClient, home: Path):
    agent.request("clock", offset_s=33.0)
    agent.request("database-start", argv=["sleep", "30"], env={}, cwd="/", log="/dev/null")
    assert set(agent.request("clock-measure")["measured"].values()) == {33.0}


@x86
def test_who_comes_later_is_patched_too(agent: AgentClient, home: Path):
    """A fork inherits the patch; an exec drops it, and the agent sees to it."""
    python = usable_python(agent)
    script = f"{python} -c 'import time; time.sleep(1); print(time.time()-float(\"{time.time()}\") > 500, flush=True)'"
    agent.request("database-start", argv=["sh", "-c", f"sleep 0.2; {script}; sleep 30"],
                  env={"PATH": os.defpath}, cwd="/", log=str(home / "log"))  # fmt: skip
    agent.request("clock", offset_s=1000.0)
    await_true(lambda: (home / "log").read_text() == "True\n", 5.0, "the program that came later sees the skew")


@x86
def test_a_paused_database_stays_paused_through_clock_faults(agent: AgentClient, home: Path):
    start_family(agent, home)
    agent.request("pause")
    for offset_s in (1.0, 2.0):
        agent.request("clock", offset_s=offset_s)
        assert set(agent.request("tree")["states"].values()) == {"T"}
    agent.request("clock-reset")
    assert set(agent.request("tree")["states"].values()) == {"T"}
    before = beats(home)
    time.sleep(0.2)
    assert all(beats(home)[pid][0] > before[pid][0] + 0.15 for pid in before)
    agent.request("resume")
    await_true(lambda: len(fresh_beats(home, 0.1)) == 7, 2.0, "all go on")
    assert all(abs(skew) < 0.1 for skew in fresh_beats(home, 0.1).values())


@x86
def test_proof_measures_a_childs_skew(agent: AgentClient):
    proof = agent.request("clock-prove", offset_s=-123.5)
    assert abs(proof["skew_s"] + 123.5) < 0.005
    assert abs(proof["residue_s"]) < 0.005
    assert abs(proof["monotonic_s"]) < 0.005


def test_other_machines_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(agent_module.Refused, match="64-bit x86 Linux; this is Linux aarch64"):
        agent_module.Vdso()


@x86
def test_a_foreign_vdso_is_not_touched():
    """Goal: bytes that are not this kernel's are never overwritten. Method: the check itself, on changed images."""
    vdso = agent_module.Vdso()
    entry = next(iter(vdso.jumps))
    vdso._check(1, vdso.image)
    for place in (entry, entry + 7, vdso.word + 3):
        changed = bytearray(vdso.image)
        changed[place] ^= 0xFF
        with pytest.raises(agent_module.Refused, match="is not the one"):
            vdso._check(1, bytes(changed))


def test_libfaketime_skews_a_database_that_is_started_with_it(open_agent, home: Path):
    agent = open_agent(clock="libfaketime")
    if agent.hello["abilities"]["clock"] is not None:
        pytest.skip(agent.hello["abilities"]["clock"])
    proof = agent.request("clock-prove", offset_s=90.0)
    assert abs(proof["skew_s"] - 90.0) < 0.5
    assert abs(proof["residue_s"]) < 0.5
    start_family(agent, home, generations=2)
    agent.request("clock", offset_s=-45.0)
    await_true(lambda: [round(s) for s in fresh_beats(home, 0.1).values()] == [-45] * 3, 3.0, "all see it")
    agent.request("heal")
    await_true(lambda: [round(s) for s in fresh_beats(home, 0.1).values()] == [0] * 3, 3.0, "the right time again")
    root = agent.request("tree")["root"]
    agent.request("kill")
    assert not list(Path("/dev/shm").glob(f"*faketime*_{root}"))


def test_without_libfaketime_it_says_what_to_install(open_agent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(agent_module.Faketime, "PLACES", ())
    with pytest.raises(agent_module.Refused, match="apt-get install libfaketime"):
        agent_module.Faketime("/tmp")


def test_a_clock_that_cant_be_had_is_an_answer_not_a_crash(open_agent):
    agent = open_agent(clock="libfaketime")
    if agent.hello["abilities"]["clock"] is None:
        pytest.skip("libfaketime is installed here")
    with pytest.raises(CommandFailed, match="libfaketime"):
        agent.request("clock", offset_s=1.0)
