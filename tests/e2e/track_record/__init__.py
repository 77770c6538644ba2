"""Goal: what the track record knows to be there is found, and its clean twin stays silent.

Method: each row is the command that docs/track-record.md names, run as a user runs it, on the real database. A clean
twin needs its floor of successful ops and every fault seen to take effect: an idle pass is no pass.
"""
