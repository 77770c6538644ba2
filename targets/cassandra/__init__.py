"""Apache Cassandra: a replicated wide-column store without a leader."""
