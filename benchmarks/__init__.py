"""How fast it is, as ratios of two things measured by turns on the same machine; `python -m benchmarks` runs all."""
