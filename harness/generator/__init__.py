"""Generators: pure values that say what clients do next, and the algebra that combines them.

    from harness import generator as gen

    gen.time_limit(30, gen.stagger(0.01, gen.mix(read, write, weights=[3, 1])))

Every combinator takes sources (`harness.generator.source`): an Op, a function of the context, a list of sources, a
generator. All are values: asking a generator twice with the same context and random state gives the same answer, and
everything is tested in simulated time (`harness.simulation`). The idea is that of Jepsen's generators.

    protocol   Generator, Context, PENDING
    source     once, sequence, unfold, lift
    shape      repeat, cycle, limit, mix, any_of, map_ops, f_map, until_ok
    timing     time_limit, stagger, delay, sleep
    threads    on_threads, reserve, each_thread, ok_on_each_node, synchronize, phases
"""

from __future__ import annotations

from harness.generator.protocol import PENDING, Context, Generator, Pending
from harness.generator.shape import any_of, cycle, f_map, limit, map_ops, mix, repeat, until_ok
from harness.generator.source import EXHAUSTED, Source, Step, lift, once, sequence, unfold
from harness.generator.threads import each_thread, ok_on_each_node, on_threads, phases, reserve, synchronize
from harness.generator.timing import delay, sleep, stagger, time_limit
from harness.op import invoke

__all__ = [
    "EXHAUSTED",
    "PENDING",
    "Context",
    "Generator",
    "Pending",
    "Source",
    "Step",
    "any_of",
    "cycle",
    "delay",
    "each_thread",
    "f_map",
    "invoke",
    "lift",
    "limit",
    "map_ops",
    "mix",
    "ok_on_each_node",
    "on_threads",
    "once",
    "phases",
    "repeat",
    "reserve",
    "sequence",
    "sleep",
    "stagger",
    "synchronize",
    "time_limit",
    "unfold",
    "until_ok",
]
