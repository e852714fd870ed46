"""How a process ended, in words: for every kind of process, whatever number its status holds.

Real-time signals (34 to 64 on Linux) have numbers and no names of their own in Python.
"""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """The name of a signal: `SIGKILL`; `SIGRTMIN+6` for a real-time one; `signal 99` for a number without one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        pass
    lowest, highest = getattr(signal, "SIGRTMIN", None), getattr(signal, "SIGRTMAX", None)
    if lowest is not None and highest is not None and lowest < number < highest:
        return f"SIGRTMIN+{number - lowest}"
    return f"signal {number}"


def ending(status: int) -> str:
    """An exit status as `subprocess` gives it: `by signal SIGKILL` for a negative one, else `with status 3`."""
    return f"by signal {signal_name(-status).removeprefix('signal ')}" if status < 0 else f"with status {status}"
