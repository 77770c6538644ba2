"""A whole run in simulated time: the phases of `harness.runner`, from ready to the final reads.

The history is a pure function of the plan: same seed, same history, byte for byte.
"""

from __future__ import annotations

from harness import generator as gen
from harness.op import NEMESIS, PRIMARIES, Op
from harness.plan import TestPlan
from harness.registry import find_workload
from harness.simulation import Clock, Simulation
from harness.workload import PHASES, Workload
from targets.simulated.cluster import SimulatedCluster
from targets.simulated.faults import lanes_of
from targets.simulated.programs import REGISTRY
from targets.simulated.target import check_flaw

PHASE_LIMIT_S = 60.0
READY_INTERVAL_S = 0.05
POLL_EVERY_NS, POLL_TAKES_NS = 100_000_000, 1_000_000


def simulate_plan(plan: TestPlan) -> list[Op]:
    """The history of a plan for the simulated target. Raises UsageError for a flaw that the workload can't show."""
    return simulate_workload(find_workload(plan.workload), plan)


def simulate_workload(workload: Workload, plan: TestPlan) -> list[Op]:
    """The same with a workload that need not be registered."""
    flaw, trouble = plan.options["flaw"], plan.options["trouble"] == "some"
    check_flaw(workload.name, flaw)
    names = [f"n{number}" for number in range(1, plan.nodes + 1)]
    clock = Clock()
    programs = REGISTRY[workload.name]
    cluster = SimulatedCluster(
        names,
        programs=programs,
        flaw=flaw,
        trouble=trouble,
        seed=plan.seed,
        clock=clock,
        initial=programs.initial(plan.options),
    )
    simulation = Simulation(
        cluster,
        concurrency=plan.concurrency,
        nodes=names,
        seed=plan.seed,
        deadline_s=plan.op_deadline_s,
        clock=clock,
    )

    def clients(phase: str) -> gen.Generator:
        return workload.clients({**plan.options, "phase": PHASES.index(phase)})

    def on_each_node(phase: str) -> gen.Generator:
        slow = gen.stagger(READY_INTERVAL_S / plan.nodes, clients(phase))
        return gen.time_limit(PHASE_LIMIT_S, gen.ok_on_each_node(plan.nodes, slow))

    def observe() -> None:
        """Who says that it leads, as `harness.observing` asks real nodes, but more often: splits are short here."""
        simulation.record(Op("invoke", PRIMARIES, None, NEMESIS))
        clock.after(POLL_TAKES_NS, answer)
        clock.after(POLL_EVERY_NS, observe)

    def answer() -> None:
        reports = [{"node": node, "primary": node, "term": term} for node, term in cluster.leaders()]
        simulation.record(Op("info", PRIMARIES, reports, NEMESIS))

    observe()
    simulation.mark("ready")
    simulation.run(on_each_node("ready"))
    simulation.mark("main")
    interval_s = 1.0 / plan.rate_hz if plan.rate_hz else 0.0
    main = gen.time_limit(plan.time_s, gen.stagger(interval_s, clients("main")))
    simulation.run(main, lanes_of(cluster, plan.time_s) if trouble else (), max_ops=10_000_000)
    simulation.mark("recovery")
    simulation.run(on_each_node("recovery"))
    if workload.final_generator is not None:
        simulation.close_sessions()
        simulation.mark("final")
        finals = workload.final_generator({**plan.options, "nodes": plan.nodes})
        simulation.run(gen.time_limit(PHASE_LIMIT_S, finals))
    return simulation.ops
