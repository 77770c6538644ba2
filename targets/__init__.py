"""The databases: one folder a database."""
