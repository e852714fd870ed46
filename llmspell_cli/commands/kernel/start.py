"""`llmspell kernel start`: in the foreground in this very process, or detached as a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click

from llmspell_cli.options import Command, Options
from llmspell_cli.output import Output
from llmspell_cli.text import home_path
from llmspell_protocol.errors import InvalidRequest, LlmspellError, Timeout, Unavailable, error_from_content

READY_WITHIN_S = 10.0
_LOG_LINES = 10
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


@click.command(
    "start",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell -p candle kernel start --daemon", "in the background"),
        ("llmspell kernel start --port 0 --id work", "free ports, own name"),
    ),
)
@click.option("--port", type=click.IntRange(0, 65531), metavar="N", help="Shell port, four more follow; 0: free ports.")
@click.option("--host", metavar="ADDR", help="Address to listen on (127.0.0.1).")
@click.option("--transport", type=click.Choice(["tcp", "ipc"]), metavar="KIND", help="tcp or ipc.")
@click.option("--daemon", is_flag=True, help="Detach; return when the kernel answers.")
@click.option("-i", "--id", "kernel_id", metavar="ID", help="Kernel id (port-PORT).")
@click.option("-f", "--connection-file", metavar="FILE", help="Where it is written; an existing one decides.")
@click.option("--pid-file", metavar="FILE", help="Where to write the process id.")
@click.option("--log-file", metavar="FILE", help="Log of a daemon; a path without .log is a directory.")
@click.option("--idle-timeout", type=click.IntRange(0), metavar="S", help="End after this time without work; 0: never.")
@click.option("--max-clients", type=click.IntRange(1), metavar="N", help="Connected clients (64).")
@click.option("--log-rotate-size", type=click.IntRange(1), metavar="BYTES", help="Rotate the log at this size.")
@click.option("--log-rotate-count", type=click.IntRange(0), metavar="N", help="Rotated logs that are kept.")
def start(options: Options, daemon: bool, **wanted: Any) -> int:
    """Start a kernel."""
    output = Output(options)
    if wanted["kernel_id"] is not None and not _ID.match(wanted["kernel_id"]):
        raise InvalidRequest(
            f"'{wanted['kernel_id']}' is no kernel id: letters, digits, '-' and '_' are possible",
            hint="llmspell kernel start --id my-kernel",
        )
    words = _words(options, daemon, wanted)
    if daemon:
        _show(output, _detach(words))
    else:
        from llmspell_cli.connect import run_kernel

        run_kernel(words, lambda started: _show(output, started))
    return 0


def _words(options: Options, daemon: bool, wanted: Mapping[str, Any]) -> list[str]:
    """The command line of `python -m llmspell_kernel`."""
    named = {
        "profile": options.profile,
        "config": os.path.abspath(options.config) if options.config is not None else None,
        "log-level": options.trace,
        "id": wanted["kernel_id"],
        **{name.replace("_", "-"): value for name, value in wanted.items() if name != "kernel_id"},
    }
    words = [f"--{name}={value}" for name, value in named.items() if value is not None]
    return [*words, "--daemon"] if daemon else words


def _detach(words: list[str]) -> dict[str, Any]:
    """Starts the kernel in a session of its own and waits for its first line.

    Raises:
        LlmspellError: why it could not start; or it ended, or did not answer in time, without a word.
    """
    ready, told = os.pipe()
    log = _early_log()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmspell_kernel", *words, f"--ready-fd={told}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(told,),
            start_new_session=True,
        )
    finally:
        os.close(told)
    try:
        line = _first_line(ready)
    except Timeout as error:
        process.kill()
        process.wait()
        raise _silent(error.message, log) from None
    finally:
        os.close(ready)
    if not line:
        raise _silent(f"the kernel ended with status {process.wait()} before it answered", log)
    os.close(log)
    told_document: dict[str, Any] = json.loads(line)
    if "error" in told_document:
        process.wait()
        raise error_from_content(told_document["error"])
    return told_document


def _early_log() -> int:
    """Where a kernel writes before it has opened its log, such as an interpreter's complaint: a file without a name."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _first_line(ready: int) -> bytes:
    """What the kernel says; empty when it closed the pipe without a word."""
    import time

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


def _silent(message: str, log: int) -> LlmspellError:
    with os.fdopen(log, "rb") as file:
        file.seek(0)
        lines = file.read().decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return Unavailable("\n".join([message, *(f"  {line}" for line in lines)]), details={"log": lines})


def _show(output: Output, started: Mapping[str, Any]) -> None:
    for warning in started.get("warnings", ()):
        output.warning(warning)
    if output.json:
        output.document({key: value for key, value in started.items() if key != "warnings"})
        sys.stdout.flush()
        return
    listens = started["host"] if started["transport"] == "ipc" else f"{started['host']}:{started['port']}"
    output.line(f"Kernel {started['id']} started (PID: {started['pid']})")
    output.line(f"  Address:         {listens}")
    output.line(f"  Connection file: {home_path(started['connection_file'])}")
    output.line(f"  Log file:        {home_path(started['log_file'])}")
    # The URL holds the key: it is for eyes, not for logs.
    if started["url"] and output.terminal:
        output.line(f"  URL:             {started['url']}")
    if not started["daemon"]:
        output.line("Press Ctrl+C to stop")
    sys.stdout.flush()
