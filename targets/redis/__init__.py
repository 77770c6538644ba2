"""Redis with Sentinel: a target, and the worked example of docs/new-target.md."""
