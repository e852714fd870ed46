"""Settings of tests with generated values."""

from hypothesis import settings

# The same values in every run, with no time to be kept: other processes may hold the machine.
settings.register_profile("repeatable", deadline=None, database=None, derandomize=True)
settings.load_profile("repeatable")
