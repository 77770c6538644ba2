"""What the record proves: one file a checker, pure, no I/O."""
