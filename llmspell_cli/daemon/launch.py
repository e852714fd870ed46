"""Starts a kernel as a process of its own, detached, and waits until it answers. Knows its process, not its options."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmspell_cli.daemon.start_failure import StartFailure
from llmspell_protocol.errors import Timeout, error_from_content
from llmspell_protocol.exit_status import signal_name

READY_WITHIN_S = 10.0


def detach(words: Sequence[str], log_file: Path) -> dict[str, Any]:
    """Starts the kernel in a process session of its own and waits for its first line: the `started` document.

    `words` are the options of `python -m llmspell_kernel`, `log_file` where its log stands, to show why it failed.

    Raises:
        LlmspellError: why it could not start; or it ended, or did not answer in time, without a word.
    """
    ready, told = os.pipe()
    start_failure = StartFailure(log_file)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmspell_kernel", *words, f"--ready-fd={told}"],
            stdin=subprocess.DEVNULL,
            stdout=start_failure.fd,
            stderr=start_failure.fd,
            pass_fds=(told,),
            start_new_session=True,
        )
    finally:
        os.close(told)
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        line = _first_line(ready)
    except (Timeout, KeyboardInterrupt, SystemExit) as ending:
        # Without this a kernel would stay behind that no command names.
        process.kill()
        process.wait()
        if isinstance(ending, Timeout):
            raise start_failure.failure(ending.message) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(ready)
    if not line.endswith(b"\n"):
        raise start_failure.failure(f"the kernel {_ending(process.wait())} before it answered")
    start_failure.close()
    told_document: dict[str, Any] = json.loads(line)
    if "error" in told_document:
        process.wait()
        raise error_from_content(told_document["error"])
    return told_document


def _terminated(_signal: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _ending(status: int) -> str:
    """How a process ended: `ended with status 1`, `was killed by SIGKILL`."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal_name(-status)}"


def _first_line(ready: int) -> bytes:
    """What the kernel says; no whole line when it closed the pipe without a word."""
    deadline = time.monotonic() + READY_WITHIN_S
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([ready], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise Timeout(f"the kernel did not answer within {READY_WITHIN_S:.0f} s")
        piece = os.read(ready, 65536)
        if not piece:
            break
        line += piece
    return line
