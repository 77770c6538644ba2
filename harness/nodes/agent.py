"""The node agent: does on a node what has to be done there, and undoes it when the controller is gone.

Requests (JSON lines on stdin, each with "id" and "what"; answers on stdout carry the same id, or "error"):

    hello {node, scope, home?, user?, clock?, lease_s?}
                                scope "pod": the database is what shares this pid namespace but not this mount
                                namespace (another container); "children": what this agent started. First request.
                                → {pid, abilities: {clock, partition: reason why not or null}, healed: {...}}
    heartbeat                   no answer; any line renews the lease (15 s)
    run {argv, stdin?, limit_s, cwd?, env?}       → {rc (null: out of time), stdout, stderr}
    tree                        → {root, pids, states: {pid: letter}, paused, offset_s}     root null: down
    kill                        kill -9 of the whole tree, root first → {pids, took_ms}
    pause / resume              → {pids, states, took_ms}
    drop {key, from: [address]} drop what comes from these addresses, under a name → {rules}
    dropped {key}               → {packets}      seen by the counters so far
    undrop {key}                → {packets}      idempotent
    clock {offset_s}            the tree's CLOCK_REALTIME runs this far ahead → {pids, offset_s, measured: {pid: s}, took_ms}
    clock-strobe {offsets_s: [a, b], period_ms} · clock-drift {rate, start_s}     until the next clock request
    clock-reset                 the entries are put back → {pids, measured, changes}
    clock-measure               → {offset_s, measured: {pid: s}, probe_s}
    clock-prove                 patch, measure and restore a child → {skew_s, residue_s}
    database-start {argv, env, cwd, log}  (scope children) → {pid, killed, took_ms}   patched when a clock fault is in force
    database-started {timeout_s}          (scope pod: after the engine started it) waits for the root, patches it → {root, pids}
    database-stop {signal, timeout_s}     (scope children) → {rc, killed}
    await-empty {timeout_s}     until no process of the tree is left; then kill -9 → {killed}
    put {path, offset, data (base64), mode} · get {path, offset, bytes} → {data} · port {first?, last?} → {port}
    heal                        undo every fault now → {...}
    end                         the same, stop the database (scope children), answer, exit
"""
