"""Scheduling what belongs to no request, from code that may run for one.

Callbacks and tasks inherit the context that they are scheduled in, and with it the request whose id the log shows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def of_no_request(schedule: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
    """What `schedule` returns, called in an empty context: `of_no_request(loop.call_soon, look)`."""
    return Context().run(schedule, *arguments, **options)
