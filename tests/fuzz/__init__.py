"""Generated wrong input against real parts: `make fuzz`, and a short form of it among the tests.

A topic is a module in `topics/` with `def run(trial: Trial) -> None`: it tries inputs as long as `trial.more()` says
so and raises AssertionError, with the input in its message, at the first one that is not borne.
"""
