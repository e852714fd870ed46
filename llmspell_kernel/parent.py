"""Tells the loop of the end of a process that is no child of this one: the frontend that started the kernel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from llmspell_protocol.background import of_no_request
from llmspell_protocol.process_end import POLL_S, end_descriptor, lives


def watch_process(pid: int, on_end: Callable[[], None]) -> None:
    """Calls `on_end` once, when the process has ended, however the system tells it; call on the loop."""
    loop = asyncio.get_running_loop()
    try:
        fd = end_descriptor(pid)
    except ProcessLookupError:
        of_no_request(loop.call_soon, on_end)
        return

    def look() -> None:
        if lives(pid):
            of_no_request(loop.call_later, POLL_S, look)
        else:
            on_end()

    if fd is None:
        look()
        return
    descriptor = fd

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        on_end()

    of_no_request(loop.add_reader, descriptor, ended)
