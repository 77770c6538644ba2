"""One run, phase by phase: nodes up, database up, faults proved, ready, main, recovery, final reads, logs, judged.

Whatever ends a run (its time, an error, Ctrl-C, SIGTERM), the same things happen afterwards: the lanes heal their
faults, the logs are collected, the database is stopped, the cluster removed, and what the journal holds is judged.
"""

from __future__ import annotations

import contextlib
import datetime
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import generator as gen
from harness.console import Console
from harness.environment import controller
from harness.errors import FaultlineError, InfrastructureError, Interrupted
from harness.faults import Proof, executor, prove
from harness.interpreter import Interpreter
from harness.journal import Journal
from harness.junit import junit_xml
from harness.lane import Lane
from harness.nodes.base import Cluster
from harness.observing import Observer, polls_of
from harness.plan import TestPlan
from harness.planning import Request, make_plan, repeat_command
from harness.registry import find_nemesis, find_target, find_workload
from harness.schedule import fault_schedule
from harness.stall import StallGate
from harness.store import RunFolder, new_run
from harness.substrates import SUBSTRATES
from harness.target import Target, Timeouts
from harness.telling import EXIT_OF, tell_run
from harness.verdict import Verdict
from harness.workload import PHASES, Workload
from nemeses.base import Setting

READY_TIMEOUT_S = 60.0
RECOVERY_TIMEOUT_S = 60.0
FINAL_TIMEOUT_S = 60.0
INTERRUPTED_RECOVERY_S = 10.0
"""Who pressed Ctrl-C waits no longer than this for recovery."""
READY_INTERVAL_S = 0.05
"""Between two ops while waiting for every node to serve one."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its verdict, and what was found in one plain sentence."""

    folder: RunFolder
    plan: TestPlan
    verdict: Verdict
    sentence: str


def run(results: str | Path = "results", **asked: Any) -> Run:
    """Make a run and judge it: `faultline.run(target="etcd", workload="register", faults=("kill",), time_s=60)`.

    asked: the fields of `harness.planning.Request`. Raises UsageError, InfrastructureError.
    """
    return execute(make_plan(Request(**asked)), Path(results), Console(quiet=True))


def run_and_tell(plan: TestPlan, results: Path) -> int:
    """Make a run, show how it goes and what came out. Returns the exit code."""
    console = Console()
    done = execute(plan, results, console)
    console.finish(done.verdict, done.sentence, str(done.folder.report), repeat_command(plan))
    return int(EXIT_OF[done.verdict.verdict])


def execute(plan: TestPlan, results: Path, console: Console) -> Run:
    """Run and judge a plan. A run that failed after its journal was begun is still told, and its error raised."""
    folder = new_run(results, plan)
    began = time.monotonic()

    def report_to_ci(verdict: Verdict | None, sentence: str, failure: FaultlineError | None) -> None:
        error = None if failure is None else str(failure)
        took_s, repeat = time.monotonic() - began, repeat_command(plan)
        with contextlib.suppress(OSError):
            folder.junit.write_bytes(
                junit_xml(plan, verdict, sentence=sentence, error=error, took_s=took_s, repeat=repeat)
            )

    with folder.hold():
        console.begin(plan, folder.path)
        failure: FaultlineError | None = None
        try:
            if plan.on == "simulated":
                _simulate(plan, folder)
            else:
                _Execution(plan, folder, console).run()
        except FaultlineError as error:
            failure = error
        except OSError as error:
            failure = InfrastructureError(f"{type(error).__name__}: {error}")
        if failure is not None and not folder.journal.exists():
            report_to_ci(None, "", failure)
            raise failure
        console.phase("judging")
        verdict, sentence = _judge(folder, failure)
        report_to_ci(verdict, sentence, failure)
    if failure is not None:
        raise type(failure)(f"{failure}\nwhat was recorded until then: {folder.report} ({verdict.verdict})")
    return Run(folder, plan, verdict, sentence)


def _judge(folder: RunFolder, failure: FaultlineError | None) -> tuple[Verdict, str]:
    """Raises Interrupted for Ctrl-C, InfrastructureError when nothing can be written; each says how to judge later."""
    later = f"what was recorded is kept: faultline check {folder.path}"
    try:
        return tell_run(folder)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted while judging; {later}") from None
    except OSError as error:
        before = f"{failure}\n" if failure is not None else ""
        raise InfrastructureError(f"{before}the verdict could not be written: {error}; {later}") from error


def _simulate(plan: TestPlan, folder: RunFolder) -> None:
    from targets.simulated.run import simulate_plan

    folder.write_json(folder.environment, {"controller": controller()})
    with Journal(folder.journal) as journal:
        for op in simulate_plan(plan):
            journal.append(op)


class _Execution:
    """Phases 1 to 5 of one run on real nodes."""

    def __init__(self, plan: TestPlan, folder: RunFolder, console: Console) -> None:
        self.plan, self.folder, self.console = plan, folder, console
        self.workload: Workload = find_workload(plan.workload)
        self.timeouts = Timeouts(op_s=plan.op_deadline_s)
        self.gate = StallGate()
        self.environment: dict[str, Any] = {
            "controller": controller(),
            "started": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC",
            "seed": plan.seed,
        }
        self.interrupted: str | None = None
        self.interpreter: Interpreter | None = None

    def run(self) -> None:
        """Raises FaultlineError; nothing is left running in any case."""
        with _signals(self._interrupt):
            self.console.phase(f"starting {self.plan.nodes} node(s) on {self.plan.on}")
            with SUBSTRATES[self.plan.on].open(self.plan, self.folder.run_id) as cluster:
                self._on(cluster)

    def _on(self, cluster: Cluster) -> None:
        plan = self.plan
        target = find_target(plan.target)(
            image=plan.image, options=plan.options, timeouts=self.timeouts, workload=plan.workload
        )
        try:
            self.console.phase(f"starting {plan.target}")
            target.start(cluster)
            setting = Setting(cluster, target, self.gate, plan.options)
            proof = prove(plan, {kind: find_nemesis(kind, type(target)) for kind in plan.faults}, setting)
            for kind, reason in proof.missing.items():
                self.console.note(f"without {kind} faults: {reason}")
            target.workloads[plan.workload].setup(target, cluster)
            self.environment |= {
                "version": target.version(cluster.nodes[0]),
                "substrate": dict(cluster.describe()),
                "faults_proved": list(proof.proved),
                "faults_missing": proof.missing,
            }
            self.folder.write_json(self.folder.environment, self.environment)
            self._work(cluster, target, setting, proof)
        finally:
            self.console.phase("stopping")
            try:
                cluster.collect_logs(self.folder.nodes)
            except (InfrastructureError, OSError) as error:
                self.console.note(f"logs were not collected: {error}")
            try:
                target.stop(cluster)
            except InfrastructureError as error:
                self.console.note(f"not all was put in order: {error}")

    def _work(self, cluster: Cluster, target: Target, setting: Setting, proof: Proof) -> None:
        plan = self.plan
        factory = target.workloads[plan.workload]
        with Journal(self.folder.journal) as journal:
            interpreter = self.interpreter = Interpreter(
                journal,
                lambda node, context: factory.open(target, node, context),
                cluster.nodes,
                concurrency=plan.concurrency,
                timeouts=self.timeouts,
                seed=plan.seed,
                options=plan.options,
                stall_gate=self.gate,
            )
            watch = _Watch(cluster, interpreter)
            observer = Observer(polls_of(target, cluster), interpreter.record)
            try:
                with self.console.watching(interpreter.progress):
                    self._phases(interpreter, cluster, setting, proof)
            finally:
                watch.close()
                observer.close()
                interpreter.close()
                self.environment["observed"] = observer.describe()
                self.environment["unmapped"] = dict(interpreter.unmapped)
                self.environment["substrate"] = dict(cluster.describe())
                if self.interrupted:
                    self.environment["interrupted"] = self.interrupted
                self.folder.write_json(self.folder.environment, self.environment)

    def _phases(self, interpreter: Interpreter, cluster: Cluster, setting: Setting, proof: Proof) -> None:
        plan, nodes = self.plan, len(cluster.nodes)
        self.console.phase("ready?", READY_TIMEOUT_S)
        interpreter.mark("ready")
        phase = interpreter.run(self._on_each_node("ready", READY_TIMEOUT_S, nodes))
        unready = [node.name for node in cluster.nodes if not phase.ok_nodes[node.name]]
        if unready and not phase.stopped:
            errors = "; ".join(f"{name}: {phase.last_errors.get(name, 'no answer')}" for name in unready)
            raise InfrastructureError(f"not ready after {READY_TIMEOUT_S:g} s: {errors}")
        if not phase.stopped:
            self.console.phase("running", plan.time_s)
            interpreter.mark("main")
            lanes = [
                Lane(kind, fault_schedule(nemesis, setting, time_s=plan.time_s), executor(nemesis, setting))
                for kind, nemesis in ((kind, find_nemesis(kind, type(setting.target))) for kind in proof.proved)
            ]
            clients = self.workload.clients({**plan.options, "phase": PHASES.index("main")})
            interval_s = 1.0 / plan.rate_hz if plan.rate_hz else 0.0
            interpreter.run(gen.time_limit(plan.time_s, gen.stagger(interval_s, clients)), lanes)
        interpreter.resume()
        limit_s = INTERRUPTED_RECOVERY_S if self.interrupted else RECOVERY_TIMEOUT_S
        self.console.phase("recovering", limit_s)
        interpreter.mark("recovery")
        phase = interpreter.run(self._on_each_node("recovery", limit_s, nodes))
        self.environment["never_recovered"] = [
            f"{node.name} did not serve again within {limit_s:g} s: {phase.last_errors.get(node.name, 'no answer')}"
            for node in cluster.nodes
            if not phase.ok_nodes[node.name] and not phase.stopped
        ]
        if self.workload.final_generator is not None and not phase.stopped:
            self.console.phase("final reads", FINAL_TIMEOUT_S)
            interpreter.close_sessions()
            interpreter.mark("final")
            finals = self.workload.final_generator({**plan.options, "nodes": nodes})
            interpreter.run(gen.time_limit(FINAL_TIMEOUT_S, finals))

    def _on_each_node(self, phase: str, limit_s: float, nodes: int) -> gen.Generator:
        """The workload's own ops until every node has done one."""
        clients = self.workload.clients({**self.plan.options, "phase": PHASES.index(phase)})
        return gen.time_limit(limit_s, gen.ok_on_each_node(nodes, gen.stagger(READY_INTERVAL_S / nodes, clients)))

    def _interrupt(self, name: str) -> None:
        """The first Ctrl-C or SIGTERM ends the phase that runs, each further one the next phase too.

        Before the run began the first ends everything; further ones don't disturb the tidying up.
        """
        first = self.interrupted is None
        self.interrupted = name
        if self.interpreter is not None:
            self.interpreter.stop()
        elif first:
            raise Interrupted(f"{name} before the run began: nothing was recorded")


class _Watch:
    """Ends the run when an agent or a sandbox is lost."""

    INTERVAL_S = 1.0

    def __init__(self, cluster: Cluster, interpreter: Interpreter) -> None:
        self._cluster, self._interpreter = cluster, interpreter
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="cluster watch", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._closed.wait(self.INTERVAL_S):
            try:
                self._cluster.check()
            except InfrastructureError as error:
                self._interpreter.stop(error)
                return

    def close(self) -> None:
        self._closed.set()
        self._thread.join(5.0)


@contextlib.contextmanager
def _signals(interrupt: Any) -> Iterator[None]:
    """Route SIGINT and SIGTERM to `interrupt(name)` while inside, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda number, _: interrupt(signal.Signals(number).name))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
