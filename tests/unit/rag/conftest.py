"""Properties are tried with the same examples each time, without a clock and without a file of what failed before."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, database=None, derandomize=True)
settings.load_profile("repeatable")
