"""PostgreSQL, one server: the binaries of a Python package on `local`, the vendor's image in a pod on docker.

target       starts and stops the server, claims, options
embedded     where the package keeps its binaries
connection   one connection, over libpq
transaction  BEGIN ... COMMIT, and what its outcome proves
errors       the table from SQLSTATE to `fail` or `info`
append, write_skew   one session class for each workload
known_issues misbehaviours that are known upstream
"""
