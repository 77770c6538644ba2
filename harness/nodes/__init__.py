"""Where databases run: the protocols in `base`, the substrates `local` and `docker`, and the node agent."""
