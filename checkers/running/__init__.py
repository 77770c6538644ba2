"""Was the run busy enough, and how did it go: these inform, and never find an anomaly."""
