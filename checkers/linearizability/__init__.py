"""Is there one order of all operations, each at an instant between its call and its return?"""
