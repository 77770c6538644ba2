"""The databases: one folder a database.

`REGISTRY` names each with the place of its class, which is imported when it is asked for: a driver that is missing
breaks its own target only.
"""

REGISTRY: dict[str, str] = {
    "postgres": "targets.postgres.target:Postgres",
    "etcd": "targets.etcd.target:Etcd",
    "cassandra": "targets.cassandra.target:Cassandra",
    "redis": "targets.redis.target:Redis",
    "mongodb": "targets.mongodb.target:MongoDB",
    "ferretdb": "targets.ferretdb.target:FerretDB",
    "simulated": "targets.simulated.target:Simulated",
}
