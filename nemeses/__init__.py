"""What goes wrong: one file a family of faults."""
