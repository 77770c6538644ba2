"""Do the nodes agree: split brain, convergence, staleness, durability."""
