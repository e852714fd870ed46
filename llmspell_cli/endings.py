"""Endings that the user chose; not failures, so they are shown without the word "Error:"."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from llmspell_protocol.errors import Cancelled, LlmspellError

_ASKED = (signal.SIGTERM, signal.SIGHUP)
_ONE_ENDING_S = 0.5
"""Signals that come within this time are one: timeout(1) sends one to the command and one to its process group."""


def end_in_order() -> None:
    """Makes SIGTERM and SIGHUP end this command as an exit does: workers and what they have on disk go with it.

    A second signal ends it at once. What was told to ignore them (`nohup`) goes on doing so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    began: float | None = None

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal began
        if began is None:
            began = time.monotonic()
            raise SystemExit(128 + number)
        if time.monotonic() - began > _ONE_ENDING_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for asked in _ASKED:
        if signal.getsignal(asked) is signal.SIG_DFL:
            signal.signal(asked, end)


class EndedByUser(Cancelled):
    """The user ended the command."""


class Interrupted(EndedByUser):
    """Ctrl-C; the request has ended at the kernel, or two seconds have passed. `details.partial` is what had come.

    `answer` is what the kernel said to it, if anything.
    """

    answer: LlmspellError | None = None


@contextmanager
def resumable(model: str) -> Iterator[None]:
    """A pull: who interrupts it is told that what has come is kept."""
    try:
        yield
    except Interrupted as ended:
        ended.hint = f"llmspell model pull {model} goes on from there"
        raise


class NoAnswer(EndedByUser):
    """Standard input ended before a question was answered."""

    exit_status = 1
