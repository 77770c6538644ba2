"""MongoDB as a replica set: a target. Its sessions also drive what speaks MongoDB's protocol (`targets.ferretdb`).

target        starts the set, claims, options, membership
replica_set   what an operator asks of a set: hello, initiate, reconfigure, step down
driver        one connection through pymongo, and how it is kept from sending anything twice
links         whom a session talks to: the primary, another member for reads
errors        the table from error codes and labels to `fail` or `info`
documents, transactions   one session class for each workload
claims, known_issues      what is promised at which options; misbehaviours known upstream
faults        stepdown and freeze
"""
