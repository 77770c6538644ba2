"""PostgreSQL: alone on `local` or a host, in the vendor's image in a pod, with streaming standbys, or under Patroni.

target       starts and stops the servers, opens sessions; options, claims: data
embedded     where the Python package keeps its binaries; on_host: a server on a host of one's own
replicated   a primary and its standbys, and who follows whom; start-member.sh: how one of them begins
failover     the fault that makes another server the primary; operations: REINDEX
patroni      three nodes of etcd, Patroni and PostgreSQL
roles        what each server says of itself; routing: which one a session talks to
connection   one connection, over libpq
transaction  BEGIN ... COMMIT, and what its outcome proves
errors       the table from SQLSTATE to `fail` or `info`
append, write_skew, registers, elements, sums, predicate   the session classes of the workloads
known_issues misbehaviours that are known upstream
"""
