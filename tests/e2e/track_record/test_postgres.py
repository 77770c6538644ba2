"""The rows of the track record on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.postgres.patroni import PATRONI_IMAGE
from targets.postgres.target import Postgres
from tests.e2e.runs import Ran, need_docker, run
from tests.e2e.track_record.rows import WrongVerdict, assert_clean, assert_found

HOT_KEYS = "keys=10,writes-per-key=4"
QUICK_DEADLOCKS = "deadlock_timeout_ms=20"
"""Hot keys deadlock often; a second's wait for each leaves a clean twin with little done."""

pytestmark = pytest.mark.timeout(900)


class TestP1WriteSkewAtRepeatableRead:
    common = ("--workload", "append", "--concurrency", "16")

    def test_dirty(self, tmp_path: Path) -> None:
        options = f"isolation=repeatable-read,{HOT_KEYS}"
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "10", "--opts", options)
        assert ran.code == 0, "snapshot isolation is all that REPEATABLE READ promises"
        assert_found(ran, "G2-item", at_least=20)
        assert "serializable" in ran.verdict["not"] + ran.verdict["also_not"]
        assert "write skew" in ran.output and "not serializable" in ran.output

    def test_dirty_is_invalid_when_serializable_is_asked(self, tmp_path: Path) -> None:
        options = f"isolation=repeatable-read,{HOT_KEYS}"
        ran = run(
            tmp_path, *self.common, "--faults", "none", "--time", "5", "--opts", options, "--model", "serializable"
        )
        assert ran.code == 1
        assert ran.verdict["verdict"] == "invalid"

    def test_clean(self, tmp_path: Path) -> None:
        options = f"isolation=serializable,max_connections=1500,rows=existing,{HOT_KEYS},{QUICK_DEADLOCKS}"
        ran = run(tmp_path, *self.common, "--faults", "kill,pause,clock", "--time", "60", "--opts", options)
        assert_clean(ran, oks=10_000, fs=("txn",), faults=("kill", "pause", "clock"))


class TestP2LostUpdateAtReadCommitted:
    common = ("--workload", "append", "--concurrency", "16")

    def test_dirty(self, tmp_path: Path) -> None:
        options = f"isolation=read-committed,append=read-write,{HOT_KEYS}"
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "10", "--opts", options)
        assert_found(ran, "lost-update", at_least=10)
        assert_found(ran, "G-single", "G-single-item", at_least=1)

    def test_clean(self, tmp_path: Path) -> None:
        options = f"isolation=repeatable-read,append=read-write,{HOT_KEYS},{QUICK_DEADLOCKS}"
        ran = run(tmp_path, *self.common, "--faults", "kill,pause,clock", "--time", "45", "--opts", options)
        if ran.verdict["verdict"] == "invalid" or {"lost-update", "G-single", "G-single-item"} & set(ran.counts):
            raise WrongVerdict(ran.output)
        assert ran.verdict["verdict"] == "valid", ran.output
        assert ran.oks("txn") >= 5_000


def failed_over(ran: Ran) -> bool:
    """Whether some server was seen to lead in a second timeline."""
    history = ran.history
    polls = [place for place, f in enumerate(history.f.tolist()) if history.f_names[f] == "primaries"]
    return any((leader["term"] or 0) >= 2 for place in polls for leader in history.value[place] or ())


def asked_for_their_own_copy(ran: Ran) -> set[str | None]:
    """The nodes that answered local reads."""
    history = ran.history
    ops = (history.op(place) for place in range(len(history)))
    return {op.node for op in ops if (op.f, op.type) == ("local-read", "ok")}


class Replicated:
    """Rows on a primary with two standbys, each in a pod."""

    @pytest.fixture(autouse=True)
    def _engine(self) -> None:
        need_docker(Postgres.default_image)


@pytest.mark.docker
class TestP3LostWritesOfAnAsynchronousPrimary(Replicated):
    common = ("--target", "postgres", "--workload", "set-final", "--faults", "failover", "--time", "14")
    failover = "topology=replicated,cut=2,hold=2,rest=30"
    """One failover, soon after the start: replication is cut for 2 s while clients go on, then one is promoted."""

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", self.failover)
        assert ran.code == 1
        assert ran.effective("failover") > 0 and failed_over(ran)
        assert_found(ran, "lost-write", at_least=20)
        assert "known issue" in ran.output

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"{self.failover},sync=on,final=converge")
        assert_clean(ran, oks=100, fs=("add",), faults=("failover",))
        assert failed_over(ran)
        assert asked_for_their_own_copy(ran) == {"n1", "n2", "n3"}
        assert "agreed_within_s" in ran.verdict["checkers"]["convergence"]["stats"]


@pytest.mark.docker
class TestP4LostWritesOfACancelledCommit(Replicated):
    common = ("--target", "postgres", "--workload", "set-final", "--faults", "failover", "--time", "14")
    failover = "topology=replicated,sync=on,cut=2,hold=2,rest=30,cancel_commit_ms=200"

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"{self.failover},commit_warnings=ok")
        assert ran.code == 1
        assert_found(ran, "lost-write", at_least=5)

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"{self.failover},commit_warnings=info")
        assert_clean(ran, oks=100, fs=("add",), faults=("failover",))
        warned = [error for error in ran.history.error if error and "canceling wait for synchronous" in error]
        assert len(warned) >= 5, "commits were cancelled while they waited, and nobody called them done"


@pytest.mark.docker
class TestP5TwoPrimaries(Replicated):
    common = ("--target", "postgres", "--workload", "register", "--faults", "failover", "--time", "16")
    failover = "topology=replicated,cut=1,hold=9,rest=30,read-percent=80"
    """Many reads: that both histories live on is proven by who sees them."""

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"{self.failover},fence=no")
        assert ran.code == 1
        assert_found(ran, "lost-update", "lost-write", "stale-read", at_least=5)
        assert_found(ran, "split-brain")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"{self.failover},fence=yes,sync=on")
        assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=("failover",))
        assert failed_over(ran)


@pytest.mark.docker
class TestP5OneLeaderUnderPatroni:
    def test_clean(self, tmp_path: Path) -> None:
        common = ("--target", "postgres", "--workload", "set-final", "--faults", "partition", "--time", "34")
        cut_off = "partition-shape=primary,partition-direction=both,hold=32"
        ran = run(tmp_path, *common, "--opts", f"topology=patroni,sync=strict,patroni_ttl_s=20,{cut_off}")
        assert_clean(ran, oks=100, fs=("add",), faults=("partition",))
        assert failed_over(ran), "Patroni made another server the primary"

    @pytest.fixture(autouse=True)
    def _engine(self) -> None:
        need_docker(PATRONI_IMAGE)


@pytest.mark.docker
class TestP6StaleReadsOnAStandby(Replicated):
    common = ("--target", "postgres", "--workload", "register", "--model", "linearizable", "--faults", "partition")
    options = "topology=replicated,partition-shape=primary,partition-direction=both,hold=4,rest=2"

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--time", "10", "--opts", f"{self.options},reads=standby")
        assert ran.code == 1
        assert_found(ran, "stale-read", at_least=20)

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--time", "10", "--opts", f"{self.options},reads=primary")
        assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=("partition",))


class TestP8WriteSkewAtSerializable:
    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--workload", "write-skew", "--faults", "stall", "--time", "30")
        assert ran.code == 1
        assert_found(ran, "G2-item", at_least=5)
        assert "known issue" in ran.output

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(
            tmp_path, "--workload", "write-skew", "--faults", "stall", "--time", "30", "--opts", "max_connections=1500"
        )
        assert_clean(ran, oks=10_000, fs=("leave",), faults=("stall",))
        stalls = sum(window.fault.observed.get("stalls", 0) for window in ran.history.windows())
        assert stalls >= 20
