"""Sets, ids, queues, counters and banks: what was acknowledged has to be there, once."""
