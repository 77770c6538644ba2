"""What clients saw, one after the other: monotonic, causal, sequential, locks, watches."""
