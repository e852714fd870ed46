"""Runs checks side by side, each with its own deadline: one that hangs or breaks is a finding like any other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from llmspell_cli.doctor.finding import Finding, fail
from llmspell_protocol.errors import LlmspellError


class Check(NamedTuple):
    """Something to look at; `deadline_s` is how long it may take, measured from the beginning of all."""

    look: Callable[[], Finding]
    deadline_s: float = 5.0


def examine(checks: Mapping[str, Check]) -> dict[str, Finding]:
    """The finding of every check, in the order in which they were given."""
    executor = ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="doctor")
    try:
        began = time.monotonic()
        looking = {name: executor.submit(check.look) for name, check in checks.items()}
        return {name: _finding(looking[name], check.deadline_s, began) for name, check in checks.items()}
    finally:
        # One that hangs is left alone: it ends with the process.
        executor.shutdown(wait=False, cancel_futures=True)


def _finding(looking: Future[Finding], deadline_s: float, began: float) -> Finding:
    wait([looking], timeout=max(0.0, began + deadline_s - time.monotonic()))
    if not looking.done():
        return fail(f"no result after {deadline_s:g} s", None, deadline_s=deadline_s)
    error = looking.exception()
    if error is None:
        return looking.result()
    if isinstance(error, LlmspellError):
        return fail(error.message, error.hint, **error.details)
    return fail(f"the check itself failed: {type(error).__name__}: {error}", "llmspell --trace debug doctor")
