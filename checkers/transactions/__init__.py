"""Which consistency models a history of transactions rules out: values, dependencies, cycles, open version orders."""
