"""A replicated store inside the process, in simulated time, with flaws to switch on: it proves the harness itself."""
