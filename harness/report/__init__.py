"""The HTML report: one self-contained file a run."""
