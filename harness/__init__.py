"""The controller: plan, nodes, interpreter, journal, history, store, report, command line."""
