"""What clients do: one file a workload."""
