# See README.md. `make test` runs faults against a real database, `make check` passes the tests.
